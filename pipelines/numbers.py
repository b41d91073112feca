"""The numbers behind a page as CSV files: one for each chart and one for each table."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import Tag

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?[$€£]?[\d.,\s]*\d\s?%?")
_PLAIN = re.compile(r"[-+]?[$€£]?\d{1,3}(?:,\d{3})*(?:\.\d+)?|[-+]?[$€£]?\d+(?:\.\d+)?")
LONGEST = 60  # characters of a title in the name of a file


def name(kind: str, number: int, title: str) -> str:
    """The name of a file, from what it holds.

    >>> name("chart", 3, "Position by the hour (é)")
    'chart-3-position-by-the-hour-e.csv'
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST].strip("-")
    return f"{kind}-{number}{f'-{words}' if words else ''}.csv"


def file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    r"""CSV in UTF-8; of a value that is not known, nothing, and of a text like a formula, text for a spreadsheet too.

    >>> file(["team", "cost"], [["=1+1", -2.5], ["ads", None]])
    b"team,cost\r\n'=1+1,-2.5\r\nads,\r\n"
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([_safe(value) for value in row] for row in rows)
    return written.getvalue().encode()


def of_table(table: Tag) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of an HTML table as it is shown; numbers lose their thousands' separators and currency."""
    heads = [cell.get_text(" ", strip=True) for cell in table.select("thead > tr")[-1].find_all(["td", "th"])] if (
        table.select("thead > tr")
    ) else []  # fmt: skip
    rows = [
        [_plain(cell.get_text(" ", strip=True)) for cell in row.find_all(["td", "th"], recursive=False)]
        for row in table.select("tbody > tr")
    ]
    return heads or [f"column {nr}" for nr in range(1, max(map(len, rows), default=0) + 1)], rows


def _plain(text: str) -> str:
    bare = text.replace("\u2212", "-").replace("\u00a0", " ").replace("\u202f", " ")
    if bare in ("\u2013", "\u2014"):
        return ""
    return re.sub(r"[$€£,]", "", bare) if _PLAIN.fullmatch(bare) else bare


def _safe(value: object) -> object:
    # A spreadsheet runs a text that begins so, and a team may be called anything.
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None or value != value else value  # noqa: PLR0124  # NaN is not itself
