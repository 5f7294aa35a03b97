"""Users of the dashboard and their sessions."""
