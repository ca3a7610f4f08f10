"""The dashboard, the REST API, live events and the metrics for Prometheus."""
