"""The ASCOM Alpaca wire: ImageBytes, error numbers, discovery, and a small server to build devices on."""
