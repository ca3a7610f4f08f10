"""The first settings file: `alpaca-focus init` discovers the devices and asks for what they do not report."""
