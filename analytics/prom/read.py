"""The two questions: what a query was over a span, and what it is at one moment."""

from __future__ import annotations

import warnings
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analytics.frames import Kind, native
from analytics.prom import query as engine
from analytics.prom import stored
from analytics.prom.bounds import Bound
from analytics.prom.progress import Progress
from analytics.prom.samples import Samples
from analytics.prom.selector import Selector, plain
from analytics.prom.server import DEFAULT_URL, Api, Server
from analytics.prom.times import Step, Time, duration_ms, span_ms, step_ms, time_ms
from store.errors import ParameterInvalid, QueryRefused, UnknownName

if TYPE_CHECKING:
    from analytics.frames import Frame

LONG = 1000  # steps from which on stored samples come faster than evaluated ones


class HistogramsLeftOut(UserWarning):
    """Native histograms have no single value: they are not in the frame."""


def range(  # noqa: A001  # the name that Prometheus gives it
    query: str,
    start: Time,
    end: Time = None,
    step: Step | None = None,
    *,
    url: str | Server = DEFAULT_URL,
    as_: Kind = "polars",
    memory_limit_mb: float | None = None,
    progress: bool | None = None,
) -> Frame:
    """The samples of a selector, or the values of any PromQL, over a span.

    Args:
        query: a selector such as `up{job="api"}`, or an expression, which needs a `step`.
        start: first moment, included; an aware datetime, an ISO text with a zone, seconds since 1970, or a timedelta
            before `end`.
        end: last moment, included; likewise, a timedelta counts back from now. Default: now.
        step: None: the samples as they were scraped, without stale markers. Otherwise the values at `start`,
            `start + step`, … as `query_range` has them: the newest sample that is at most the server's lookback (5
            minutes) old. A timedelta, seconds, or a duration such as "1m".
        url: address of the server, or a `Server` with credentials, certificates and headers.
        as_: polars or pandas.
        memory_limit_mb: what the samples may take, in MB; more is an error before it is fetched or unpacked. Default:
            four fifths of the memory that is free. pandas needs as much once more.
        progress: whether a read of more than two seconds shows how far it is. Default: on a terminal or in a notebook.

    Returns:
        One row per sample: a categorical column for each label (null where a series lacks it), `ds` (UTC, to the
        millisecond), `y`. By series, and in order of time within each. A label `ds` or `y`
        becomes `exported_ds` or `exported_y`.

    Raises:
        QueryRefused: the server cannot make sense of the query; the message shows the place.
        SourceError: the server is away, wants other credentials, or sends what is damaged; `kind` says which.
        ParameterInvalid: a time or step cannot be used, or it takes more memory than there may be.
    """
    _kind(as_)
    first, last = span_ms(start, end, datetime.now(UTC))
    width = None if step is None else step_ms(step)
    bound, selector = Bound.of(memory_limit_mb), plain(query)
    if selector is None and width is None:
        raise ParameterInvalid("step", f"an expression needs one, such as '1m'; as they are stored, only the samples "
                                       f"of a selector can be read: {query!r}")  # fmt: skip
    with Api(url) as api, Progress(shown=progress) as bar:
        if width is None:
            assert selector is not None
            found = _scraped(api, query, selector, (first, last), bound, bar)
        else:
            found = _evaluated(api, query, selector, (first, last, width), bound, bar)
    return _frame(found, as_)


def instant(query: str, at: Time = None, *, url: str | Server = DEFAULT_URL, as_: Kind = "polars") -> Frame:
    """The value of a query at one moment; of a range such as `up[5m]`, the samples.

    Args:
        query: PromQL.
        at: an aware datetime, an ISO text with a zone, seconds since 1970, or a timedelta before now. Default: now.
        url: address of the server, or a `Server` with credentials, certificates and headers.
        as_: polars or pandas.

    Returns:
        As `range`, one row per series; a scalar is one row without labels.

    Raises:
        QueryRefused, SourceError, ParameterInvalid: as `range` does.
    """
    _kind(as_)
    now = datetime.now(UTC)
    when = time_ms(now if at is None else at, now, "at")
    if when is None:
        raise ParameterInvalid("at", "expected a time")
    with Api(url) as api:
        found = engine.at(api, query, when)
    return _frame(found, as_)


def _scraped(api: Api, query: str, selector: Selector, span: tuple[int, int], bound: Bound, bar: Progress) -> Samples:
    first, last = span
    for packed in stored.fetch(api, selector, first, last, bound, bar):
        with suppress(stored.Unreadable):
            return stored.raw(api, packed, first, last, bound, bar)
    try:
        return engine.scraped(api, selector, first, last, bound, bar)
    except QueryRefused:
        engine.at(api, query, last)  # it is refused as it was written, so that the place is shown in that
        raise


def _evaluated(
    api: Api, query: str, selector: Selector | None, steps: tuple[int, int, int], bound: Bound, bar: Progress
) -> Samples:
    first, last, width = steps
    lookback = _lookback_ms(api) if selector is not None and (last - first) // width >= LONG else None
    if selector is not None and lookback is not None and width <= lookback:
        for packed in stored.fetch(api, selector, first - lookback, last, bound, bar):
            if packed.histograms:  # one may be newer than the sample that it hides
                break
            with suppress(stored.Unreadable):
                return stored.stepped(api, packed, (first, last), width, lookback, bound, bar)
    return engine.evaluated(api, query, first, last, width, bound, bar)


def _lookback_ms(api: Api) -> int | None:
    """How old a sample may be for the server's engine; None where that is not known.

    Up to Prometheus 2 a sample that is exactly as old as the lookback counts, since 3.0 it does not.
    """
    found = duration_ms(str(api.flags.get("query.lookback-delta", "")))
    if found is None or api.version is None:
        return None
    return found if api.version[0] < 3 else found - 1


def _frame(found: Samples, as_: Kind) -> Frame:
    if found.histograms:
        text = (
            f"{found.histograms} series have native histograms, which have no single value and are left out; ask for "
            "histogram_quantile(0.95, …), histogram_sum(…) or histogram_count(…) with a step"
        )
        warnings.warn(text, HistogramsLeftOut, stacklevel=3)
    return native(found.frame(), as_)


def _kind(as_: str) -> None:
    if as_ not in ("polars", "pandas"):
        raise UnknownName("kind of frame", as_, ("polars", "pandas"))


__all__ = ["HistogramsLeftOut", "instant", "range"]
