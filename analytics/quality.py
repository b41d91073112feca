"""How complete the data is: requests without a price or without usage, buckets without rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import polars
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from analytics.frames import Frame


@dataclass(frozen=True, repr=False)
class Quality:
    """What is missing. `table` has one row per model with requests, errors, unpriced and unmetered."""

    table: pl.DataFrame
    buckets: int
    silent: int

    @property
    def requests(self) -> int:
        """All requests."""
        return int(self.table["requests"].sum())

    @property
    def unpriced(self) -> int:
        """Requests that went well and have no price: they are in no cost."""
        return int(self.table["unpriced"].sum())

    @property
    def unmetered(self) -> int:
        """Requests that went well and have no token counts."""
        return int(self.table["unmetered"].sum())

    def sentence(self) -> str:
        """The gaps in one or two sentences."""
        every = words.amount(self.requests)
        lacks = [
            f"{words.amount(count)} of {every} requests ({words.share(count / self.requests)}) have no {what}"
            for count, what in ((self.unpriced, "known price and are in no cost"), (self.unmetered, "token counts"))
            if count
        ]
        said = "; ".join(lacks) if lacks else f"All {every} requests have a price and token counts"
        silent = f" {self.silent} of {self.buckets} buckets have no request at all." if self.silent else ""
        return f"{said}.{silent}"

    def __repr__(self) -> str:
        return f"<Quality: {self.sentence()}>"

    def _repr_html_(self) -> str:
        from analytics.render import block, table

        return block(self.sentence(), table(self.table))


def check(frame: Frame) -> Quality:
    """Say what is missing in wide LLM rows.

    Args:
        frame: as `load.metrics` gives it: bucket, model, requests, errors, total_cost, unpriced, unmetered.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there.

    >>> rows = pl.DataFrame({"bucket": [1, 3], "model": "m", "requests": 4, "errors": 0, "total_cost": [1.0, None],
    ...                      "unpriced": [0, 4], "unmetered": 0})
    >>> check(rows).sentence()
    '4 of 8 requests (50 %) have no known price and are in no cost.'
    """
    data, _ = polars(frame)
    for name in ("bucket", "model", "requests", "errors", "total_cost", "unpriced", "unmetered"):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty() or not data["requests"].sum():
        raise NoRows("the LLM frame")
    buckets = data["bucket"].unique().sort()
    busy = data.filter(pl.col("requests") > 0)["bucket"].n_unique()
    gaps = buckets.diff().drop_nulls()
    whole = int((buckets[-1] - buckets[0]) / gaps.min()) + 1 if len(gaps) else 1
    counts = ("requests", "errors", "unpriced", "unmetered")
    table = data.group_by("model").agg(
        pl.col(*counts).sum().cast(pl.Int64), pl.col("total_cost").sum().cast(pl.Float64).alias("cost_usd")
    )
    return Quality(table.sort("requests", "model", descending=[True, False]), whole, whole - busy)
