"""The dashboard, the REST API, live events and meters: what the daemon does, for whoever may see it."""
