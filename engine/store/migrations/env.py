"""Alembic's entry: `engine.store.migrate` hands over an open connection; there is no ini file."""

from alembic import context

from engine.store.work_tables import Stored  # through them, so that all tables are known

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Stored.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    compare_type=True,
    transactional_ddl=True,  # SQLite too, since our connections begin their transactions themselves
)
with context.begin_transaction():
    context.run_migrations()
