"""The SQLite history: focus runs with their frames, learned V-curves, and what the focus model learns from them."""
