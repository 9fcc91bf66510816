"""Ensembles as things to ship, and the procedures that train them."""
