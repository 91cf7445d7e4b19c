"""What nobody needs any more goes: a little now and then, so that no statement takes long."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError

from helfy import jsonlog
from helfy.database import error_code, transaction
from helfy.schema import login_addresses, session_activity, sessions
from helfy.throttle import prune

log = jsonlog.get(__name__)

EVERY_SECONDS = 60.0
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


class Housekeeper:
    """Tidies every minute, in a thread of its own, from :meth:`start` to :meth:`stop`.

    ``also`` is called in each round; what it raises must be SQLAlchemy's.
    """

    def __init__(
        self,
        engine: Engine,
        every_seconds: float = EVERY_SECONDS,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._also = also
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, with the first round a minute from now."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End, waiting for the round at hand up to ``timeout`` seconds."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                tidy(self._engine)
                self._also()
            except SQLAlchemyError as error:
                # The next round is as good: nobody waits for this one.
                fields = {"error": type(error).__name__, "code": error_code(error)}
                log.warning("not_tidied", extra={"fields": fields})
