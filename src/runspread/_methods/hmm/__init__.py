"""Gaussian hidden Markov models: exact EM for many restarts at once, scoring, decoding, model selection."""
