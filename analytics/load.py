"""Rollups of the store as frames: long series for forecasts, wide rows for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from analytics.frames import Kind, native, polars
from analytics.spans import WIDTH, Grain, Span, When, floor, moment
from analytics.spans import span as bounds
from analytics.teams import only
from store.errors import ColumnMissing, ParameterInvalid, UnknownName
from store.read import read
from store.settings import Settings
from store.settings import load as load_settings

if TYPE_CHECKING:
    from analytics.frames import Frame
    from analytics.prom import Server

DIMENSIONS = ("provider", "model", "team", "project")
QUEUE_DIMENSIONS = ("cluster", "vhost", "queue")
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
VALUES = {"llm_requests": ("requests", "errors", "cost_usd", *TOKENS), "llm_usage": ("requests", "cost_usd", *TOKENS)}
QUEUE_VALUES = {
    "messages": "avg_messages",
    "ready": "avg_ready",
    "unacked": "avg_unacked",
    "consumers": "avg_consumers",
    "head_age_s": "max_head_age",
    "published_per_s": "avg_published_per_s",
    "delivered_per_s": "avg_delivered_per_s",
    "acked_per_s": "avg_acked_per_s",
}
MINUTE = timedelta(minutes=1)
TOTAL = "total"  # unique_id of a series over everything


def span(
    source: str = "llm_requests",
    *,
    settings: Settings | None = None,
    grain: Grain = "hourly",
    days: float | None = None,
    until: When = None,
) -> Span:
    """The last `days` of what a source has, up to `until` (default: its latest whole bucket, not the wall clock).

    Raises:
        UnknownName, ParameterInvalid: as `analytics.spans.span` does; `days` below zero.
    """
    if days is not None and not days > 0:
        raise ParameterInvalid("days", f"expected more than zero, got {days!r}")
    whole = bounds(settings, source, grain, None, until)
    if days is None or not whole.buckets:
        return whole
    return bounds(settings, source, grain, max(whole.since, whole.until - timedelta(days=days)), whole.until)


def llm(
    settings: Settings | None = None,
    *,
    value: str = "cost_usd",
    by: Sequence[str] = (),
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    as_: Kind = "polars",
) -> Frame:
    """LLM requests as series: `unique_id, ds, y` and the dimensions in `by`, on a complete grid.

    Args:
        settings: None reads them from the environment.
        value: requests, errors, cost_usd, input_tokens, output_tokens, cached_tokens or reasoning_tokens.
        by: any of provider, model, team, project; `unique_id` joins them with "/". None of them: one series "total".
        grain: hourly or daily.
        since: start; an aware datetime, an ISO text with a zone, or a timedelta before the end of the data. Default:
            all there is.
        until: end, not included; likewise. Default: the end of the last bucket that is over.
        as_: polars or pandas.

    Returns:
        `ds` UTC, the start of the bucket; a bucket without traffic is 0. Empty when the store has nothing there.

    Raises:
        UnknownName: of a value, dimension, grain or kind.
        ParameterInvalid: a time cannot be used, one without a zone for example.
    """
    _known("value", value, VALUES["llm_requests"])
    return _series(settings, value, by, bounds(settings, "llm_requests", grain, since, until), as_)


def usage(
    settings: Settings | None = None,
    *,
    value: str = "cost_usd",
    by: Sequence[str] = (),
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    as_: Kind = "polars",
) -> Frame:
    """Usage that providers and gateways report in buckets, as series; arguments, result and errors are those of `llm`.

    It knows no single requests, so there is no value `errors`.
    """
    _known("value", value, VALUES["llm_usage"])
    return _series(settings, value, by, bounds(settings, "llm_usage", grain, since, until), as_)


def minutes(
    settings: Settings | None = None,
    *,
    value: str = "requests",
    by: Sequence[str] = (),
    since: When = None,
    until: When = None,
    as_: Kind = "polars",
) -> Frame:
    """LLM requests per minute from the raw rows, as series: for spans too short for hours.

    Args:
        settings: None reads them from the environment.
        value: as in `llm`.
        by: as in `llm`.
        since: start; an aware datetime, an ISO text with a zone, or a timedelta before now. Default: the first row.
        until: end, not included; likewise. Default: the last row.
        as_: polars or pandas.

    Returns:
        As `llm`; from the second minute with traffic to the last but one, since those at the ends may be cut.
    """
    _known("value", value, VALUES["llm_requests"])
    dims = _dimensions(by, DIMENSIONS)
    now = datetime.now(UTC)
    begin, stop = moment(since, now, "since"), moment(until, now, "until")
    rows = read(settings or load_settings(), "llm_minutes", by=list(dims), since=begin, until=stop)
    seen = rows["ds"].unique().sort()[1:-1].to_list()
    grid = [seen[0] + k * MINUTE for k in range((seen[-1] - seen[0]) // MINUTE + 1)] if seen else []
    return native(_gridded(rows.select("ds", *dims, pl.col(value).alias("y")), dims, grid, 0.0), _kind(as_))


def reader(where: Span, team: str = "") -> Callable[..., Frame]:
    """Which of `llm`, `usage` and `minutes` suits a span: minutes, where single requests span a few hours at most.

    Args:
        where: as `span` gives it.
        team: read this team's rows alone; an empty text: every team's.
    """
    read_ = minutes if where.short else llm if where.source == "llm_requests" else usage
    if not team:
        return read_

    def own(*, by: Sequence[str] = (), **words: Any) -> Frame:
        return only(polars(read_(by=("team", *by), **words))[0], team)

    return own


def horizon(frame: Frame, days: float) -> int:
    """Steps in the `days` to come, at most half of those on record: more would be guesswork; at least one."""
    times = pl.Series(frame["ds"]).unique().sort()
    if len(times) < 2:
        return 1
    step: timedelta = (times[-1] - times[0]) / (len(times) - 1)
    return max(1, min(round(timedelta(days=days) / step), len(times) // 2))


def queues(
    settings: Settings | None = None,
    *,
    value: str = "messages",
    by: Sequence[str] = ("queue",),
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    as_: Kind = "polars",
) -> Frame:
    """RabbitMQ queues as series: `unique_id, ds, y` and the dimensions in `by`, on a complete grid.

    Args:
        settings: None reads them from the environment.
        value: messages, ready, unacked, consumers, published_per_s, delivered_per_s, acked_per_s (means over the
            bucket, added up over queues) or head_age_s (the oldest).
        by: any of cluster, vhost, queue.
        grain: hourly or daily.
        since: as in `llm`.
        until: as in `llm`.
        as_: polars or pandas.

    Returns:
        As `llm`, but a bucket without samples is null: nobody looked, which is not the same as an empty queue.
    """
    _known("value", value, QUEUE_VALUES)
    dims = _dimensions(by, QUEUE_DIMENSIONS)
    where = _whole_days(bounds(settings, "rabbitmq_queues", grain, since, until))
    # Sums over queues also have those that the store keeps no rows of; a list of queues cannot.
    rows = _read(settings, "queue_rows" if "queue" in dims else "queue_sums", where)
    column = pl.col(QUEUE_VALUES[value])
    merged = column.max() if value == "head_age_s" else pl.when(column.count() > 0).then(column.sum())
    long = rows.group_by(pl.col("bucket").alias("ds"), *dims).agg(merged.cast(pl.Float64).alias("y"))
    return native(_gridded(long, dims, where.starts(), None), _kind(as_))


def metrics(
    settings: Settings | None = None,
    *,
    source: Literal["llm_requests", "llm_usage"] = "llm_requests",
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    team: str = "",
    as_: Kind = "polars",
) -> Frame:
    """The LLM rollup as wide rows, one per bucket, provider, model, team and project, without histograms.

    Columns: bucket (UTC), the dimensions, requests, errors, avg_ttft, avg_duration (seconds), avg_tps (tokens/s),
    tokens by kind, total_cost (USD, null where nothing has a price), unpriced and unmetered (requests without price or
    usage). With a `team` only its rows.
    """
    _known("LLM source", source, VALUES)
    where = bounds(settings, source, grain, since, until)
    rows = _read(settings, "llm_rows" if source == "llm_requests" else "usage_rows", where)
    return native(only(rows, team), _kind(as_))


def queue_metrics(
    settings: Settings | None = None,
    *,
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    as_: Kind = "polars",
) -> Frame:
    """The queue rollup as wide rows, one per bucket, cluster, vhost and queue: depths, consumers, messages/s."""
    return native(_read(settings, "queue_rows", bounds(settings, "rabbitmq_queues", grain, since, until)), _kind(as_))


def queue_samples(
    settings: Settings | None = None, *, since: When = None, until: When = None, as_: Kind = "polars"
) -> Frame:
    """Single samples of queues with their counters and limits, as `queues.rates` takes them.

    Args:
        settings: None reads them from the environment.
        since: start; an aware datetime, an ISO text with a zone, or a timedelta before now. Default: a day before now.
        until: end, not included; likewise. Default: now.
        as_: polars or pandas.
    """
    return _samples(settings, "queue_counters", since, until, as_)


def node_samples(
    settings: Settings | None = None, *, since: When = None, until: When = None, as_: Kind = "polars"
) -> Frame:
    """Single samples of nodes, as `queues.alarms` takes them; arguments are those of `queue_samples`."""
    return _samples(settings, "node_samples", since, until, as_)


def latency(
    settings: Settings | None = None,
    *,
    by: Sequence[str] = ("model",),
    grain: Grain | Literal["span"] = "hourly",
    since: When = None,
    until: When = None,
    quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    team: str = "",
    as_: Kind = "polars",
) -> Frame:
    """Percentiles of latency from merged histograms; errors are not in them.

    Args:
        settings: None reads them from the environment.
        by: any of provider, model, team, project.
        grain: hourly, daily, or "span" for one row over all of it.
        since: as in `llm`.
        until: as in `llm`.
        quantiles: between 0 and 1.
        team: of this team's requests alone; an empty text: of everybody's.
        as_: polars or pandas.

    Returns:
        `ds`, the dimensions, requests, errors, and for each of ttft (time to first token), duration and tpot (time per
        output token) the columns `ttft_p50_s`, ... in seconds; null where nothing was measured.
    """
    dims = _dimensions(by, DIMENSIONS)
    asked = [float(q) for q in quantiles]
    if not asked or not all(0 <= q <= 1 for q in asked):
        raise ParameterInvalid("quantiles", f"expected numbers between 0 and 1, got {quantiles!r}")
    where = bounds(settings, "llm_requests", "hourly" if grain == "span" else grain, since, until)
    kept = [*dims, "team"] if team else list(dims)
    rows = only(_read(settings, "llm_latency", where, grain=grain, by=kept, quantiles=asked), team)
    percentiles = [
        pl.col(name).list.get(k, null_on_oob=True).cast(pl.Float64).alias(f"{name}_p{100 * q:g}_s")
        for name in ("ttft", "duration", "tpot")
        for k, q in enumerate(asked)
    ]
    return native(rows.select("ds", *dims, "requests", "errors", *percentiles), _kind(as_))


def prometheus(
    query: str, *, url: str | Server, since: When, until: When = None, step_s: float = 60.0, as_: Kind = "polars"
) -> Frame:
    """A PromQL range query as series: `unique_id` (the labels), `ds` (UTC), `y`; `prom.range` gives labels as columns.

    Args:
        query: PromQL.
        url: base address of the server, or a `prom.Server` with credentials.
        since: as in `llm`; timedeltas count back from now.
        until: end, not included; default now.
        step_s: seconds between two points.
        as_: polars or pandas.

    Raises:
        SourceError: the server does not answer, or refuses the query.
        ParameterInvalid: a time or the step cannot be used.
    """
    from analytics import prom

    if not step_s > 0:
        raise ParameterInvalid("step_s", f"expected seconds, more than zero, got {step_s!r}")
    end = floor(datetime.now(UTC), timedelta(seconds=1))
    stop = moment(until, end, "until") or end
    begin = moment(since, end, "since")
    if begin is None or begin >= stop:
        raise ParameterInvalid("since", "expected a time before until")
    steps = -((stop - begin) // timedelta(seconds=-step_s)) - 1
    found = prom.range(query, begin, begin + timedelta(seconds=step_s * steps), step_s, url=url)
    assert isinstance(found, pl.DataFrame)
    labels = found.columns[:-2]
    long = found.with_columns(pl.col(labels).cast(pl.String), pl.lit(TOTAL).alias("unique_id"))
    if labels:
        series = long.select(labels).unique()
        ids = pl.Series("unique_id", [_called(row) for row in series.iter_rows(named=True)], dtype=pl.String)
        long = long.drop("unique_id").join(series.with_columns(ids), on=labels, nulls_equal=True)
    y = pl.when(pl.col("y").is_finite()).then(pl.col("y"))
    return native(long.select("unique_id", "ds", y).sort("unique_id", "ds"), _kind(as_))


def _called(labels: dict[str, str | None]) -> str:
    """A series as people write it, such as up{job=api}."""
    name = labels.get("__name__") or ""
    told = sorted((key, value) for key, value in labels.items() if value is not None and key != "__name__")
    inside = ",".join(f"{key}={value}" for key, value in told)
    return f"{name}{{{inside}}}" if inside else name or TOTAL


def _series(settings: Settings | None, value: str, by: Sequence[str], where: Span, as_: Kind) -> Frame:
    where = _whole_days(where)
    dims = _dimensions(by, DIMENSIONS)
    rows = _read(settings, "llm_series" if where.source == "llm_requests" else "usage_series", where, by=list(dims))
    return native(_gridded(rows.select("ds", *dims, pl.col(value).alias("y")), dims, where.starts(), 0.0), _kind(as_))


def _samples(settings: Settings | None, query: str, since: When, until: When, as_: Kind) -> Frame:
    stop = moment(until, datetime.now(UTC), "until") or datetime.now(UTC)
    begin = moment(since, stop, "since") or stop - WIDTH["daily"]
    if begin > stop:
        raise ParameterInvalid("since", f"{begin:%Y-%m-%d %H:%M} is after until, {stop:%Y-%m-%d %H:%M} UTC")
    return native(read(settings or load_settings(), query, since=begin, until=stop), _kind(as_))


def _read(settings: Settings | None, query: str, where: Span, **more: object) -> pl.DataFrame:
    parameters: dict[str, Any] = {"grain": where.grain, "since": where.since, "until": where.until, **more}
    return read(settings or load_settings(), query, as_="polars", **parameters)


def _whole_days(where: Span) -> Span:
    """Without the first day if collection began in its course: as a point of a series it would be a false low."""
    if where.grain == "daily" and where.first and where.since < where.first and where.buckets > 1:
        return Span(where.source, where.grain, where.since + WIDTH["daily"], where.until, where.first, where.last)
    return where


def _gridded(long: pl.DataFrame, dims: tuple[str, ...], grid: list[datetime], missing: float | None) -> pl.DataFrame:
    """`long` at every time of the grid, `missing` where it has none."""
    starts = pl.DataFrame({"ds": grid}, schema={"ds": pl.Datetime("us", "UTC")})
    names = long.select(dims).unique() if dims else pl.DataFrame({"unique_id": [TOTAL] if len(long) else []})
    joined = starts.join(names, how="cross").join(long, on=["ds", *dims], how="left") if len(names) else long.clear()
    label = pl.concat_str(dims, separator="/") if dims else pl.lit(TOTAL)
    y = pl.col("y") if missing is None else pl.col("y").fill_null(missing)
    filled = joined.with_columns(label.alias("unique_id"), y)
    return filled.select("unique_id", "ds", "y", *dims).sort("unique_id", "ds")


def _dimensions(by: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    asked = (by,) if isinstance(by, str) else tuple(by)
    for name in asked:
        if name not in known:
            raise ColumnMissing(name, known)
    return tuple(dict.fromkeys(asked))


def _kind(as_: str) -> Kind:
    _known("kind of frame", as_, ("polars", "pandas"))
    return "pandas" if as_ == "pandas" else "polars"


def _known(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UnknownName(kind, name, known)
