"""Metrics against quality over a corpus of models."""
