"""The SQLite history: focus runs with their frames, learned curves, and the focus model learned from them."""
