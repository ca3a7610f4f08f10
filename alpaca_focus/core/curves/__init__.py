"""Curve models, robust fits, learned V-curves, and the best focus with its standard error. Pure."""
