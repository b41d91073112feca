"""Queues: their state now, flow, capacity, alarms of nodes, and what moves with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.alarms import Alarms, alarms
from analytics.capacity import Capacity, capacity
from analytics.counters import rates
from analytics.explained import Explained, Grounds
from analytics.frames import Kind, native, polars
from analytics.lags import LeadLag, lead_lag
from analytics.tabled import Tabled
from analytics.waits import ages
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

__all__ = [
    "Alarms",
    "Capacity",
    "LeadLag",
    "QueueState",
    "ages",
    "alarms",
    "capacity",
    "deepest",
    "flow",
    "lead_lag",
    "rates",
    "state",
]

MIN_RATE = 1e-9  # messages/s below which a queue counts as standing still
NEEDED = ("last_messages", "max_messages", "avg_consumers", "avg_published_per_s", "avg_acked_per_s")
NAMES = ("cluster", "vhost", "queue")


@dataclass(frozen=True, repr=False)
class QueueState(Explained, Tabled):
    """The state of each queue at its latest bucket, deepest first.

    `table` has cluster, vhost, queue, bucket, messages (last seen), max_messages, consumers, published_per_s and
    acked_per_s (means of the bucket), and `drain_s`: seconds to empty at these rates, null where it never will.
    """

    table: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The deepest queue, those that never drain, those without a consumer."""
        deepest = self.table.row(0, named=True)
        count, waits = len(self.table), float(self.table["messages"].sum())
        text = f"{count} {'queue holds' if count == 1 else 'queues hold'} {words.amount(waits, 'messages')}"
        if not waits:
            return f"{text}: nothing waits."
        text += f"; the deepest is {deepest['queue']} with {words.amount(deepest['messages'])}"
        drain = deepest["drain_s"]
        text += "." if drain is None else f", empty in {words.seconds(drain)} at present rates."
        waiting = self.table.filter(pl.col("messages") > 0)
        growing = waiting.filter(pl.col("drain_s").is_null() & pl.col("acked_per_s").is_not_null())
        if len(growing):
            text += f" At present rates {_listed(growing)} will not drain."
        idle = waiting.filter(pl.col("consumers") == 0)
        if len(idle):
            text += f" No consumer: {_listed(idle)}."
        return text

    def grounds(self) -> Grounds:
        """The buckets it is read from, what it leaves out, and which queue to look after."""
        buckets = self.table["bucket"]
        stuck = self.table.filter((pl.col("messages") > 0) & pl.col("drain_s").is_null())
        return Grounds(
            f"From the latest bucket of {len(self.table)} queues, {words.moment(buckets.max())}.",
            "Depths were measured; the time to drain holds only as long as the rates of that bucket do.",
            f"Look after {_listed(stuck)}: consumers, or what they wait for. `queues.capacity` says how many it takes."
            if len(stuck)
            else "Nothing: every queue drains.",
        )

    def plot(self) -> Figure:
        """Messages in each queue, and how long it takes to drain."""
        from analytics.charts.states import stacked

        depth = {"messages": self.table["messages"].to_list()}
        names = self.table["queue"].to_list()
        return stacked(names, depth, "Messages that wait", self.sentence(), axis="messages", texts=self._told())

    def picture(self) -> str:
        """The same, small."""
        from analytics.pictures import bars

        return bars(self.table["queue"].to_list(), self.table["messages"].to_list(), self._told(), self.sentence())

    def for_people(self) -> pl.DataFrame:
        """Without the columns that are the same for all."""
        return self.table.drop([name for name in ("cluster", "vhost", "bucket") if self.table[name].n_unique() == 1])

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def _told(self) -> list[str]:
        rows = self.table.select("messages", "drain_s").iter_rows()
        return [f"{words.amount(n)}, {'no end' if s is None else words.seconds(s)}" if n else "0" for n, s in rows]


def state(frame: Frame) -> QueueState:
    """The latest state of each queue and its time to drain.

    The fluid limit of a queue: backlog / (service - arrival). One that grows or stands still never drains.

    Args:
        frame: wide rows as `load.queue_metrics` gives them.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there.

    Source:
        L. Kleinrock, *Queueing Systems* II, 1976, section 2.7 (fluid approximation).

    >>> rows = pl.DataFrame({"bucket": [1], "cluster": "c", "vhost": "/", "queue": "q", "last_messages": 100,
    ...     "max_messages": 120, "avg_consumers": 2.0, "avg_published_per_s": 5.0, "avg_acked_per_s": 25.0})
    >>> state(rows).table["drain_s"].to_list()
    [5.0]
    """
    data, kind = polars(frame)
    for name in ("bucket", *NAMES, *NEEDED):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the queue frame")
    latest = data.sort("bucket").group_by(NAMES).last()
    backlog = pl.col("messages")
    surplus = pl.col("acked_per_s") - pl.col("published_per_s")
    # An empty queue has drained whatever its rates; without this, 0 / 0 would say "never".
    drain = pl.when(backlog == 0).then(0.0).when(surplus > MIN_RATE).then(backlog / surplus)
    table = latest.select(
        *NAMES,
        "bucket",
        pl.col("last_messages").alias("messages"),
        "max_messages",
        pl.col("avg_consumers").alias("consumers"),
        pl.col("avg_published_per_s").alias("published_per_s"),
        pl.col("avg_acked_per_s").alias("acked_per_s"),
    ).with_columns(drain.alias("drain_s"))
    return QueueState(table.sort("messages", *NAMES, descending=[True, False, False, False], nulls_last=True), kind)


def flow(frame: Frame) -> Frame:
    """Messages per second into and out of all queues: a long frame of the series published, delivered and acked.

    Args:
        frame: wide rows as `load.queue_metrics` gives them.

    Raises:
        ColumnMissing: a column is not there.

    >>> rows = pl.DataFrame({"bucket": [1, 1], "avg_published_per_s": [1.0, 2.0], "avg_delivered_per_s": [None, 1.0],
    ...     "avg_acked_per_s": [0.5, 0.5]})
    >>> flow(rows)["y"].to_list()
    [1.0, 1.0, 3.0]
    """
    data, kind = polars(frame)
    rates = {name: f"avg_{name}_per_s" for name in ("published", "delivered", "acked")}
    for name in ("bucket", *rates.values()):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    sums = [pl.when(pl.col(c).count() > 0).then(pl.col(c).sum()).cast(pl.Float64).alias(n) for n, c in rates.items()]
    wide = data.group_by(pl.col("bucket").alias("ds")).agg(sums)
    long = wide.unpivot(index="ds", variable_name="unique_id", value_name="y")
    return native(long.select("unique_id", "ds", "y").sort("unique_id", "ds"), kind)


def deepest(frame: Frame, count: int) -> Frame:
    """The `count` series of a long frame that were deepest at any time; series without any value are left out.

    >>> deepest(pl.DataFrame({"unique_id": ["a", "b", "b"], "ds": [1, 1, 2], "y": [5.0, 1.0, 9.0]}), 1)["y"].to_list()
    [1.0, 9.0]
    """
    data, kind = polars(frame)
    peaks = data.group_by("unique_id").agg(pl.col("y").max()).drop_nulls()
    top = peaks.sort("y", "unique_id", descending=[True, False])["unique_id"].head(count)
    return native(data.filter(pl.col("unique_id").is_in(top.implode())), kind)


def _listed(rows: pl.DataFrame, most: int = 3) -> str:
    names = [str(name) for name in rows["queue"].head(most)]
    more = len(rows) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
