"""Whoever may write may import a bill, and only those who see all teams may read it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from collectors.billing.rows import Billed, Bucket, billed_batch
from store import roles
from store.connect import connect
from store.settings import Settings
from store.write import Written, write
from tests.people import person

DAY = datetime(2025, 11, 1, tzinfo=UTC)


def test_a_bill_is_written_by_writers_and_read_by_those_who_see_all_teams(any_store: Settings) -> None:
    roles.ensure(any_store)
    bill = Billed(
        bucket=Bucket(DAY, 86400),
        source="openai-costs",
        provider="openai",
        line_item="o3, input",
        cost_usd=Decimal("0.25"),
    )
    batch = billed_batch([bill, bill], "default", DAY)
    with connect(any_store, autocommit=True) as connection:
        with person(connection, "wren", "gaugebook_writer") as name:
            connection.execute(f"SET SESSION AUTHORIZATION {name}")
            connection.execute("SET ROLE gaugebook_writer")
            assert write(connection, batch.table, batch.columns, batch.rows) == Written(1)
            assert write(connection, batch.table, batch.columns, batch.rows) == Written(0, 1)
        for teams, seen in (([], []), (["search"], []), (["*"], [(Decimal("0.50"),)])):
            with person(connection, "rita", "gaugebook_reader") as name:
                for team in teams:
                    connection.execute("INSERT INTO metrics.team_grants VALUES (%s, %s)", [name, team])
                connection.execute(f"SET SESSION AUTHORIZATION {name}")
                for relation in ("llm_billed", "llm_billed_latest"):
                    assert connection.execute(f"SELECT cost_usd FROM metrics.{relation}").fetchall() == seen
