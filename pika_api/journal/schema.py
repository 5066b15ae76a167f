"""The journal's tables, and the steps from each schema version to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

SCHEMA_VERSION: Final = 2


#: From each schema version to the next, statement by statement. Rows are never dropped.
UPGRADES: Final[Mapping[int, Sequence[str]]] = {
    1: (
        "ALTER TABLE pika_tasks ADD COLUMN changed_at FLOAT(53) NOT NULL DEFAULT 0",
        """UPDATE pika_tasks SET changed_at =
        COALESCE(forgotten_at, saved_at, finished_at, submitted_at, sent_at, created_at)""",
        "CREATE INDEX ix_pika_tasks_changed_at ON pika_tasks (changed_at)",
    ),
}


METADATA = sa.MetaData()


VERSION = sa.Table("pika_schema", METADATA, sa.Column("version", sa.Integer, nullable=False))


TASKS: Final = sa.Table(
    "pika_tasks",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    # The fingerprint while this row answers for it, else NULL. NULLs do not collide.
    sa.Column("claim", sa.String(64), unique=True),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", sa.Float(53), nullable=False, default=0.0),
    sa.Column("task_id", sa.String(255), index=True),
    sa.Column("base_url", sa.String(255), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("take", sa.String(24), nullable=False, default="0"),
    sa.Column("prompt", sa.Text, nullable=False, default=""),
    sa.Column("request", sa.Text, nullable=False, default="{}"),
    sa.Column("node_id", sa.String(64), nullable=False, default=""),
    sa.Column("prompt_id", sa.String(64), nullable=False, default=""),
    sa.Column("created_at", sa.Float(53), nullable=False, index=True),
    sa.Column("sent_at", sa.Float(53)),
    sa.Column("submitted_at", sa.Float(53)),
    sa.Column("finished_at", sa.Float(53)),
    sa.Column("saved_at", sa.Float(53)),
    sa.Column("forgotten_at", sa.Float(53)),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("result_url", sa.Text, nullable=False, default=""),
    sa.Column("file_path", sa.Text, nullable=False, default=""),
    sa.Column("last_error", sa.Text, nullable=False, default=""),
    # When a list last had to show it anew. The database's own default is for a process of an
    # earlier version, which may still be writing when this one brings the tables up to date.
    sa.Column("changed_at", sa.Float(53), nullable=False, server_default="0", index=True),
)
