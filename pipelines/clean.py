"""Make the HTML of a notebook's outputs fit for a page that runs no script but its own and asks no other host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

from pipelines import numbers
from pipelines.numbers import Numbers

# An output's own style would fight the page's and could ask another host.
_FORBIDDEN = [
    "script",
    "style",
    "iframe",
    "object",
    "embed",
    "link",
    "meta",
    "base",
    "form",
    "frame",
    "frameset",
    "applet",
]
_LOADING = ["src", "srcset", "poster", "background", "data", "xlink:href"]
_NUMBER = re.compile(r"^[-+\u2212]?[$€£]?\s?[\d.,\u202f\u00a0 ]*\d[\d.,]*\s?(?:%|[a-zµ]{1,3}|[kMG]i?B?)?$")
WIDE = 8  # columns from which a table takes the width of a chart
SHORT = 24  # characters of a text that stays on one line
_NOTHING = {"", "-", "\u2013", "\u2014", "null", "nan", "none", "n/a"}


def defuse(soup: BeautifulSoup) -> None:
    """Take out scripts, handlers and everything that would load something from elsewhere."""
    for tag in soup.find_all(_FORBIDDEN):
        tag.decompose()
    for tag in soup.select("*"):
        for name in list(tag.attrs):
            value = str(tag.get(name, "")).strip().lower()
            if (
                name.lower().startswith("on")
                or (name == "href" and re.match(r"(javascript|data|vbscript):", re.sub(r"\s", "", value)))
                or (name in _LOADING and not value.startswith("data:image/"))
                or (name == "style" and ("url(" in value or "fixed" in value))
            ):
                del tag[name]
    for image in soup.find_all("img", src=False):
        image.decompose()


@dataclass(frozen=True)
class Table:
    """A table of the page: where it stands, what it is called, its numbers, and whether it shows only some of them."""

    place: Tag
    title: str
    numbers: Numbers
    cut: bool


def dress_tables(soup: BeautifulSoup, frames: Mapping[str, Sequence[bytes]] | None = None) -> list[Table]:
    """Let each table scroll by itself, set columns of numbers flush right, drop the data types that polars prints.

    Args:
        soup: the page.
        frames: Parquet files of the frames that the tables of an element with `data-frames` show, by what that is.
    """
    found = []
    whole = _frames(soup, frames or {})
    for nr, table in enumerate(soup.find_all("table"), 1):
        _undress_polars(table)
        table.attrs.pop("border", None)
        _head(soup, table)
        _align(table)
        title = _title(table)
        label = f"Table {nr}: {title}" if title else f"Table {nr}"
        attributes = {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": label}
        place = table.wrap(soup.new_tag("div", attrs=attributes))
        called, frame = numbers.name("table", nr, title), whole.get(id(table))
        shown = numbers.of_table(called, table)
        behind = numbers.of_frame(called, frame) if frame is not None else shown
        found.append(Table(place, title, behind, cut=behind.rows > shown.rows))
    return found


def caption_images(soup: BeautifulSoup) -> None:
    """Say of each picture that says nothing itself under which heading it stands."""
    for image in soup.find_all("img"):
        if not image.get("alt"):
            heading = image.find_previous(["h1", "h2", "h3"])
            image["alt"] = f"Picture: {heading.get_text(' ', strip=True)}" if heading else "Picture"


def _frames(soup: BeautifulSoup, frames: Mapping[str, Sequence[bytes]]) -> dict[int, bytes]:
    """The frame of each table that has one, by the identity of its tag."""
    found: dict[int, bytes] = {}
    for output in soup.select("[data-frames]"):
        tables, files = output.find_all("table"), frames.get(str(output["data-frames"]), ())
        if len(tables) == len(files):
            found |= {id(table): file for table, file in zip(tables, files, strict=True)}
        output.unwrap()
    return found


def _title(table: Tag) -> str:
    """What a table is called: its caption, or the heading that it stands under."""
    said = table.find("caption") or table.find_previous(["h2", "h3"])
    return said.get_text(" ", strip=True) if said else ""


def _undress_polars(table: Tag) -> None:
    shape = table.find_previous_sibling("small")
    if shape is None or not shape.get_text().startswith("shape: "):
        return
    shape.decompose()
    for kinds in table.select("thead > tr")[1:]:
        kinds.decompose()
    for cell in table.select("tbody td"):
        text = cell.get_text()
        if len(text) > 1 and text[0] == text[-1] == '"':
            cell.string = text[1:-1]
        elif text == "null":
            cell.string = "\u2013"


def _head(soup: BeautifulSoup, table: Tag) -> None:
    """Make a first row of nothing but headings the head of its table."""
    rows = table.find_all("tr")
    if table.find("thead") or len(rows) < 2 or rows[0].find("td"):
        return
    rows[0].wrap(soup.new_tag("thead"))
    body = soup.new_tag("tbody")
    for row in rows[1:]:
        body.append(row.extract())
    table.append(body)


def _align(table: Tag) -> None:
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.select("tbody > tr")]
    heads = [row.find_all(["td", "th"], recursive=False) for row in table.select("thead > tr")]
    width = max((len(row) for row in rows), default=0)
    if width >= WIDE:
        _add_class(table, "wide")
    for column in range(width):
        cells = [row[column] for row in rows if len(row) == width]
        texts = [cell.get_text().strip() for cell in cells]
        said = [text for text in texts if text.lower() not in _NOTHING]
        if said and all(_NUMBER.match(text) for text in said):
            for cell in cells + [head[column] for head in heads if len(head) == width]:
                _add_class(cell, "num")
        elif said and max(map(len, said)) <= SHORT:
            for cell in cells:
                _add_class(cell, "short")


def _add_class(tag: Tag, name: str) -> None:
    tag["class"] = " ".join([*filter(None, tag.get_attribute_list("class")), name])
