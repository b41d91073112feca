"""How much a queue can take: arrivals against capacity, how long things wait, when it is empty or full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.erlang import servers
from analytics.explained import Explained, Grounds
from analytics.flow import QUEUE, Flow, Rates, flows
from analytics.forecasting import forecast, levels_of
from analytics.frames import Floats, Kind
from analytics.simulation import backlog, consumers_needed
from analytics.tabled import Tabled
from store.errors import ParameterInvalid, UnknownName

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

PICTURED = 168  # buckets of the past in a small picture
TAIL = 0.9  # of the outcomes in which the target age must hold
LEAST = 100  # paths, fewer tell nothing of a tail
CELLS = 8_000_000  # numbers of paths that are held at once
MIN_RATE = 1e-9  # messages/s below which a queue counts as standing still
HALF = 0.5  # probability from which on a full queue is advised against


@dataclass(frozen=True, repr=False)
class Capacity(Explained, Tabled):
    """Arrivals against capacity of each queue, now and in the time to come.

    `table` has one row per queue, the most endangered first: cluster, vhost, queue, `messages` (last seen),
    `consumers`, `arriving_per_s` and `served_per_s` (means of the window), `capacity_per_s` (what these consumers can
    serve; of a queue that was never busy only a lower bound is known: `capacity_seen` is false), `utilisation`
    (arriving / capacity), `age_s` (mean time in the queue by Little's law), `drain_s` (until it is empty at these
    rates; null: never), `full_s` (until `max_length` at these rates; null: never, or no limit), `p_full` (probability
    that it is full within the horizon), `peak_messages` (median of the deepest), and `consumers_needed` for the target
    age under the load that is forecast.

    `backlog` has one row per queue and step to come: `ds`, `arriving_per_s` (median), `capacity_per_s`, `messages`
    (median) and its intervals `messages-lo-80`, ... . `history` is the depth and the rates so far.
    """

    table: pl.DataFrame
    backlog: pl.DataFrame
    history: pl.DataFrame
    horizon: int
    target_age_s: float
    level: tuple[float, ...]
    step_s: float
    kind: Kind = "polars"

    def plot(self, *, most: int = 3) -> Figure:
        """Depth with its fan, and arrivals against capacity, of the `most` endangered queues."""
        from analytics.charts import capacity as drawn

        return drawn(self, most=most)

    def sentence(self) -> str:
        """The queue with least room, how long things wait in it, and who lacks consumers."""
        first = self.table.row(0, named=True)
        text = f"{first['queue']} is busiest"
        if first["utilisation"] is not None:
            least = "" if first["capacity_seen"] else "at most "
            text += f": {least}{words.share(first['utilisation'])} of its capacity of "
            text += f"{'' if first['capacity_seen'] else 'at least '}{words.amount(first['capacity_per_s'])} messages/s"
        if first["age_s"] is not None:
            text += f", where a message waits {words.seconds(first['age_s'])}"
        text += "."
        if first["p_full"]:
            odds = words.share(first["p_full"])
            text += f" It is full within {self.horizon} {self._step()} with a probability of {odds}."
        short = self.table.filter(pl.col("consumers_needed") > pl.col("consumers"))
        if len(short):
            row = short.sort(pl.col("consumers_needed") - pl.col("consumers"), descending=True).row(0, named=True)
            asked, has = words.seconds(self.target_age_s), words.amount(row["consumers"])
            text += f" To wait {asked} at most {row['queue']} needs {row['consumers_needed']} consumers and has {has}."
        endless = self.table.filter(pl.col("drain_s").is_null() & (pl.col("messages") > 0))
        if len(endless):
            text += f" {len(endless)} {'queue does' if len(endless) == 1 else 'queues do'} not drain at these rates."
        return text

    def grounds(self) -> Grounds:
        """The buckets, how sure capacity and depth are, and whom to give consumers."""
        seen = int(self.table["capacity_seen"].sum())
        level = f"{self.level[0]:g}"
        short = self.table.filter(pl.col("consumers_needed") > pl.col("consumers"))
        named = ", ".join(str(name) for name in short["queue"].head(3))
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        return Grounds(
            f"From {words.amount(len(self.history))} buckets of {len(self.table)} queues.",
            f"Capacity was seen in {seen} of them; of the others, never busy, only a lower bound is known. The depth "
            f"to come is a simulation with {level} % intervals.",
            f"Give consumers to {named}{more}." if len(short) else "Nothing: consumers are enough for the target age.",
        )

    def picture(self) -> str:
        """Depth of the most endangered queue so far and to come, and its limit."""
        from analytics.pictures import lines

        first = self.table.row(0, named=True)
        own = [pl.col(name) == first[name] for name in QUEUE]
        past = self.history.filter(*own).sort("ds")["messages"].tail(PICTURED)
        ahead, level = self.backlog.filter(*own).sort("ds"), f"{self.level[0]:g}"
        band = (ahead[f"messages-lo-{level}"], ahead[f"messages-hi-{level}"])
        alt = f"{first['queue']}: {self.sentence()}"
        return lines(past, ahead["messages"], band, limit=first["max_length"], alt=alt, unit="messages")

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the queues."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """Which queue will be full, which lacks consumers, and which does not drain."""
        said = []
        for row in self.table.filter(pl.col("p_full") >= HALF).head(1).iter_rows(named=True):
            odds = words.share(row["p_full"])
            said.append(f"Make room in {row['queue']}: {odds} that it is full within {self.horizon} {self._step()}.")
        lacking = (pl.col("consumers_needed") - pl.col("consumers")).fill_null(0)
        for row in self.table.filter(lacking > 0).sort(lacking, descending=True).head(2).iter_rows(named=True):
            asked, has = words.seconds(self.target_age_s), words.amount(row["consumers"])
            change = f"Give {row['queue']} {row['consumers_needed']} consumers instead of {has}"
            said.append(f"{change}, so that a message waits {asked} at most.")
        endless = pl.col("drain_s").is_null() & (pl.col("messages") > 0) & (lacking <= 0)
        stuck = self.table.filter(endless).select("queue", pl.col("messages").map_elements(words.amount, pl.String))
        said += [f"Look at {queue}: its {depth} messages do not drain at these rates." for queue, depth in stuck.rows()]
        return said

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        same = [name for name in ("cluster", "vhost") if self.table[name].n_unique() == 1]
        empty = [name for name in ("full_s", "p_full") if not self.table[name].count()]
        return self.table.drop(*same, *empty, "capacity_seen", "served_per_s", "max_length")

    def _step(self) -> str:
        return words.plural(words.step(self.step_s), self.horizon)


def capacity(
    frame: Frame,
    horizon: int = 24,
    *,
    target_age_s: float = 60.0,
    max_length: float | Mapping[str, float] | None = None,
    window: int | None = None,
    level: float | Sequence[float] = (80, 95),
    n: int = 500,
    seed: int = 0,
    time_col: str = "bucket",
    queue_col: str = "queue",
    messages_col: str = "last_messages",
    consumers_col: str = "avg_consumers",
    arrivals_col: str = "avg_published_per_s",
    served_col: str = "avg_acked_per_s",
) -> Capacity:
    """Say how much of its capacity each queue uses, and how deep it will be.

    Arrivals are what is published; where that is not known, what is served and what the depth grew by. Capacity is seen
    only while a queue is busy: it is the median of what one consumer served in buckets that began and ended with more
    messages than consumers have in hand, stalls left out, times the consumers of the latest bucket; a queue that was
    never busy has shown only that it can serve what it served. The depth to come is simulated: forecast paths of
    arrivals less capacity, never below zero, never above `max_length`. Consumers needed are the fewest with which, in
    90 % of the paths, the youngest message waits less than `target_age_s` from a quarter of the horizon on (the time to
    work off what waits now), and with which chance alone (Erlang's C at the peak) makes it wait no longer.

    Args:
        frame: wide rows as `load.queue_metrics` or `queues.rates` give them: bucket, queue (cluster and vhost where
            there are several), last_messages, avg_consumers, avg_published_per_s, avg_acked_per_s.
        horizon: steps to simulate, 0 or more.
        target_age_s: seconds that a message may wait.
        max_length: messages that a queue may hold: one number, or {queue: number}. Default: the column `max_length`,
            if there is one.
        window: latest steps that rates and capacity are taken from. Default: 24, or all if there are fewer; capacity
            looks back seven times as far.
        level: intervals in per cent, between 0 and 100.
        n: paths to simulate, at least 100.
        seed: of the simulation.
        time_col: name of the column of times.
        queue_col: name of the column of queues.
        messages_col: name of the column of depths.
        consumers_col: name of the column of consumers.
        arrivals_col: name of the column of messages/s that arrive.
        served_col: name of the column of messages/s that are served.

    Raises:
        NoRows, TooShort, ColumnMissing: what came in cannot be used.
        UnknownName: `max_length` names a queue that there is not.
        ParameterInvalid: a number or column cannot be used.

    Source:
        J. D. C. Little, *A proof for the queuing formula L = lambda W*, Operations Research 9, 1961; D. V. Lindley,
        *The theory of queues with a single server*, 1952 (the recursion); L. Kleinrock, *Queueing Systems* II, 1976,
        section 2.7 (fluid approximation); A. K. Erlang, 1917 (waiting).

    >>> first, last = pl.datetime(2026, 3, 2), pl.datetime(2026, 3, 4, 23)
    >>> hours = pl.datetime_range(first, last, "1h", time_zone="UTC", eager=True)
    >>> rows = pl.DataFrame({"bucket": hours, "queue": "q", "last_messages": 3600 * 4, "avg_consumers": 2.0,
    ...     "avg_published_per_s": 8.0, "avg_acked_per_s": 8.0})
    >>> made = capacity(rows, horizon=4, target_age_s=60)
    >>> made.table.select("capacity_per_s", "utilisation", "age_s", "drain_s", "consumers_needed").row(0)
    (8.0, 1.0, 1800.0, None, 3)
    """
    levels = levels_of(level)
    _whole("horizon", horizon, 0)
    _whole("n", n, LEAST)
    if window is not None:
        _whole("window", window, 1)
    if not (isinstance(target_age_s, int | float) and isfinite(target_age_s) and target_age_s > 0):
        raise ParameterInvalid("target_age_s", f"expected seconds, more than zero, got {target_age_s!r}")
    columns = {
        time_col: "ds",
        queue_col: "queue",
        messages_col: "messages",
        consumers_col: "consumers",
        arrivals_col: "arriving_per_s",
        served_col: "served_per_s",
    }
    flow = flows(frame, columns)
    rates, limits = flow.rates(window), _limits(max_length, flow)
    size = max(1, CELLS // (n * max(1, horizon)))
    parts = [slice(low, low + size) for low in range(0, len(flow.ids), size)]
    made = [_simulated(flow, rates, limits, part, horizon, n, seed, target_age_s, levels) for part in parts]
    table = _table(flow, rates, limits, pl.concat([told for told, _ in made]))
    steps = flow.last + flow.grid.step * np.arange(1, horizon + 1)
    clock = pl.DataFrame({"ds": flow.grid.times(steps)}).with_row_index("step")
    depth = pl.concat([rows for _, rows in made]).join(clock, on="step", maintain_order="left")
    named = flow.ids.with_row_index("row")
    depth = depth.join(named, on="row", maintain_order="left").select(
        *QUEUE, "ds", pl.exclude(*QUEUE, "ds", "row", "step")
    )
    return Capacity(table, depth, _history(flow), horizon, float(target_age_s), levels, flow.step_s, flow.kind)


def _simulated(
    flow: Flow, rates: Rates, limits: Floats, part: slice, horizon: int, n: int, seed: int, target_age_s: float,
    levels: tuple[float, ...],
) -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    """Of some queues: what the paths say of each, and their depth step by step."""
    count = len(flow.ids[part])
    arriving = np.empty((count, n, 0))
    if horizon:
        arriving = forecast(flow.arrivals(part).history(), horizon, levels, additive=False).paths(n, seed)
    power = np.where(np.isfinite(rates.capacity), rates.capacity, np.inf)[part]
    start, room = flow.depth[part], limits[part]
    depth = backlog(arriving, power[:, None], start[:, None], room[:, None], flow.step_s)
    fewest = [
        _fewest(arriving[k], rates.per_consumer[part][k], start[k], rates.arriving[part][k], flow.step_s, target_age_s)
        for k in range(count)
    ]
    told = pl.DataFrame(
        {
            "p_full": np.where(np.isfinite(room), (depth >= room[:, None, None]).any(axis=2).mean(axis=1), np.nan),
            "peak_messages": np.median(np.maximum(depth.max(axis=2, initial=0.0), start[:, None]), axis=1),
            "consumers_needed": pl.Series(fewest, dtype=pl.Int64),
        }
    )
    columns: dict[str, object] = {
        "row": np.repeat(np.arange(count, dtype=np.uint32) + np.uint32(part.start), horizon),
        "step": np.tile(np.arange(horizon, dtype=np.uint32), count),
        "arriving_per_s": np.median(arriving, axis=1).ravel(),
        "capacity_per_s": np.repeat(np.where(np.isfinite(power), power, np.nan), horizon),
        "messages": np.median(depth, axis=1).ravel(),
    }
    for level in levels:
        for side, sign in (("lo", -1), ("hi", 1)):
            columns[f"messages-{side}-{level:g}"] = np.quantile(depth, (50 + sign * level / 2) / 100, axis=1).ravel()
    return told.with_columns(pl.col("p_full").fill_nan(None)), pl.DataFrame(columns)


def _fewest(
    arriving: Floats, per_consumer: float, start: float, usual: float, step_s: float, target_age_s: float
) -> int | None:
    """Consumers for the target; None where nobody knows what one of them can do."""
    if not np.isfinite(per_consumer) or per_consumer <= 0:
        return None
    peak = float(np.quantile(arriving.max(axis=1), TAIL)) if arriving.size else float(np.nan_to_num(usual))
    by_chance = servers(peak, per_consumer, target_age_s)
    by_load = consumers_needed(arriving, per_consumer, start, step_s, target_age_s, TAIL)
    return None if by_load is None else max(by_load, by_chance)


def _table(flow: Flow, rates: Rates, limits: Floats, told: pl.DataFrame) -> pl.DataFrame:
    waits, power, arriving = flow.depth, rates.capacity, rates.arriving
    with np.errstate(divide="ignore", invalid="ignore"):
        surplus = power - arriving
        # An empty queue has drained whatever its rates; without this, 0 / 0 would say "never".
        drain = np.where(waits == 0, 0.0, np.where(surplus > MIN_RATE, waits / surplus, np.nan))
        growing = np.where(surplus < -MIN_RATE, (limits - waits) / -surplus, np.nan)
        full = np.where(np.isfinite(limits), np.where(waits >= limits, 0.0, growing), np.nan)
        used = np.where(power > 0, arriving / power, np.nan)
        age = np.where(arriving > 0, rates.depth / arriving, np.where(rates.depth == 0, 0.0, np.nan))
    table = flow.ids.with_columns(
        pl.Series("messages", waits),
        pl.Series("consumers", rates.consumers),
        pl.Series("arriving_per_s", arriving),
        pl.Series("served_per_s", rates.served),
        pl.Series("capacity_per_s", power),
        pl.Series("capacity_seen", rates.seen),
        pl.Series("utilisation", used),
        pl.Series("age_s", age),
        pl.Series("drain_s", drain),
        pl.Series("max_length", np.where(np.isfinite(limits), limits, np.nan)),
        pl.Series("full_s", full),
    ).with_columns(pl.selectors.float().fill_nan(None))
    table = pl.concat([table, told], how="horizontal")
    danger = [
        pl.col("p_full").fill_null(0),
        pl.col("utilisation").fill_null(0) * pl.col("capacity_seen"),
        pl.col("messages"),
    ]
    return table.sort(*danger, *QUEUE, descending=[True] * 3 + [False] * 3)


def _history(flow: Flow) -> pl.DataFrame:
    """Depth and rates so far, a row per queue and bucket."""
    count, width = flow.messages.shape
    ticks = flow.last + flow.grid.step * np.arange(1 - width, 1)
    arrays = {"messages": flow.messages, "arriving_per_s": flow.arriving_per_s, "served_per_s": flow.served_per_s}
    made = flow.ids[np.repeat(np.arange(count), width)].with_columns(
        flow.grid.times(np.tile(ticks, count)).alias("ds"),
        *(pl.Series(name, values.ravel()).fill_nan(None) for name, values in arrays.items()),
    )
    return made.filter(pl.any_horizontal(pl.col(*arrays).is_not_null()))


def _limits(given: float | Mapping[str, float] | None, flow: Flow) -> Floats:
    """What each queue may hold, infinite where there is no limit."""
    limits, names = flow.max_length.copy(), flow.ids["queue"].to_list()
    asked = given if isinstance(given, Mapping) else {} if given is None else dict.fromkeys(names, given)
    for name, value in asked.items():
        if name not in names:
            raise UnknownName("queue", str(name), names)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ParameterInvalid("max_length", f"expected messages, more than zero, for {name!r}, got {value!r}")
        limits[[k for k, queue in enumerate(names) if queue == name]] = value
    return limits


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterInvalid(name, f"expected a whole number, at least {least}, got {value!r}")
