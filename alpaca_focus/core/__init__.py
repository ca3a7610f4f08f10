"""The pure core: frozen values, plans and decisions. No clock, no log, no thread, no input or output."""
