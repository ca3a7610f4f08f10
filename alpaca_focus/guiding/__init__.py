"""Adapters of guiding programs."""
