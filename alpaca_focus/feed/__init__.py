"""Events of the daemon for its subscribers: pages, messages and metrics."""
