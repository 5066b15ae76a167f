"""A real PostgreSQL server for the tests, and new databases in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from devtools.setup.postgres import NoPostgres, postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server of its own, and of its database ``postgres``."""
    try:
        with postgres() as url:
            yield url
    except NoPostgres as error:
        pytest.skip(str(error))


@pytest.fixture
def database(postgres_server: str) -> str:
    """The address of a new, empty database."""
    return create_database(postgres_server)


def create_database(server: str) -> str:
    """Create an empty database in a server; returns its address."""
    name = f"pika_{next(_NUMBERS)}"
    execute(server, f"CREATE DATABASE {name}")
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def execute(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own where PostgreSQL needs none."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
