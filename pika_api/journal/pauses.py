"""Until when a key must send nothing: a 429 to one process holds for all on the same journal."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from .clocks import Clocks
from .database import Database
from .schema import PAUSES

#: A longer pause than this is not believed: the wall clock was set back meanwhile. Seconds.
_LONGEST: Final = 3600.0

_READ: Final = sa.select(PAUSES.c.until).where(PAUSES.c.key_id == sa.bindparam("key"))
#: The later end counts, unless it is not believed. Both databases have this statement.
_WRITE: Final = sa.text(
    "INSERT INTO pika_pauses (key_id, until) VALUES (:key, :until) "
    "ON CONFLICT (key_id) DO UPDATE SET until = excluded.until "
    "WHERE pika_pauses.until < excluded.until OR pika_pauses.until > :believed"
)


class Pauses:
    """The pauses of keys. Every method raises `JournalError` if the database does not answer.

    Args:
        database: The journal's database.
        clocks: The journal's clocks.
    """

    def __init__(self, database: Database, clocks: Clocks) -> None:
        self._database = database
        self._clocks = clocks

    def begin(self, key_id: str, seconds: float) -> None:
        """Send nothing with a key for at least this long."""
        with self._database.write() as connection:
            now = self._clocks.wall()
            until = now + min(seconds, _LONGEST)
            values = {"key": key_id, "until": until, "believed": now + _LONGEST}
            connection.execute(_WRITE, values)

    def remaining(self, key_id: str) -> float:
        """Seconds until a key may send again; 0 if it may now."""
        with self._database.read() as connection:
            until = connection.execute(_READ, {"key": key_id}).scalar()
            now = self._clocks.wall()
        if until is None or not now < until <= now + _LONGEST:
            return 0.0
        return float(until - now)
