"""Small pictures of what is no forecast and no finding: bars, lines with a limit, a week by the hour. No script."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from analytics import words
from analytics.frames import Floats
from analytics.svg import AHEAD, ALARM, LINE, PAD, WIDTH, Scale, drawing, framed, numbers, text

MOST = 12  # bars of a picture
ROW, NAMED, TOLD = 24, 200, 150  # height of a bar; room for its name and for its value
SIGNS = 28  # characters of a name
CELL = 20  # height of an hour in a week
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def bars(names: Sequence[object], values: Sequence[float | None], told: Sequence[str], alt: str) -> str:
    """The first `MOST` values as bars from zero, each with its name and with what is told of it; below zero in orange.

    >>> bars(["a"], [2.0], ["$2"], "spend").count("<rect")
    1
    >>> bars([], [], [], "")
    ''
    """
    if not len(names):
        return ""
    sizes = np.array([0.0 if value is None else float(value) for value in values[:MOST]])
    sizes = np.where(np.isfinite(sizes), sizes, 0.0)
    low, high = min(0.0, float(sizes.min())), max(0.0, float(sizes.max()))
    scale = (WIDTH - NAMED - TOLD) / ((high - low) or 1.0)
    zero = NAMED - low * scale
    shapes = []
    for k, (name, size, said) in enumerate(zip(names, sizes, told, strict=False)):
        y = k * ROW + 4
        left, width = zero + min(0.0, size) * scale, abs(size) * scale
        colour = ALARM if size < 0 else AHEAD
        shapes.append(text(NAMED - 8, y + 12, _short(str(name)), "end"))
        shapes.append(
            f'<rect x="{left:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="{ROW - 8}" fill="{colour}"/>'
        )
        shapes.append(text(zero + max(0.0, size) * scale + 6, y + 12, said))
    return drawing(shapes, alt, ROW * len(sizes) + 8)


def lines(
    before: pl.Series,
    after: pl.Series | None = None,
    band: tuple[pl.Series, pl.Series] | None = None,
    *,
    limit: float | None = None,
    alt: str,
    unit: str = "",
) -> str:
    """A series, what it will be with its range, and a limit as a broken line; each part where it is given.

    >>> lines(pl.Series([1.0, 2.0]), pl.Series([3.0]), limit=4.0, alt="").count("<polyline")
    2
    """
    known = numbers(before)
    ahead = numbers(after) if after is not None else np.empty(0)
    edges: list[Floats] = [numbers(edge) for edge in band] if band is not None else []
    marks = [np.array([limit])] if limit is not None and np.isfinite(limit) else []
    scale = Scale(len(known) + len(ahead), [known, ahead, *edges, *marks])
    shapes = [scale.band(edges[0], edges[1], len(known), AHEAD, 0.2)] if edges else []
    shapes += [scale.line(known, 0, LINE), scale.line(ahead, len(known), AHEAD)]
    for mark in marks:
        y = scale.at(0, float(mark[0])).partition(",")[2]
        shapes.append(
            f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{y}" y2="{y}" stroke="{ALARM}" stroke-dasharray="6 4"/>'
        )
    return framed(shapes, alt, scale, unit)


def levels(y: pl.Series, cuts: Sequence[int], *, alt: str, unit: str = "") -> str:
    """A series and its mean level between cuts, which are places in it.

    >>> levels(pl.Series([1.0, 1.0, 3.0, 3.0]), [2], alt="").count("<polyline")
    3
    """
    known = numbers(y)
    scale = Scale(len(known), [known])
    shapes = [scale.line(known, 0, LINE)]
    ends = [0, *cuts, len(known)]
    for start, stop in pairwise(ends):
        part = known[start:stop]
        if np.isfinite(part).any():
            shapes.append(scale.line(np.full(len(part), float(np.nanmean(part))), start, AHEAD))
    return framed(shapes, alt, scale, unit)


def week(profile: pl.DataFrame, alt: str) -> str:
    """Means by `weekday` (1 is Monday) and `hour` as a field of cells, the darker the larger.

    >>> week(pl.DataFrame({"weekday": [1, 1], "hour": [0, 1], "mean": [0.0, 2.0]}), "").count("<rect")
    2
    """
    largest = float(np.nanmax(np.abs(numbers(profile["mean"])), initial=0.0)) or 1.0
    wide = (WIDTH - 50) / 24
    days = sorted(profile["weekday"].unique().to_list())
    shapes = [text(44, CELL * k + 14, DAYS[day - 1], "end") for k, day in enumerate(days)]
    for day, hour, mean in profile.select("weekday", "hour", "mean").iter_rows():
        x, y = 50 + hour * wide, CELL * days.index(day)
        depth = 0.06 + 0.94 * max(0.0, mean or 0.0) / largest
        said = f"{DAYS[day - 1]} {hour:02d}:00, {words.amount(mean)}"
        shapes.append(
            f'<rect x="{x:.1f}" y="{y}" width="{wide - 1:.1f}" height="{CELL - 1}" fill="{AHEAD}" '
            f'fill-opacity="{depth:.2f}"><title>{said}</title></rect>'
        )
    shapes += [text(50 + hour * wide, CELL * len(days) + 14, f"{hour:02d}:00") for hour in (0, 6, 12, 18)]
    return drawing(shapes, alt, CELL * len(days) + 20)


def _short(name: str) -> str:
    return name if len(name) <= SIGNS else f"{name[: SIGNS - 1]}…"
