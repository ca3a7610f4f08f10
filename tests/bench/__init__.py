"""Measurements of speed and accuracy; `make bench` runs them and writes docs/benchmarks.md."""
