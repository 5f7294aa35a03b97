"""Backups: taken beside the running service, checked, and restored."""
