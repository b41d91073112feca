"""HTML of results: a sentence, a picture, a table. All text that comes from outside is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from html import escape

import polars as pl

from analytics import words

BOUND = re.compile(r".+-(lo|hi)-([0-9.]+)")
VALUES = ("y", "total", "expected", "limit", "spent", "run_rate")  # how columns of values begin
LEVELS = ("lo", "hi", "impact", "before", "after", "size", "actual", "change")  # other columns of values
CODE = re.compile(r"`([^`]+)`")
MOST = 20  # rows of a table that are shown
SHARES = (
    *("share", "utilisation", "uncertainty", "p_exceed", "p_full", "cached_share", "error_share", "bad_share"),
    *("budget_used", "bias_share", "coverage_80", "coverage_95"),
)  # columns in parts of one
NAMES = {
    "y_hat": "forecast",
    "unique_id": "series",
    "ds": "from",
    "p_exceed": "exceeded",
    "p_full": "full",
    "run_rate": "at this pace",
    "exhausted": "used up",
    "usd_per_m_tokens": "$ per 1M tokens",
    "more_usd": "ten points more",
}
MARKDOWN = '\\`*_{}[]#!|~"'  # characters that Markdown could take for its own

STYLE = (
    "<style>.gb{font-family:system-ui,sans-serif;line-height:1.45;overflow-x:auto}.gb svg{min-width:30em}"
    ".gb table{border-collapse:collapse;margin:.6em 0}"
    ".gb.gb table th,.gb.gb table td{padding:.2em .7em;text-align:left;border-bottom:1px solid #8886}"
    ".gb.gb table .n{text-align:right;font-variant-numeric:tabular-nums}.gb details{margin:.4em 0}"
    ".gb summary{cursor:pointer}"
    ".gb .note{opacity:.75;font-size:.88em;white-space:pre-line}</style>"
)
# What lies between two dollar signs would be typeset as a formula; these classes tell MathJax 3 and 2 not to.
OPENED = f'{STYLE}<div class="gb mathjax_ignore tex2jax_ignore">'


def block(sentence: str, *parts: str, note: str = "") -> str:
    """One result: an escaped sentence, ready HTML parts, an escaped note.

    >>> block("1 < 2", note="so").removeprefix(OPENED)
    '<p>1 &lt; 2</p><p class="note">so</p></div>'
    """
    tail = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"{OPENED}<p>{escape(sentence)}</p>{''.join(parts)}{tail}</div>"


def details(grounds: Iterable[str]) -> str:
    """What is behind a result, folded away; what stands between backticks is code.

    >>> details(["1 < 2", "", "try `x`"]).partition("</summary>")[2]
    '<ul><li>1 &lt; 2</li><li>try <code>x</code></li></ul></details>'
    """
    said = "".join(f"<li>{escape(one)}</li>" for one in grounds if one)
    said = CODE.sub(r"<code>\1</code>", said)
    return f"<details><summary>How sure is this, and what to do?</summary><ul>{said}</ul></details>"


def table(frame: pl.DataFrame, *, unit: str = "", most: int = MOST) -> str:
    """A frame as an HTML table; units follow from the names of the columns, `unit` is that of those that tell none.

    >>> table(pl.DataFrame({"team": ["<b>"], "cost_usd": [1.5]}))
    '<table><tr><th>team</th><th class="n">cost</th></tr><tr><td>&lt;b&gt;</td><td class="n">$1.50</td></tr></table>'
    """
    numeric = {name: dtype.is_numeric() for name, dtype in frame.schema.items()}

    def cells(tag: str, texts: list[str]) -> str:
        opened = [f'<{tag} class="n">' if right else f"<{tag}>" for right in numeric.values()]
        return "".join(f"{start}{escape(text)}</{tag}>" for start, text in zip(opened, texts, strict=True))

    head = cells("th", [heading(name) for name in frame.columns])
    body = ""
    for row in frame.head(most).iter_rows():
        shown = [cell(name, value, unit) for name, value in zip(frame.columns, row, strict=True)]
        body += f"<tr>{cells('td', shown)}</tr>"
    rest = f'<p class="note">and {len(frame) - most:,} more rows</p>' if len(frame) > most else ""
    return f"<table><tr>{head}</tr>{body}</table>{rest}"


def heading(name: str) -> str:
    """A column's name for people.

    >>> heading("cost_usd"), heading("delta_pct"), heading("ttft_p95_s"), heading("total-lo-80")
    ('cost', 'delta %', 'ttft p95', '80 % from')
    """
    bound = BOUND.fullmatch(name)
    if bound:
        return f"{bound[2]} % {'from' if bound[1] == 'lo' else 'to'}"
    name = NAMES.get(name, name)
    name = name.replace("_pct", " %")
    for suffix in ("_usd", "_s"):
        name = name if name.endswith("_per_s") else name.removesuffix(suffix)
    return name.replace("_", " ").replace("-", " ").replace("usd per", "$ per")


def cell(name: str, value: object, unit: str = "") -> str:
    """One value as its column's name asks.

    >>> cell("cost_usd", 3.0), cell("delta_pct", -4.56), cell("drain_s", 90.0), cell("share", 0.5), cell("queue", "a")
    ('$3.00', '-4.6 %', '1.5 min', '50 %', 'a')
    """
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return words.moment(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return _number(name, value, unit)


def _number(name: str, value: float, unit: str) -> str:
    if name.endswith("_usd") or name.startswith("usd_"):
        return words.usd(value)
    if name.endswith("_pct"):
        return f"{value:+.1f} %"
    if name in SHARES:
        return words.share(value)
    if name.endswith("_s") and not name.endswith("_per_s"):
        return words.seconds(value)
    own = unit == "USD" and (name.startswith(VALUES) or name.partition("-")[0] in LEVELS)
    return words.amount(value, unit if own else "")


def markdown(text: str) -> str:
    """Plain text as Markdown that reads the same, whatever it holds: markup, HTML, dollar signs.

    >>> markdown("a_b <i> $5")
    'a&#95;b &lt;i&gt; <span>&#36;</span>5'
    """
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "$": "<span>&#36;</span>"}
    return "".join(named.get(c) or (f"&#{ord(c)};" if c in MARKDOWN else c) for c in text)
