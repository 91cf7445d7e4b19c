"""What nobody needs any more goes: a little now and then, so that no statement takes long."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, delete, select

from helfy.database import transaction
from helfy.schema import login_addresses, session_activity, sessions
from helfy.throttle import prune

EVERY = timedelta(minutes=1)
ADDRESS_KEPT = timedelta(days=90)
SESSION_KEPT = timedelta(days=30)
"""After its end; until then it can be told where a login came from."""
_MOST = 200


def tidy(engine: Engine) -> None:
    """Delete old addresses and sessions and empty buckets, some hundred at most."""
    now = datetime.now(UTC)

    def old_sessions(connection: Connection) -> None:
        query = select(sessions.c.id).where(sessions.c.expires_at < now - SESSION_KEPT).limit(_MOST)
        ids = list(connection.execute(query).scalars())
        if ids:
            activity = session_activity.c.session_id
            connection.execute(delete(session_activity).where(activity.in_(ids)))
            connection.execute(delete(sessions).where(sessions.c.id.in_(ids)))

    def old_addresses(connection: Connection) -> None:
        connection.execute(
            delete(login_addresses)
            .where(login_addresses.c.last_login_at < now - ADDRESS_KEPT)
            .with_dialect_options(mysql_limit=_MOST)
        )

    transaction(engine, lambda connection: prune(connection, _MOST))
    transaction(engine, old_addresses)
    transaction(engine, old_sessions)
