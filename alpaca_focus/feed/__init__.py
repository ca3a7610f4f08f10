"""Events of the daemon, for every listener: pages, messages and metrics. No listener can hold up the night."""
