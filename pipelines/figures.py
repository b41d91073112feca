"""Plotly figures in a notebook's outputs, taken out for the page to draw."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from pipelines import numbers, traces
from pipelines.numbers import Numbers

MIME = "application/vnd.plotly.v1+json"
DEFAULT_HEIGHT = 380  # pixels
_TAG = re.compile(r"</?(?:b|i|em|strong|sub|sup|span|a)\b[^>]*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True)
class Figure:
    """A chart as the page needs it. Texts are plain, not HTML; `spec` is JSON that is safe inside a script element."""

    number: int
    title: str
    subtitle: str
    alt: str
    height: int
    spec: str
    numbers: Numbers

    @property
    def key(self) -> str:
        """The id of its data in the page."""
        return f"figure-{self.number}"


def figure(number: int, bundle: Mapping[str, Any]) -> Figure:
    """Read one Plotly output. The title goes into HTML, where it wraps on a phone; a fixed width is dropped."""
    layout: dict[str, Any] = dict(bundle.get("layout") or {})
    heading = layout.pop("title", None) or {}
    heading = {"text": heading} if isinstance(heading, str) else heading
    title = plain(heading.get("text"))
    meta = layout.get("meta")
    alt = meta.get("alt") if isinstance(meta, dict) else None
    height = layout.pop("height", None)
    layout.pop("width", None)
    if title and "t" in (layout.get("margin") or {}):
        layout["margin"] = {side: size for side, size in layout["margin"].items() if side != "t"}
    data = [_svg(trace) for trace in bundle.get("data") or []]
    return Figure(
        number=number,
        title=title,
        subtitle=plain((heading.get("subtitle") or {}).get("text")),
        alt=str(alt or "") or traces.sentence(title, data, layout),
        height=int(height) if height else DEFAULT_HEIGHT,
        spec=json_in_script({"data": data, "layout": layout}),
        numbers=numbers.of_rows(numbers.name("chart", number, title), *traces.rows(data)),
    )


def plain(text: object) -> str:
    """Plotly's little HTML as plain text; other tags stay as they are written, for the template to escape.

    >>> plain("<b>Cost</b><br>per day &amp; team")
    'Cost per day & team'
    """
    return unescape(_TAG.sub("", _BREAK.sub(" ", str(text)))).strip() if text else ""


def json_in_script(value: object) -> str:
    r"""JSON that neither ends the script element it stands in nor starts a comment in it.

    >>> json_in_script("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _svg(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The trace drawn as SVG: WebGL compiles code, which the page forbids, and prints badly."""
    kind = {"scattergl": "scatter", "scatterpolargl": "scatterpolar"}.get(str(trace.get("type")))
    return {**trace, "type": kind} if kind else dict(trace)
