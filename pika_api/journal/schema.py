"""The journal's tables, and the steps from each schema version to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

SCHEMA_VERSION: Final = 4

METADATA: Final = sa.MetaData()


class _Text(sa.types.TypeDecorator[str]):
    """A text. PostgreSQL cannot store the character NUL, so a replacement character is stored."""

    impl: type[sa.types.TypeEngine[str]] = sa.Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        return str

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        if value and dialect.name == "postgresql":
            return value.replace("\0", "\ufffd")
        return value


class _Id(_Text):
    """A text that identifies something. PostgreSQL stores the digest of one that is too long, which
    still identifies the same.

    Args:
        length: Maximum length in characters; at least 64.
    """

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        value = super().process_bind_param(value, dialect)
        if dialect.name != "postgresql" or value is None or len(value) <= self.length:
            return value  # SQLite stores a text of any length
        return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


VERSION: Final = sa.Table("pika_schema", METADATA, sa.Column("version", sa.Integer, nullable=False))

#: One row: the revision of the last change. See TRIGGERS.
REVISION: Final = sa.Table(
    "pika_revision", METADATA, sa.Column("value", sa.BigInteger, nullable=False)
)

#: The addresses and keys under which requests were stored before schema 4: they were part of the
#: fingerprints of that time. Filled by the upgrade only.
EARLIER_ACCOUNTS: Final = sa.Table(
    "pika_earlier_accounts",
    METADATA,
    sa.Column("base_url", sa.String(255), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
)

TASKS: Final = sa.Table(
    "pika_tasks",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64), index=True),
    # The fingerprint while this row answers for it, else NULL. NULLs do not collide.
    sa.Column("claim", sa.String(64), unique=True),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", sa.Float(53), nullable=False, default=0.0),
    sa.Column("task_id", _Id(255), index=True),
    sa.Column("base_url", sa.String(255), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("take", sa.String(24), nullable=False, default="0"),
    sa.Column("prompt", _Text, nullable=False, default=""),
    sa.Column("request", _Text, nullable=False, default="{}"),
    sa.Column("node_id", _Id(64), nullable=False, default=""),
    sa.Column("prompt_id", _Id(64), nullable=False, default=""),
    sa.Column("created_at", sa.Float(53), nullable=False, index=True),
    sa.Column("sent_at", sa.Float(53)),
    sa.Column("submitted_at", sa.Float(53)),
    sa.Column("finished_at", sa.Float(53)),
    sa.Column("saved_at", sa.Float(53)),
    sa.Column("forgotten_at", sa.Float(53)),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("result_url", _Text, nullable=False, default=""),
    sa.Column("file_path", _Text, nullable=False, default=""),
    sa.Column("last_error", _Text, nullable=False, default=""),
    # The time of the last change. A process of schema 2 that is still running uses it as its
    # cursor, so it grows with every change. The database's default is for a process of schema 1.
    sa.Column("changed_at", sa.Float(53), nullable=False, server_default="0", index=True),
    # The number of the last change, set by the triggers only.
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0", index=True),
    # The gateway's response to a submit whose outcome is unknown; shortened, without the key.
    sa.Column("answer", _Text, nullable=False, server_default=""),
    # The same lease on the clock of the machine's start; see `clocks`. It counts only while
    # `lease_owner` is the owner: a process of schema 3 sets the owner and `lease_until` only.
    sa.Column("lease_owner", sa.String(36)),
    sa.Column("lease_boot", sa.String(64)),
    sa.Column("lease_boot_until", sa.Float(53)),
    # SHA-256 of the file as the media host sent it, before the workflow was added to it.
    sa.Column("sha256", sa.String(64), nullable=False, server_default=""),
    # In the unit of the gateway's usage counter. `price` was read for this very task, `estimate` is
    # what it was expected to cost when its request was entered. NULL where that is not known.
    sa.Column("price", sa.Float(53)),
    sa.Column("estimate", sa.Float(53)),
    # The machine that has saved the file at `file_path`. Empty in a journal of one machine, and for
    # files of earlier versions.
    sa.Column("host", sa.String(64), nullable=False, server_default=""),
)

#: The beginning of a prompt, for its index: whole prompts would be too long for one.
PROMPT_START: Final = sa.func.substr(
    TASKS.c.prompt, sa.literal_column("1"), sa.literal_column("100")
)
#: Its length in characters.
PROMPT_START_LENGTH: Final = 100
_EMPTY: Final[sa.ColumnElement[str]] = sa.literal_column("''")
#: Requests whose fingerprint is free again. Neither `is_(None)` nor `is_not(None)`: SQLite would
#: use the indexes of these columns, which have nearly all rows.
RELEASED: Final = sa.and_(
    sa.func.coalesce(TASKS.c.fingerprint, _EMPTY) != _EMPTY,
    sa.func.coalesce(TASKS.c.claim, _EMPTY) == _EMPTY,
)


def _partial_index(name: str, *columns: Any, where: sa.ColumnElement[bool]) -> None:
    """An index of some rows. The condition of a query must contain the same condition."""
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# What is looked for often, and is rare in a journal of a million rows.
_partial_index("ix_pika_tasks_owner", TASKS.c.owner, where=TASKS.c.owner.is_not(None))
# With the column of their condition: SQLite would read the rows to count them.
_partial_index(
    "ix_pika_tasks_listed",
    TASKS.c.state,
    TASKS.c.id,
    TASKS.c.forgotten_at,
    where=TASKS.c.forgotten_at.is_(None),
)
_partial_index(
    "ix_pika_tasks_forgotten",
    TASKS.c.state,
    TASKS.c.forgotten_at,
    where=TASKS.c.forgotten_at.is_not(None),
)
_partial_index(
    "ix_pika_tasks_released",
    PROMPT_START,
    TASKS.c.fingerprint,
    TASKS.c.claim,
    where=RELEASED,
)
_partial_index(
    "ix_pika_tasks_errors", TASKS.c.revision, where=TASKS.c.last_error != sa.literal_column("''")
)

#: What single tasks have cost, as the usage counter showed it; see `prices`.
PRICES: Final = sa.Table(
    "pika_prices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("gateway", sa.String(255), nullable=False),
    sa.Column("model", _Id(64), nullable=False),
    sa.Column("effect", _Id(64), nullable=False),
    # Prices of different units cannot be compared.
    sa.Column("unit", sa.String(16), nullable=False),
    # The row in `pika_tasks`. Several processes may observe the same task.
    sa.Column("entry_id", sa.Integer, nullable=False, unique=True),
    sa.Column("price", sa.Float(53), nullable=False),
    sa.Index("ix_pika_prices_kind", "gateway", "model", "effect"),
)

#: Until when a key sends nothing; see `pauses`.
PAUSES: Final = sa.Table(
    "pika_pauses",
    METADATA,
    sa.Column("key_id", sa.String(16), primary_key=True),
    # Seconds since the epoch.
    sa.Column("until", sa.Float(53), nullable=False),
)

#: From each schema version to the next, statement by statement. Rows are never dropped.
#: `METADATA.create_all` has run before, so new tables exist; TRIGGERS are created afterwards.
UPGRADES: Final[Mapping[int, Sequence[str]]] = {
    1: (
        "ALTER TABLE pika_tasks ADD COLUMN changed_at FLOAT(53) NOT NULL DEFAULT 0",
        """UPDATE pika_tasks SET changed_at =
        COALESCE(forgotten_at, saved_at, finished_at, submitted_at, sent_at, created_at)""",
        "CREATE INDEX ix_pika_tasks_changed_at ON pika_tasks (changed_at)",
    ),
    2: (
        "ALTER TABLE pika_tasks ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
        # In the order of the changes so far. The index keeps the update linear in every database.
        """CREATE TEMPORARY TABLE pika_order AS
        SELECT id, ROW_NUMBER() OVER (ORDER BY changed_at, id) AS revision FROM pika_tasks""",
        "CREATE UNIQUE INDEX ix_pika_order ON pika_order (id)",
        """UPDATE pika_tasks SET revision =
        (SELECT pika_order.revision FROM pika_order WHERE pika_order.id = pika_tasks.id)""",
        "DROP TABLE pika_order",
        "CREATE INDEX ix_pika_tasks_revision ON pika_tasks (revision)",
    ),
    3: (
        "ALTER TABLE pika_tasks ADD COLUMN answer TEXT NOT NULL DEFAULT ''",
        """INSERT INTO pika_earlier_accounts (base_url, key_id)
        SELECT DISTINCT base_url, key_id FROM pika_tasks WHERE fingerprint IS NOT NULL""",
        "ALTER TABLE pika_tasks ADD COLUMN lease_owner VARCHAR(36)",
        "ALTER TABLE pika_tasks ADD COLUMN lease_boot VARCHAR(64)",
        "ALTER TABLE pika_tasks ADD COLUMN lease_boot_until FLOAT(53)",
        "ALTER TABLE pika_tasks ADD COLUMN sha256 VARCHAR(64) NOT NULL DEFAULT ''",
        "CREATE INDEX ix_pika_tasks_fingerprint ON pika_tasks (fingerprint)",
        "ALTER TABLE pika_tasks ADD COLUMN price FLOAT(53)",
        "ALTER TABLE pika_tasks ADD COLUMN estimate FLOAT(53)",
        "ALTER TABLE pika_tasks ADD COLUMN host VARCHAR(64) NOT NULL DEFAULT ''",
        "CREATE INDEX ix_pika_tasks_owner ON pika_tasks (owner) WHERE owner IS NOT NULL",
        """CREATE INDEX ix_pika_tasks_listed ON pika_tasks (state, id, forgotten_at)
        WHERE forgotten_at IS NULL""",
        """CREATE INDEX ix_pika_tasks_forgotten ON pika_tasks (state, forgotten_at)
        WHERE forgotten_at IS NOT NULL""",
        """CREATE INDEX ix_pika_tasks_released
        ON pika_tasks (substr(prompt, 1, 100), fingerprint, claim)
        WHERE coalesce(fingerprint, '') != '' AND coalesce(claim, '') = ''""",
        "CREATE INDEX ix_pika_tasks_errors ON pika_tasks (revision) WHERE last_error != ''",
    ),
}

#: A change of one of these columns is a change of the row. The columns of a lease are not among
#: them. `changed_at` is set with every change; a process of schema 1 sets only the others.
_CHANGE: Final = (
    "state, task_id, progress, result_url, file_path, last_error, forgotten_at, changed_at"
)
#: Gives the row a revision. Until its transaction ends, no other transaction gets one: so when a
#: revision can be read, all smaller ones can be read too, and a cursor never passes over a change.
_TAKE_REVISION: Final = """
    UPDATE pika_revision SET value = value + 1;
    UPDATE pika_tasks SET revision = (SELECT value FROM pika_revision) WHERE id = NEW.id;
