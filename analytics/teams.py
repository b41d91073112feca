"""One team's part of a frame: what a report for a team is made of."""

from __future__ import annotations

import polars as pl

from analytics.frames import polars
from store.errors import ColumnMissing

TOTAL = "total"
LONG = ("unique_id", "ds", "y")


def only(frame: pl.DataFrame, team: str) -> pl.DataFrame:
    """The rows of a team; of a long frame its series are named without the team, and the column goes.

    Args:
        frame: rows with a column `team`, as `load.metrics` or `load.llm(by=("team", ...))` give them.
        team: its name; an empty text is every team, and changes nothing.

    Raises:
        ColumnMissing: the frame has no column `team`.

    >>> rows = pl.DataFrame({"unique_id": ["a/m", "b/m"], "ds": [1, 1], "y": [2.0, 3.0], "team": ["a", "b"],
    ...                      "model": ["m", "m"]})
    >>> only(rows, "b").row(0)
    ('m', 1, 3.0, 'm')
    """
    data, _ = polars(frame)
    if not team:
        return data
    if "team" not in data.columns:
        raise ColumnMissing("team", data.columns)
    own = data.filter(pl.col("team") == team)
    if not set(LONG) <= set(data.columns):
        return own
    dims = [name for name in data.columns if name not in (*LONG, "team")]
    label = pl.concat_str(dims, separator="/") if dims else pl.lit(TOTAL)
    return own.with_columns(label.alias("unique_id")).drop("team").sort("unique_id", "ds")
