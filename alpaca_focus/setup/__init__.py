"""The first settings: `alpaca-focus init` finds the devices, asks for what they do not report, and writes a file."""
