"""The sweep as a generator: measurements in, actions out. Pure."""
