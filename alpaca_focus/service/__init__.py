"""A long-running process: control socket, systemd, log output, ticker, lock, threads."""
