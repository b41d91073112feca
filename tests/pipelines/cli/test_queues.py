"""`gaugebook queues`, as its user meets it."""

from __future__ import annotations

import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from store.errors import NoRows
from tests.analytics.seed import QUEUES, busy_queues, put


@pytest.fixture
def gaugebook(store, monkeypatch):
    """Runs the command on the store."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())

    def run(*words: str):
        ended = CliRunner().invoke(app, ["queues", *words])
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return ended

    return run


def test_capacity_of_every_queue(gaugebook, store, tmp_path):
    put(store, "metrics.rabbitmq_queues", QUEUES, busy_queues(30, ("orders", "[red]")))
    file = tmp_path / "queues.parquet"
    ended = gaugebook("--horizon", "3", "--target-age", "5", "--output", str(file))
    assert ended.exit_code == 0
    assert "orders" in ended.output
    assert "[red]" in ended.output
    assert pl.read_parquet(file)["served_per_s"].to_list() == [6.0, 6.0]


def test_nothing_on_record(gaugebook):
    with pytest.raises(NoRows, match="rabbitmq_queues"):
        gaugebook()
