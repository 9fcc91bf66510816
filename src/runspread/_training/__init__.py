"""Training: the only floor where torch lives."""
