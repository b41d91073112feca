"""A report as a letter: HTML that mail programs show, its charts as pictures, and plain text that says the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from pipelines.delivery.parcel import Parcel
from pipelines.prints import Picture

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

WIDTH = 800  # CSS pixels of a picture, at most
MOST = 80_000  # characters of HTML; mail programs cut what is much longer
# Many mail programs drop a style sheet and keep what stands in the elements.
STYLES = {
    "h2": "margin:28px 0 8px;font-size:20px",
    "h3": "margin:24px 0 8px;font-size:17px",
    "table": "border-collapse:collapse;margin:8px 0 20px;font-size:14px",
    "th": "padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid #1d1d1b;color:#5f5d57",
    "td": "padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid #e3e0d8",
    "figcaption": "margin-top:20px;font-weight:600",
    "figure": "margin:0",
    "img": "display:block;max-width:100%;height:auto",
}
_LEFT_OUT = ".code, .csv, .tools, nav, script, noscript, style, button, [hidden], .plot.notice"
_FRAME = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    '<body style="margin:0;background:#ffffff;color:#1d1d1b;font:16px/1.5 Georgia,serif">'
    '<div style="max-width:{width}px;margin:0 auto;padding:16px"><h1 style="font-size:26px">{title}</h1>'
    "{link}{facts}{body}</div></body></html>"
)


@dataclass(frozen=True)
class Letter:
    """The two texts of a message."""

    html: str
    text: str


def write(parcel: Parcel, pictures: Sequence[Picture], key: str, *, link: str | None = None) -> Letter:
    """The letter of a run.

    Args:
        parcel: the run.
        pictures: its charts; those that are not among them are told in words.
        key: what makes the names of the pictures unique.
        link: where the page itself is, if it is anywhere.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(parcel.page.read_text(encoding="utf-8"), "html.parser")
    for tag in soup.select(_LEFT_OUT):
        tag.decompose()
    for tag in soup.find_all("br"):
        tag.replace_with(" ")
    for tag in soup.select("a[href]"):
        if not re.match(r"https?:|mailto:", str(tag["href"])):  # leads nowhere from a letter
            tag.unwrap()
    facts, faults, main = soup.select_one(".facts"), soup.select_one(".incomplete"), soup.select_one("main")
    shown = {picture.name: picture for picture in pictures}
    for plot in soup.select(".plot"):
        _replace(soup, plot, shown.get(str(plot.get("data-figure"))), key)
    text = "\n\n".join(
        filter(None, [parcel.title, link, _facts(facts), *(_text(part) for part in (faults, main) if part)])
    )
    for figure in soup.select("figure:has(img)"):  # the picture shows the title that stands above the chart
        for caption in figure.find_all("figcaption"):
            caption.decompose()
    for tag in soup.find_all(list(STYLES)):
        tag.attrs = {name: value for name, value in tag.attrs.items() if name in ("src", "alt", "width", "class")}
        style = STYLES[tag.name]
        numeric = {"num", "n"} & set(tag.get_attribute_list("class"))
        tag["style"] = style.replace("text-align:left", "text-align:right") if numeric else style
        del tag["class"]
    body = "".join(part.decode_contents() for part in (faults, main) if part)
    if len(body) > MOST:
        where = f'<a href="{escape(link)}">on its page</a>' if link else "on its page"
        body = f"{_shortened(main) if main else ''}<p>The rest is {where}.</p>"
    html = _FRAME.format(
        title=escape(parcel.title),
        width=WIDTH,
        link=f'<p><a href="{escape(link)}">Open the report</a></p>' if link else "",
        facts=f'<p style="color:#5f5d57;font-size:13px">{escape(_facts(facts)).replace(chr(10), "<br>")}</p>',
        body=body,
    )
    return Letter(html, text + "\n")


def content_id(picture: Picture, key: str) -> str:
    """By which the HTML names a picture of the message."""
    return f"{picture.name}.{key}@gaugebook"


def _replace(soup: BeautifulSoup, plot: Tag, picture: Picture | None, key: str) -> None:
    """A picture, or what it shows in words, in the place of a chart."""
    alt = str(plot.get("aria-label") or "")
    if picture is None:
        place = soup.new_tag("p")
        place.string = f"[{alt}]"
    else:
        place = soup.new_tag("img", attrs={"src": f"cid:{content_id(picture, key)}", "alt": alt, "width": str(WIDTH)})
    plot.replace_with(place)


def _shortened(main: Tag) -> str:
    """The first parts of an article, as many as a mail program shows."""
    kept = ""
    for part in main.find_all(recursive=False):
        if len(kept) + len(str(part)) > MOST:
            break
        kept += str(part)
    return kept


def _facts(facts: Tag | None) -> str:
    rows = facts.find_all("div") if facts else []
    return "\n".join(": ".join(row.get_text("\n", strip=True).split("\n", 1)) for row in rows)


def _text(part: Tag) -> str:
    """An article as plain text: headings underlined, tables as columns, pictures by what they show."""
    said: list[str] = []
    for tag in part.find_all(["h2", "h3", "p", "li", "table", "img", "figcaption", "pre", "blockquote"]):
        if tag.name != "table" and tag.find_parent(["table", "li", "blockquote"]):
            continue
        words = " ".join(tag.get_text().split())
        if tag.name == "table":
            said.append(_columns(tag))
        elif tag.name == "img":
            said.append(f"[{tag.get('alt', '')}]")
        elif tag.name in ("h2", "h3"):
            said.append(f"{words}\n{('=' if tag.name == 'h2' else '-') * len(words)}")
        elif tag.name == "pre":
            said.append(tag.get_text())
        elif words:
            said.append(f"- {words}" if tag.name == "li" else words)
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(said))


def _columns(table: Tag) -> str:
    rows = [[" ".join(cell.get_text().split()) for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")]
    count = max(map(len, rows), default=0)
    widths = [max((len(row[nr]) for row in rows if nr < len(row)), default=0) for nr in range(count)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    )
