"""When a node's memory or disk alarm will go off: the trend of what is used against the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

# What grows towards a limit: room left, in bytes.
ROOM = {
    "memory": pl.col("memory_limit_bytes").cast(pl.Float64) - pl.col("memory_bytes"),
    "disk": pl.col("disk_free_bytes").cast(pl.Float64) - pl.col("disk_free_limit_bytes"),
}
NEEDED = ("memory_bytes", "memory_limit_bytes", "disk_free_bytes", "disk_free_limit_bytes")
POINTS = 300  # samples that a slope is taken from, evenly chosen
SURE = 1.96  # standard errors of Kendall's score: 95 %


@dataclass(frozen=True, repr=False)
class Alarms(Explained, Tabled):
    """Room before each alarm. A broker in alarm blocks every publisher.

    `table` has one row per node and resource, the nearest alarm first: cluster, node, `resource` (memory or disk),
    `room_bytes` (until the alarm, 0 or less: it is on), `per_hour_bytes` (how fast it shrinks, below zero: it grows),
    `alarm_s` (seconds to the alarm; null: the trend does not lead there) and its 95 % interval `alarm_s-lo`,
    `alarm_s-hi` (null: not certain that it ever comes).
    """

    table: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The nearest alarm."""
        row = self.table.row(0, named=True)
        name = f"{row['resource']} of {row['node']}"
        if row["room_bytes"] <= 0:
            return f"The alarm for {name} is on: publishers are blocked."
        if row["alarm_s"] is None:
            return f"No alarm is near; least room is left in {name}, {words.amount(row['room_bytes'], 'bytes')}."
        return f"At the present trend the alarm for {name} goes off in {words.seconds(row['alarm_s'])}."

    def grounds(self) -> Grounds:
        """The samples, the interval of the trend, and what gives room."""
        row = self.table.row(0, named=True)
        nodes = self.table["node"].n_unique()
        low, high = (words.seconds(row[f"alarm_s-{side}"]) for side in ("lo", "hi"))
        sure = f"At 95 % the alarm comes between {low} and {high} from now."
        if row["alarm_s"] is None or row["alarm_s-lo"] is None:
            sure = "The trend leads to no alarm; a sudden jump has none."
        elif row["alarm_s-hi"] is None:
            sure = f"At 95 % the alarm comes after {low} or later; it is not certain that it ever comes."
        return Grounds(
            f"From samples of {nodes} {words.plural('node', nodes)}: what is used, its limit, and the trend between.",
            sure,
            "Purge or drain what lies in long queues, or give the node room, before publishers are blocked.",
        )

    def plot(self) -> Figure:
        """Room before each alarm, in GB, and when it is gone."""
        from analytics.charts.states import stacked

        names, rooms, texts = self._rooms()
        return stacked(names, {"room": rooms}, "Room before the alarm", self.sentence(), axis="GB", texts=texts)

    def picture(self) -> str:
        """The same, small."""
        from analytics.pictures import bars

        return bars(*self._rooms(), self.sentence())

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        return self.table.drop(["cluster"] if self.table["cluster"].n_unique() == 1 else [])

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def _rooms(self) -> tuple[list[str], list[float], list[str]]:
        rows = self.table.iter_rows(named=True)
        made = [(f"{r['resource']} of {r['node']}", r["room_bytes"] / 1e9, r["alarm_s"]) for r in rows]
        return (
            [name for name, _, _ in made],
            [room for _, room, _ in made],
            [f"{room:.3g} GB" + ("" if left is None else f", {words.seconds(left)}") for _, room, left in made],
        )


def alarms(frame: Frame, *, time_col: str = "ts") -> Alarms:
    """Say how far each node is from its memory and its disk alarm.

    The trend is the median of the slopes between all pairs of samples, which a third of odd samples does not move; its
    interval is that of Kendall's test. A restart or a changed limit is a jump, not a trend: give a span without one.

    Args:
        frame: one row per node and sample, as `load.node_samples` gives them: ts (datetimes), node, memory_bytes,
            memory_limit_bytes, disk_free_bytes, disk_free_limit_bytes; cluster where there are several.
        time_col: name of the column of times.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        ParameterInvalid: times that are no datetimes.

    Source:
        P. K. Sen, *Estimates of the regression coefficient based on Kendall's tau*, JASA 63, 1968.

    >>> from datetime import datetime, timedelta, UTC
    >>> moments = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=k) for k in range(24)]
    >>> nodes = pl.DataFrame({"ts": moments, "node": "n", "memory_bytes": [100 * k for k in range(24)],
    ...     "memory_limit_bytes": 3300, "disk_free_bytes": 9000, "disk_free_limit_bytes": 50})
    >>> alarms(nodes).table.select("resource", "room_bytes", "alarm_s").rows()
    [('memory', 1000.0, 36000.0), ('disk', 8950.0, None)]
    """
    data, kind = polars(frame)
    for name in (time_col, "node", *NEEDED):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the node samples")
    if not isinstance(data[time_col].dtype, pl.Datetime):
        raise ParameterInvalid(time_col, f"expected datetimes, got {data[time_col].dtype}")
    cluster = pl.col("cluster") if "cluster" in data.columns else pl.lit("")
    seconds = pl.col(time_col).cast(pl.Datetime("us")).to_physical() / 1e6
    data = data.with_columns(
        cluster.alias("cluster"), seconds.alias("at"), *(room.alias(n) for n, room in ROOM.items())
    )
    rows = []
    for (name, node), samples in data.sort("at").group_by("cluster", "node", maintain_order=True):
        for resource in ROOM:
            known = samples.filter(pl.col(resource).is_finite())
            if len(known):
                rows.append((name, node, resource, *_alarm(known["at"].to_numpy(), known[resource].to_numpy())))
    columns = ["room_bytes", "per_hour_bytes", "alarm_s", "alarm_s-lo", "alarm_s-hi"]
    schema = {"cluster": pl.String, "node": pl.String, "resource": pl.String, **dict.fromkeys(columns, pl.Float64)}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if table.is_empty():
        raise NoRows("samples of nodes with a limit")
    on = pl.col("room_bytes") > 0
    return Alarms(table.sort(on, pl.col("alarm_s"), "room_bytes", nulls_last=True), kind)


def _alarm(at: Floats, room: Floats) -> tuple[float | None, ...]:
    """Room now, how fast it shrinks, seconds until it is gone with the interval."""
    left = float(room[-1])
    if len(at) < 3:
        return left, None, 0.0 if left <= 0 else None, None, None
    low, slope, high = _slope(at, -room)
    times = [left / each if each > 0 else None for each in (slope, high, low)]
    return (left, 3600 * slope, *([0.0, 0.0, 0.0] if left <= 0 else times))


def _slope(at: Floats, values: Floats) -> tuple[float, float, float]:
    """Sen's slope between the bounds of its 95 % interval."""
    chosen = np.unique(np.linspace(0, len(at) - 1, min(POINTS, len(at))).astype(int))
    at, values = at[chosen], values[chosen]
    early, late = np.triu_indices(len(at), 1)
    slopes = np.sort((values[late] - values[early]) / np.maximum(at[late] - at[early], 1e-6))
    points = len(at)
    reach = SURE * np.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    edges = np.clip(((len(slopes) - reach) / 2, (len(slopes) + reach) / 2), 0, len(slopes) - 1).astype(int)
    return float(slopes[edges[0]]), float(np.median(slopes)), float(slopes[edges[1]])
