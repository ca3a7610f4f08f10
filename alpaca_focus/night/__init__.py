"""The whole night, put together: the daemon, and all that shows it, tells of it and asks things of it."""
