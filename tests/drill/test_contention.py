"""Two writers of the same rows, serializable and not, for a good while."""

from __future__ import annotations

import pytest
from psycopg import sql

from tests.store.faults import administration, database, two_writers_of_the_same_rows

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_two_writers_of_the_same_rows(any_store, isolation):
    with administration(any_store) as boss:
        boss.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(
                database(any_store), sql.Literal(isolation)
            )
        )
    two_writers_of_the_same_rows(any_store, batches=500)
