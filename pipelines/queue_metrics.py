"""From samples of queue metrics, whoever exported them, to rows of `metrics.rabbitmq_queues`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl

from analytics.prom.samples import TIME, VALUE
from collectors.rabbitmq import families
from collectors.rabbitmq.names import names
from store.errors import ParameterInvalid

GAP = timedelta(minutes=5)  # over a longer one nobody knows what a counter did
ALIKE = 0.9  # of two exporters that tell of one queue, the one with so many samples more is taken
FUTURE_S = 60.0  # publishers' clocks may be ahead by so much
MILLISECONDS = 1e11  # a time stamped beyond this is not in seconds
PREFIXES = ("rabbitmq_detailed_", "rabbitmq_")
GAUGES = {
    "messages": "messages",
    "ready": "messages_ready",
    "unacked": "messages_unacked",
    "message_bytes": "message_bytes",
    "memory_bytes": "memory_bytes",
    "consumers": "consumers",
    "consumer_utilisation": "consumer_utilisation",
    "head_timestamp": "head_timestamp",
}
COUNTERS = ("published", "delivered", "acked", "redelivered")
AGE = "head_age_s"
INTEGERS = {
    **dict.fromkeys(("messages", "messages_ready", "messages_unacked", "message_bytes", "memory_bytes"), 2.0**63),
    "consumers": 2.0**31,
}
QUEUE = ("cluster", "vhost", "queue")
TARGET = ("job", "instance")


def _known() -> Iterator[tuple[str, str]]:
    """What every exporter calls it, without prefix, and the column that it goes to.

    The names of the three agree where they are the same, but for `delivered`: what one calls so is all deliveries, and
    what another calls so is a part, beside further parts under names of their own. The sum of all is right for each.
    """
    for source in ("native", "kbudde"):
        for row in names(source, "queue", "queue.counters"):
            if row.ours in GAUGES or row.ours in COUNTERS:
                yield row.theirs, GAUGES.get(row.ours, row.ours)
    for family in (*families.EVERY, *families.DETAIL, *families.QUEUE_COUNTERS):
        if family.of in GAUGES or family.of in COUNTERS:
            yield family.name.removeprefix("rabbitmq_"), GAUGES.get(family.of, family.of)
    yield families.HEAD_AGE.name.removeprefix("rabbitmq_"), AGE
    yield "queue_consumer_utilisation", "consumer_utilisation"  # the native plugin's, before 3.9


COLUMNS = dict(_known())
METRICS = {f"{prefix}{name}": name for name in COLUMNS for prefix in PREFIXES}


def rows(frame: pl.DataFrame, since: datetime, *, cluster: str | None, clusters: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not older than `since`.

    Args:
        frame: as `prom.range` gives the raw samples of `METRICS`; rates need samples of up to `GAP` before `since`.
        since: first moment of interest.
        cluster: name of the cluster of series that have none.
        clusters: by `job` and `instance` the `named` cluster that a node says it belongs to.

    Returns:
        Columns of the table. Counters are added up over exchanges and ways of delivery, and become rates: no rate after
        a fall of any counter of the queue or a gap. Of exporters that tell of one queue at the same time, one is taken:
        the first by name of those with the most samples.

    Raises:
        ParameterInvalid: a cluster has no name.
    """
    if frame.is_empty():
        return frame.clear()
    wide = _rated(_wide(_named(frame, cluster, clusters)))
    return _fitted(_one_exporter(wide.filter(pl.col("ts") >= since)))


def _named(frame: pl.DataFrame, cluster: str | None, clusters: pl.DataFrame) -> pl.DataFrame:
    wanted = ("__name__", *QUEUE, *TARGET, "exchange", "channel")
    texts = [
        (pl.col(name).cast(pl.String) if name in frame.columns else pl.lit(None, pl.String)).alias(name)
        for name in wanted
    ]
    # What is kept per channel falls when channels close: it says nothing of a queue.
    found = frame.select(*texts, TIME, VALUE).filter(pl.col("channel").is_null(), pl.col("queue").is_not_null())
    found = found.with_columns(
        pl.col("__name__").replace_strict(METRICS, return_dtype=pl.String).alias("name"),
        pl.col("vhost").fill_null("/"),
        *(pl.col(name).fill_null("") for name in (*TARGET, "exchange")),
    ).join(clusters.with_columns(pl.col(TARGET).fill_null("")), on=TARGET, how="left")
    found = found.with_columns(pl.coalesce("cluster", "named", pl.lit(cluster, pl.String)).alias("cluster"))
    nameless = found.filter(pl.col("cluster").is_null())
    if len(nameless):
        where = f"job {nameless['job'][0]!r}, instance {nameless['instance'][0]!r}"
        raise ParameterInvalid("cluster", f"series of {where} name no cluster; give it a name with --cluster")
    return found.with_columns(pl.col(name).str.replace_all("\\0", "\ufffd", literal=True) for name in QUEUE)


