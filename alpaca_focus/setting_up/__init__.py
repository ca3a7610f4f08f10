"""What `alpaca-focus init` does: finds the devices, asks what they do not say, and writes the first settings."""
