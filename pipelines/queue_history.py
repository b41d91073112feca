"""Copies what Prometheus has of queues into `metrics.rabbitmq_queues`: its thirty days become years in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics import prom
from analytics.prom.selector import Selector, plain, quoted
from analytics.prom.times import MILLISECOND
from pipelines import queue_metrics
from store.connect import connect
from store.errors import NoRows, ParameterInvalid
from store.migrate import migrate
from store.read import read
from store.rollup import refresh
from store.settings import Settings
from store.write import Written, write_frame

TABLE = "metrics.rabbitmq_queues"
DAY = timedelta(days=1)
NARROWEST = timedelta(minutes=10)
NEAR = timedelta(minutes=5)  # a sample of the store's own collector stands for so much time on both sides of it
BATCH_ROWS = 50_000
KEY = ("ts", "cluster", "vhost", "queue")


@dataclass(frozen=True)
class Copied:
    """What became of a span: `samples` in Prometheus made `rows`.

    Of these some were `written`, some were `there`, some are `covered` by samples of the store's own collector, and
    some the database `rejected`, the first few for `problems`.
    """

    samples: int = 0
    rows: int = 0
    written: int = 0
    there: int = 0
    covered: int = 0
    rejected: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Copied) -> Copied:
        return Copied(
            self.samples + other.samples,
            self.rows + other.rows,
            self.written + other.written,
            self.there + other.there,
            self.covered + other.covered,
            self.rejected + other.rejected,
            (*self.problems, *other.problems)[:5],
        )


Progress = Callable[[datetime, Copied], None]


def copy_history(
    settings: Settings,
    server: prom.Server,
    since: datetime,
    until: datetime,
    *,
    match: Sequence[str] = (),
    cluster: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Copied:
    """Copy the samples of queues from `since` to before `until`, day by day, the oldest first.

    What is there already is not written again: after an interruption the same call goes on where it was, and a sample
    is never doubled. Nor is one copied within five minutes of one that the store's own collector has of the same queue.

    Args:
        settings: name the database.
        server: the Prometheus.
        since: first moment, included; aware.
        until: end, not included.
        match: selectors such as `{job="rabbitmq"}`; a series is copied that one of them selects. None: all there are.
        cluster: the name of the cluster where Prometheus has none, neither as a label nor in rabbitmq_identity_info.
        dry_run: count only.
        progress: called after each part with its end and the sum so far.

    Raises:
        ParameterInvalid: a match is no selector, or a cluster has no name.
        NoRows: Prometheus has nothing of queues there.
        SourceError: Prometheus does not answer as it should.
        StoreError, psycopg.Error: the database does not.
    """
    selectors = [_selector(each) for each in match] or [_selector("{}")]
    if not dry_run:
        migrate(settings)
    total = Copied()
    for begin, end, frame in _parts(server, selectors, since, until):
        rows = queue_metrics.rows(frame, begin, cluster=cluster, clusters=_clusters(server, frame, end))
        total += Copied(samples=len(frame)) + _write(settings, rows, begin, end, dry_run=dry_run)
        if progress is not None:
            progress(end, total)
    if not total.rows:
        raise NoRows(f"Prometheus at {server.url}, asked for queues from {since:%Y-%m-%d %H:%M} UTC on,")
    if total.written:
        refresh(settings)
    return total


def _parts(
    server: prom.Server, selectors: Sequence[str], since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, pl.DataFrame]]:
    """Parts of at most a day, each with the samples before it that its first rates need."""
    begin, width = since, DAY
    while begin < until:
        end = min(until, begin + width)
        try:
            frames = [_samples(server, selector, begin, end) for selector in selectors]
        except ParameterInvalid as error:
            if error.name != "memory_limit_mb" or width <= NARROWEST:
                raise
            width /= 2
            continue
        yield begin, end, pl.concat(frames, how="diagonal").unique() if len(frames) > 1 else frames[0]
        begin = end


def _samples(server: prom.Server, selector: str, begin: datetime, end: datetime) -> pl.DataFrame:
    found = prom.range(selector, begin - queue_metrics.GAP, end - MILLISECOND, url=server, progress=False)
    assert isinstance(found, pl.DataFrame)
    return found


def _clusters(server: prom.Server, frame: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Which cluster the nodes say that they belong to: by `job` and `instance`. Only if series do not."""
    if "cluster" in frame.columns and not frame["cluster"].null_count():
        return pl.DataFrame(schema=dict.fromkeys(("job", "instance", "named"), pl.String))
    query = f"last_over_time(rabbitmq_identity_info[{int((DAY + queue_metrics.GAP).total_seconds())}s])"
    found = prom.instant(query, end, url=server)
    assert isinstance(found, pl.DataFrame)
    names = {"job": "job", "instance": "instance", "rabbitmq_cluster": "named"}
    return found.select(
        (pl.col(theirs).cast(pl.String) if theirs in found.columns else pl.lit(None, pl.String)).alias(ours)
        for theirs, ours in names.items()
    ).unique(["job", "instance"], keep="last")


def _write(settings: Settings, rows: pl.DataFrame, begin: datetime, end: datetime, *, dry_run: bool) -> Copied:
    if rows.is_empty() or dry_run:
        return Copied(rows=len(rows))
    keys = read(settings, "queue_sample_keys", since=begin - NEAR, until=end + NEAR)
    new = rows.join(keys, on=KEY, how="anti")
    own = keys.filter(~pl.col("copied")).select(*KEY).sort("ts").with_columns(pl.lit(value=True).alias("own"))
    wanted = new.sort("ts").join_asof(
        own, on="ts", by=["cluster", "vhost", "queue"], strategy="nearest", tolerance=NEAR, check_sortedness=False
    )
    wanted = wanted.filter(pl.col("own").is_null()).drop("own")
    before = Copied(rows=len(rows), there=len(rows) - len(new), covered=len(new) - len(wanted))
    if wanted.is_empty():
        return before
    outcome = Written()
    with connect(settings) as connection:
        for batch in wanted.iter_slices(BATCH_ROWS):
            outcome += write_frame(connection, TABLE, batch)
            connection.commit()
    problems = tuple(refused.reason for refused in outcome.rejected[:5])
    after = Copied(written=outcome.written, there=outcome.duplicate, rejected=len(outcome.rejected), problems=problems)
    return before + after


def _selector(match: str) -> str:
    """A match and our condition on the metric as one selector."""
    text = match.strip()
    if text and not text.startswith("{") and "{" not in text and "=" in text:
        text = f"{{{text}}}"  # job="rabbitmq"
    given = plain(text) if text not in ("", "{}") else Selector(())
    if given is None:
        raise ParameterInvalid("match", f'expected a selector such as {{job="rabbitmq"}}, got {match!r}')
    known = "|".join(sorted(queue_metrics.METRICS))
    return "{" + ",".join([f"__name__=~{quoted(known)}", 'queue!=""', *map(str, given.matchers)]) + "}"
