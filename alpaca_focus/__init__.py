"""Keeps a telescope in focus through an unattended night, over ASCOM Alpaca."""

__version__ = "0.1.0"
