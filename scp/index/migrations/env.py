"""Run by Alembic; the connection comes from `scp.index.database.migrate`."""

from alembic import context

from scp.index.accounts import tables  # noqa: F401 -- their tables
from scp.index.schema.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
