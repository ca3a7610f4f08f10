"""Alpaca devices that stand in front of the real ones: what an imaging program connects to instead."""
