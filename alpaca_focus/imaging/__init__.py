"""Measuring focus on arrays: pure functions from pixels to a `Measurement`."""
