"""The night in the shell: the scheduler, polling, correction moves, recovery, requests, and the state on disk."""
