"""Weights as users have them (files, modules, mappings) become named tensors, sorted by what they are."""
