"""Runs the night: scheduler, poller, correction moves, recovery, operator requests and the state on disk."""