"""

#: A process of an earlier version that is still running does not know the fingerprints of schema 4:
#: it would pay again for the tasks of this version. It enters requests without `lease_owner`.
_IS_EARLIER_CLAIM: Final = "NEW.state = 'intended' AND NEW.lease_owner IS NULL"
_RESTART: Final = "ComfyUI-Pika was updated: restart ComfyUI"

#: The statements that create the triggers or leave them as they are, by SQLAlchemy's name of the
#: database. The database itself counts the changes, so that no writer can fail to: neither this
#: version, nor an earlier one that is still running.
TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS pika_tasks_inserted",
        f"""CREATE TRIGGER pika_tasks_inserted AFTER INSERT ON pika_tasks BEGIN
        SELECT RAISE(ABORT, '{_RESTART}') WHERE {_IS_EARLIER_CLAIM}; {_TAKE_REVISION} END""",
        f"""CREATE TRIGGER IF NOT EXISTS pika_tasks_changed
        AFTER UPDATE OF {_CHANGE} ON pika_tasks BEGIN {_TAKE_REVISION} END""",
    ),
    "postgresql": (
        f"""CREATE OR REPLACE FUNCTION pika_take_revision() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {_TAKE_REVISION} RETURN NULL; END $$""",
        f"""CREATE OR REPLACE FUNCTION pika_check_claim() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
        IF {_IS_EARLIER_CLAIM} THEN RAISE EXCEPTION '{_RESTART}'; END IF; RETURN NEW; END $$""",
        "DROP TRIGGER IF EXISTS pika_tasks_checked ON pika_tasks",
        """CREATE TRIGGER pika_tasks_checked
        BEFORE INSERT ON pika_tasks FOR EACH ROW EXECUTE PROCEDURE pika_check_claim()""",
        "DROP TRIGGER IF EXISTS pika_tasks_inserted ON pika_tasks",
        """CREATE TRIGGER pika_tasks_inserted
        AFTER INSERT ON pika_tasks FOR EACH ROW EXECUTE PROCEDURE pika_take_revision()""",
        "DROP TRIGGER IF EXISTS pika_tasks_changed ON pika_tasks",
        f"""CREATE TRIGGER pika_tasks_changed AFTER UPDATE OF {_CHANGE}
        ON pika_tasks FOR EACH ROW EXECUTE PROCEDURE pika_take_revision()""",
    ),
}
