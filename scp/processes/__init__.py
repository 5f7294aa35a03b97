"""The roles of the service as processes."""
