"""Corrupted images, what predictors make of them, and the detection of inputs from elsewhere."""
