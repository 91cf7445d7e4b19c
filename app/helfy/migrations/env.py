"""What Alembic runs for every command: the migrations, on the connection it was handed.

There is no ``alembic.ini``: :mod:`helfy.migrations.runner` makes the configuration, so that
the database's address and account have one source, ``migrate.toml``.
"""

from alembic import context

from helfy.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
