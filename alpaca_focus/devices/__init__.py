"""Adapters from the ports to real devices over Alpaca: one worker thread a device, a deadline on every call."""
