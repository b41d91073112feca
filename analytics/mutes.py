"""Feedback on anomalies, kept in the store: mute a stretch, say that a finding was none, and have both heeded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from store.connect import connect
from store.errors import NoneYet, ParameterInvalid, UnknownName
from store.queries import named
from store.read import read
from store.settings import Settings

if TYPE_CHECKING:
    from analytics.detection import Anomalies

VERDICTS = ("mute", "false", "true")


def mute(
    settings: Settings,
    target: str,
    since: datetime,
    until: datetime,
    *,
    unique_id: str | None = None,
    reason: str = "",
) -> int:
    """Say nothing of a stretch: a load test, a known outage, a holiday.

    Args:
        settings: where the store is.
        target: what is watched, as the findings were saved under, such as "hourly cost_usd".
        since: start of the stretch, with its zone.
        until: its end, not included.
        unique_id: the series. Default: every series of the target.
        reason: for those who ask later.

    Returns:
        The number that `remove` takes.

    Raises:
        ParameterInvalid: a time has no zone, or the end is not after the start.

    >>> from datetime import UTC
    >>> from store.settings import load
    >>> mute(load(), "hourly cost_usd", datetime(2026, 1, 2), datetime(2026, 1, 3, tzinfo=UTC))
    Traceback (most recent call last):
    store.errors.ParameterInvalid: parameter 'since': 2026-01-02 00:00:00 has no time zone; give it one, such as UTC
    """
    return _add(settings, target, unique_id, (since, until), "mute", None, reason)


def label(
    settings: Settings,
    target: str,
    found: Anomalies,
    finding: int,
    *,
    right: bool,
    reason: str = "",
) -> int:
    """Say whether a finding was one. A series whose finding was none is from then on flagged only above its score.

    Args:
        settings: where the store is.
        target: what is watched, such as "hourly cost_usd".
        found: what `anomalies` made of a frame with times.
        finding: its row in `found.findings`.
        right: whether it was an anomaly.
        reason: for those who ask later.

    Raises:
        ParameterInvalid: there is no such finding, or its times have no zone.
    """
    row = finding_of(found, finding)
    span = (row[found.time_col], row["until"])
    return _add(settings, target, str(row[found.id_col]), span, "true" if right else "false", row["score"], reason)


def judge(settings: Settings, target: str, unique_id: str, at: datetime, *, right: bool, reason: str = "") -> int:
    """`label` for a finding that was saved: the latest one of the series that holds the moment `at`.

    Args:
        settings: where the store is.
        target: what is watched, such as "hourly cost_usd".
        unique_id: the series.
        at: a moment of the finding, with its zone.
        right: whether it was an anomaly.
        reason: for those who ask later.

    Raises:
        NoneYet: no finding of the series was saved that holds this moment.
    """
    rows = read(settings, "anomaly_at", target=target, unique_id=unique_id, at=at).rows()
    if not rows:
        advice = "`gaugebook anomalies --save` saves them; name the series and a moment as it shows them"
        raise NoneYet(f"no finding of {unique_id!r} in {target!r} that holds {at:%Y-%m-%d %H:%M} was saved", advice)
    since, until, score = rows[0]
    return _add(settings, target, unique_id, (since, until), "true" if right else "false", score, reason)


def remove(settings: Settings, verdict: int) -> None:
    """Take back a mute or a label; it stays in the table for its history.

    Raises:
        UnknownName: there is none of that number, or it was taken back before.
    """
    with connect(settings) as connection:
        if not connection.execute(named("anomaly_verdict_remove").sql, {"verdict_id": verdict}).fetchall():
            raise UnknownName("verdict", str(verdict), ())


def verdicts(settings: Settings, target: str) -> pl.DataFrame:
    """What was said of a target: `verdict_id, unique_id, since, until, verdict, score, reason, made_at, made_by`."""
    return read(settings, "anomaly_verdicts", target=target)


def heeded(found: Anomalies, said: pl.DataFrame) -> Anomalies:
    """The findings without those that are muted, and without those that are no larger than one that was none.

    Scores stay as they are; `is_anomaly` is taken back where it is muted. A finding that was said to be one keeps its
    series from being silenced by weaker ones: the bar of a series is the highest score that was none and lies below
    every score that was one.

    Args:
        found: what `anomalies` made of a frame with times.
        said: what `verdicts` reads.

    >>> from analytics import anomalies
    >>> noise = pl.Series([1.0, 2.0] * 200 + [90.0] + [1.0, 2.0] * 20)
    >>> found = anomalies(pl.DataFrame({"ds": range(441), "y": noise}))
    >>> mute = {"unique_id": "series", "since": 395, "until": 405, "verdict": "mute", "score": None}
    >>> len(found.findings), len(heeded(found, pl.DataFrame([mute])).findings)
    (1, 0)
    """
    names = found.id_col, found.time_col
    table = found.table.with_columns(is_anomaly=pl.col("is_anomaly") & ~silent(found.table, said, *names))
    findings = found.findings.filter(~silent(found.findings, said, *names, end="until"))
    return replace(found, table=table, findings=findings)


def finding_of(found: Anomalies, finding: int) -> dict[str, object]:
    """The row of a finding.

    Raises:
        ParameterInvalid: there is no such row.
    """
    if not 0 <= finding < len(found.findings):
        there = f"there are {len(found.findings)}, counted from 0" if len(found.findings) else "there is none"
        raise ParameterInvalid("finding", f"no finding {finding!r}; {there}")
    return found.findings.row(finding, named=True)


def silent(frame: pl.DataFrame, said: pl.DataFrame, id_col: str, time_col: str, end: str | None = None) -> pl.Series:
    """Whether each row of a frame with `score` is to be silent: a point, or a finding where `end` names its end.

    Args:
        frame: one row per point or finding.
        said: what `verdicts` reads.
        id_col: name of the column of series.
        time_col: name of the column of times.
        end: name of the column of ends, not included.

    >>> point = pl.DataFrame({"unique_id": ["a"], "ds": [7], "score": [5.0]})
    >>> mute = pl.DataFrame([{"unique_id": None, "since": 5, "until": 8, "verdict": "mute", "score": None}])
    >>> silent(point, mute, "unique_id", "ds").to_list()
    [True]
    """
    quiet = pl.lit(value=False)
    series = pl.col(id_col).cast(pl.String)
    for row in said.filter(pl.col("verdict") == "mute").iter_rows(named=True):
        until = pl.col(end) > row["since"] if end else pl.col(time_col) >= row["since"]
        inside = until & (pl.col(time_col) < row["until"])
        quiet = quiet | (inside if row["unique_id"] is None else inside & (series == row["unique_id"]))
    for name, score in _bars(said).items():
        quiet = quiet | ((series == name) & (pl.col("score") <= score))
    # Where nobody has said anything it is a literal, of which `select` makes a single value.
    return frame.with_columns(silent=quiet.fill_null(value=False)).get_column("silent")


def _bars(said: pl.DataFrame) -> dict[str, float]:
    """Per series the score that a finding must be above."""
    bars: dict[str, float] = {}
    judged = said.filter(pl.col("verdict").is_in(["false", "true"]) & pl.col("score").is_not_null())
    for (name,), rows in judged.group_by("unique_id"):
        right = rows.filter(pl.col("verdict") == "true")["score"].min()
        wrong = rows.filter(
            (pl.col("verdict") == "false") & (pl.col("score") < (right if right is not None else 1e308))
        )
        if len(wrong):
            bars[str(name)] = float(wrong["score"].max())  # type: ignore[arg-type]  # never null: there are rows
    return bars


def _add(
    settings: Settings,
    target: str,
    unique_id: str | None,
    span: tuple[object, object],
    verdict: str,
    score: object,
    reason: str,
) -> int:
    for name, when in zip(("since", "until"), span, strict=True):
        if not isinstance(when, datetime) or when.tzinfo is None:
            raise ParameterInvalid(name, f"{when} has no time zone; give it one, such as UTC")
    if span[1] <= span[0]:  # type: ignore[operator]  # both are datetimes
        raise ParameterInvalid("until", f"{span[1]} is not after {span[0]}")
    row = {"target": target, "unique_id": unique_id, "since": span[0], "until": span[1]}
    with connect(settings) as connection:
        query = named("anomaly_verdict_add")
        added = connection.execute(query.sql, {**row, "verdict": verdict, "score": score, "reason": reason})
        return int(added.fetchall()[0][0])