def _wide(found: pl.DataFrame) -> pl.DataFrame:
    """One row per exporter, queue and time, one column per column of the table."""
    # A value may be told twice, under its short name and its detailed one.
    once = found.rename({TIME: "ts"}).group_by(*TARGET, *QUEUE, "ts", "name", "exchange").agg(pl.col(VALUE).max())
    once = once.with_columns(pl.col("name").replace_strict(COLUMNS, return_dtype=pl.String).alias("column"))
    merged = once.group_by(*TARGET, *QUEUE, "ts", "column").agg(
        pl.when(pl.col("column").first().is_in(COUNTERS)).then(pl.col(VALUE).sum()).otherwise(pl.col(VALUE).max())
    )
    wide = merged.pivot(on="column", index=[*TARGET, *QUEUE, "ts"], values=VALUE)
    absent = {*GAUGES.values(), *COUNTERS, AGE} - {*wide.columns}
    return wide.with_columns(pl.lit(None, pl.Float64).alias(name) for name in sorted(absent))


def _rated(wide: pl.DataFrame) -> pl.DataFrame:
    by = [*TARGET, *QUEUE]
    passed = pl.col("ts").diff().over(by)
    grown = {name: pl.col(name).diff().over(by) for name in COUNTERS}
    known = (passed <= GAP) & ~pl.any_horizontal((each < 0).fill_null(value=False) for each in grown.values())
    seconds = passed.dt.total_microseconds() / 1e6
    return wide.sort(*by, "ts").with_columns(
        pl.when(known).then(each / seconds).alias(f"{name}_per_s") for name, each in grown.items()
    )


def _one_exporter(wide: pl.DataFrame) -> pl.DataFrame:
    spans = wide.group_by(*QUEUE, *TARGET).agg(
        pl.len().alias("samples"), pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last")
    )
    if len(spans) == spans.select(QUEUE).n_unique():
        return wide
    # Nodes of a cluster tell of a queue in turns, as it moves: such spans do not overlap, and all of them are taken.
    most = pl.col("samples").max().over(QUEUE)
    ranked = spans.with_columns((pl.col("samples") < ALIKE * most).alias("fewer")).sort(*QUEUE, "fewer", *TARGET)
    taken: dict[tuple[str, ...], list[tuple[datetime, datetime]]] = {}
    chosen = []
    for row in ranked.iter_rows(named=True):
        held = taken.setdefault(tuple(row[name] for name in QUEUE), [])
        free = all(row["last"] < first or row["first"] > last for first, last in held)
        if free:
            held.append((row["first"], row["last"]))
        chosen.append(free)
    return wide.join(ranked.filter(pl.Series(chosen)), on=[*QUEUE, *TARGET], how="semi")


def _fitted(wide: pl.DataFrame) -> pl.DataFrame:
    """Values that the table takes; what makes no sense is null."""
    stamped = pl.col("head_timestamp")
    age = pl.col("ts").dt.timestamp("ms") / 1000 - stamped
    usable = (stamped > 0) & (stamped < MILLISECONDS) & (age >= -FUTURE_S)
    stamped_age = pl.when(usable).then(age.clip(lower_bound=0))
    told = pl.col(AGE)
    utilisation = pl.col("consumer_utilisation")
    fitted = wide.select(
        "ts",
        *QUEUE,
        *(_whole(pl.col(name), most).alias(name) for name, most in INTEGERS.items()),
        pl.when(utilisation.is_between(0, 1)).then(utilisation).alias("consumer_utilisation"),
        pl.coalesce(pl.when(told.is_finite() & (told >= 0)).then(told), stamped_age).alias(AGE),
        *(_whole(pl.col(name), 2.0**63).alias(f"{name}_total") for name in COUNTERS),
        *(pl.col(f"{name}_per_s").fill_nan(None) for name in COUNTERS),
        pl.lit('{"source":"prometheus"}').alias("attrs"),
    )
    values = [name for name in fitted.columns if name not in ("ts", *QUEUE, "attrs")]
    return fitted.filter(~pl.all_horizontal(pl.col(values).is_null()))


def _whole(value: pl.Expr, most: float) -> pl.Expr:
    return pl.when(value.is_finite() & (value >= 0) & (value < most)).then(value.floor()).cast(pl.Int64)
