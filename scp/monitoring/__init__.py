"""Whether the service works, and how well: readiness, metrics, logs, audit."""
