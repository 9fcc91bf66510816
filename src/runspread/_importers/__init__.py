"""Ways in for runs that were trained elsewhere; one module a source."""
