"""Frames, reports, tables and pictures on disk."""
