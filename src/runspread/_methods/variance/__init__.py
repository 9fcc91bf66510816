"""Variance of training: what of the spread between runs is real (Jordan, arXiv 2304.01910, and what follows)."""
