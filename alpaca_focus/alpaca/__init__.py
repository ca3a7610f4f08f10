"""The ASCOM Alpaca protocol: ImageBytes, errors, discovery, an HTTP client, and a small server."""
