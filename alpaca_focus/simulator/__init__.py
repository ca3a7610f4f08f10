"""A simulated observatory with real optics behind a real Alpaca server."""
