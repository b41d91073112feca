"""The numbers behind each chart and table of a page as files: CSV and, where more is known than is shown, Parquet."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    from bs4 import Tag

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?[$€£]?[\d.,\s]*\d\s?%?")
_PLAIN = re.compile(r"[-+]?[$€£]?\d{1,3}(?:,\d{3})*(?:\.\d+)?|[-+]?[$€£]?\d+(?:\.\d+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
LONGEST = 60  # characters of a title in the name of a file
CSV, PARQUET = "csv", "parquet"
CALLED = {CSV: "CSV", PARQUET: "Parquet"}


@dataclass(frozen=True)
class Numbers:
    """What stands behind a chart or a table: the name of its files without their ending, their content by ending.

    `rows` is how many they hold.
    """

    name: str
    content: Mapping[str, bytes]
    rows: int

    def files(self) -> dict[str, bytes]:
        """The files by name."""
        return {f"{self.name}.{ending}": content for ending, content in self.content.items()}


def name(kind: str, number: int, title: str) -> str:
    """The name of the files, from what they hold.

    >>> name("chart", 3, "Position by the hour (é)")
    'chart-3-position-by-the-hour-e'
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST].strip("-")
    return f"{kind}-{number}{f'-{words}' if words else ''}"


def of_frame(called: str, packed: bytes) -> Numbers:
    """A frame that a notebook has carried as Parquet: all its rows, not rounded."""
    import polars as pl

    frame = pl.read_parquet(packed)
    return Numbers(called, {CSV: file(frame.columns, frame.iter_rows()), PARQUET: packed}, len(frame))


def of_rows(called: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Numbers:
    """Rows of what a chart draws."""
    import polars as pl

    frame = pl.DataFrame([_column(name, [row[nr] for row in rows]) for nr, name in enumerate(columns)])
    packed = io.BytesIO()
    frame.write_parquet(packed, compression="zstd")
    return Numbers(called, {CSV: file(columns, rows), PARQUET: packed.getvalue()}, len(rows))


def of_table(called: str, table: Tag) -> Numbers:
    """An HTML table of which nothing else is known, as it is shown; its numbers lose separators and currency."""
    columns, rows = _cells(table)
    return Numbers(called, {CSV: file(columns, rows)}, len(rows))


def file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    r"""CSV in UTF-8; of a value that is not known, nothing, and of a text like a formula, text for a spreadsheet too.

    Times are as ISO 8601 has them, durations seconds, lists and structures JSON.

    >>> file(["team", "cost"], [["=1+1", -2.5], ["ads", None]])
    b"team,cost\r\n'=1+1,-2.5\r\nads,\r\n"
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([_safe(_plain(value)) for value in row] for row in rows)
    return written.getvalue().encode()


def _column(called: str, values: Sequence[object]) -> pl.Series:
    """Values of a chart as a column of one type: times as such, and what is of several types as text."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pl.Series(called, values, pl.Int64 if kinds == {int} else pl.Float64, strict=False)
    if kinds == {bool}:
        return pl.Series(called, values, pl.Boolean)
    texts = [None if value is None else str(value) for value in values]
    column = pl.Series(called, texts, pl.String)
    if not all(text is None or _TIME.match(text) for text in texts):
        return column
    try:
        return column.str.to_datetime(time_unit="us")
    except pl.exceptions.PolarsError:
        return column


def _cells(table: Tag) -> tuple[list[str], list[list[str]]]:
    heads = [cell.get_text(" ", strip=True) for cell in table.select("thead > tr")[-1].find_all(["td", "th"])] if (
        table.select("thead > tr")
    ) else []  # fmt: skip
    rows = [
        [_bare(cell.get_text(" ", strip=True)) for cell in row.find_all(["td", "th"], recursive=False)]
        for row in table.select("tbody > tr")
    ]
    return heads or [f"column {nr}" for nr in range(1, max(map(len, rows), default=0) + 1)], rows


def _bare(text: str) -> str:
    bare = text.replace("\u2212", "-").replace("\u00a0", " ").replace("\u202f", " ")
    if bare in ("\u2013", "\u2014"):
        return ""
    return re.sub(r"[$€£,]", "", bare) if _PLAIN.fullmatch(bare) else bare


def _plain(value: object) -> object:
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else value


def _safe(value: object) -> object:
    # A spreadsheet runs a text that begins so, and a team may be called anything.
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None or value != value else value  # noqa: PLR0124  # NaN is not itself
