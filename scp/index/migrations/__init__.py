"""How one release's tables become the next one's (Alembic)."""
