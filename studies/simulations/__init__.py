"""What the package promises, simulated: a module a family, each with `promises(scale)`."""
