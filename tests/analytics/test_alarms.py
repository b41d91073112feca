from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from analytics import queues
from store.errors import ColumnMissing, NoRows, ParameterInvalid
from tests.analytics.seed import NASTY, START, hours


def nodes(memory, *, free=10**10, count=48, node="rabbit@a"):
    return pl.DataFrame({
        "ts": hours(count), "node": node, "memory_bytes": memory, "memory_limit_bytes": 10**9,
        "disk_free_bytes": free, "disk_free_limit_bytes": 10**9,
    })  # fmt: skip


def test_a_trend_leads_to_an_alarm_and_odd_samples_do_not_bend_it():
    random = np.random.default_rng(2)
    memory = 5e8 + 1e6 * np.arange(48) + random.normal(0, 1e5, 48)
    memory[[5, 20, 33]] = 9e8
    row = queues.alarms(nodes(memory)).table.row(0, named=True)
    left = (1e9 - memory[-1]) / 1e6 * 3600
    assert row["resource"] == "memory"
    assert row["alarm_s"] == pytest.approx(left, rel=0.05)
    assert row["alarm_s-lo"] < row["alarm_s"] < row["alarm_s-hi"]
    assert row["per_hour_bytes"] == pytest.approx(1e6, rel=0.05)


def test_a_disk_that_fills_and_a_memory_that_falls():
    free = pl.Series([10**10 - 10**8 * k for k in range(48)])
    found = queues.alarms(nodes(pl.Series([9 * 10**8 - 10**6 * k for k in range(48)]), free=free))
    assert found.table.select("resource", "alarm_s").rows() == [("disk", 43 * 3600.0), ("memory", None)]
    assert "disk of rabbit@a goes off in" in found.sentence()


def test_noise_leads_nowhere_for_certain():
    random = np.random.default_rng(3)
    row = queues.alarms(nodes(5e8 + random.normal(0, 1e7, 48))).table.filter(resource="memory").row(0, named=True)
    assert row["alarm_s-hi"] is None


def test_an_alarm_that_is_on_comes_first():
    found = queues.alarms(pl.concat([nodes(1), nodes(2 * 10**9, node=NASTY)]))
    assert found.table["alarm_s"][0] == 0
    assert "is on: publishers are blocked" in found.sentence()
    assert "<script>" not in found._repr_html_()


def test_awkward_input():
    with pytest.raises(NoRows):
        queues.alarms(nodes(1).clear())
    with pytest.raises(NoRows):
        queues.alarms(
            nodes(1).with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("memory_bytes", "disk_free_bytes"))
        )
    with pytest.raises(ColumnMissing, match="did you mean"):
        queues.alarms(nodes(1).rename({"memory_limit_bytes": "memory_limit"}))
    with pytest.raises(ParameterInvalid, match="datetimes"):
        queues.alarms(nodes(1).with_columns(ts=pl.lit(1)))
    one = queues.alarms(nodes(1).head(1))
    assert one.table["alarm_s"].null_count() == 2
    assert "No alarm is near" in one.sentence()
    moved = nodes(1).with_columns(ts=pl.lit(START) + timedelta(0))
    assert queues.alarms(moved).table["alarm_s"].null_count() == 2
