"""Completion in our magics: options, queries, tables, columns, parameters, metrics, labels, frames and measures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analytics.jupyter import catalogue
from analytics.jupyter.magics import NAMES, options

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

MAGIC = re.compile(rf"^\s*(?:\w+\s*=\s*)?(%%?)({'|'.join(NAMES)})\b")
WORD = re.compile(r"[\w.:-]*$")  # what is being typed: a name may have dots, dashes (options) and colons (metrics)
FUNCTIONS = (
    "avg", "avg_over_time", "bottomk", "changes", "count", "count_over_time", "delta", "deriv", "histogram_quantile",
    "increase", "irate", "max", "max_over_time", "min", "min_over_time", "predict_linear", "quantile", "rate", "resets",
    "sum", "sum_over_time", "topk", "by", "without", "offset",
)  # fmt: skip
ALIAS = r"(?!where|group|order|join|left|on|limit|using)(\w+)"  # a word after a table that is no keyword
IDENTIFIER = "gaugebook"


def register(shell: InteractiveShell) -> None:
    """Add the matcher to this shell's completer."""
    from IPython.core.completer import context_matcher

    @context_matcher(identifier=IDENTIFIER)  # type: ignore[untyped-decorator]
    def match(context: CompletionContext) -> SimpleMatcherResult:
        return matched(context.full_text, context.cursor_line, context.cursor_position, shell.user_ns)

    shell.Completer.custom_matchers.append(match)


def unregister(shell: InteractiveShell) -> None:
    """Take it out again."""
    kept = [one for one in shell.Completer.custom_matchers if getattr(one, "matcher_identifier", "") != IDENTIFIER]
    shell.Completer.custom_matchers[:] = kept
    catalogue.forget()


def matched(text: str, line: int, column: int, around: dict[str, Any]) -> SimpleMatcherResult:
    """What fits at a place of a cell; nothing, and no word against other matchers, where no magic of ours is."""
    from IPython.core.completer import SimpleCompletion

    lines = text.split("\n")
    before = lines[line][:column]
    head = MAGIC.match(lines[0])
    own = head if head is not None and head[1] == "%%" else MAGIC.match(before)
    if own is None or (line == 0 and column < own.end() + 1):
        return {"completions": [], "suppress": False}
    word = WORD.search(before)
    fragment = word[0] if word else ""
    body = head is not None and head[1] == "%%" and line > 0
    rest = before[: len(before) - len(fragment)]
    found = [(one, kind) for one, kind in _names(own[2], rest, fragment, text, around, body=body)]
    wanted = fragment.lower()
    kept = [SimpleCompletion(text=one, type=kind) for one, kind in found if one.lower().startswith(wanted)]
    return {"completions": kept, "suppress": True, "matched_fragment": fragment}


def _names(
    magic: str, before: str, fragment: str, text: str, around: dict[str, Any], *, body: bool
) -> list[tuple[str, str]]:
    if fragment.startswith("-") and not body:
        return [(one, "option") for one in options(magic)]
    if before.endswith("--as "):
        return [("polars", "kind"), ("pandas", "kind")]
    if magic == "gsql":
        return _sql(before, fragment, text, around) if body else _line(before, text)
    if magic == "promql":
        return _promql(before, text)
    from analytics.jupyter.series import measures

    frames = [(name, "frame") for name, one in around.items() if not name.startswith("_") and hasattr(one, "columns")]
    return [*frames, *((one, "measure") for one in measures())]


def _line(before: str, text: str) -> list[tuple[str, str]]:
    """After `%gsql`: the name of a query, then its parameters."""
    from store.queries import named, names

    if text.lstrip().startswith("%%"):
        return []
    words = before.partition("gsql")[2].split()
    queries = names()
    if not words:
        return [(name, "query") for name in queries]
    if words[0] in queries:
        return [(f"{name}=", "parameter") for name in named(words[0]).parameters]
    return _columns(text)


def _sql(before: str, fragment: str, text: str, around: dict[str, Any]) -> list[tuple[str, str]]:
    if fragment.startswith(":") and not fragment.startswith("::"):
        return [(f":{name}", "variable") for name in around if not name.startswith("_")]
    if re.search(r"\b(from|join|into|table)\s+$", before, re.IGNORECASE):
        known = catalogue.tables()
        return [(name, "table") for name in known]
    return _columns(text)


def _columns(text: str) -> list[tuple[str, str]]:
    """Columns of the tables that the text names, of all where it names none; then the tables."""
    known = catalogue.tables()
    named = [table for table in known if re.search(rf"\b{re.escape(table)}\b", text)]
    calls = {table: re.search(rf"\b{re.escape(table)}\s+(?:as\s+)?{ALIAS}", text, re.IGNORECASE) for table in named}
    aliases = {found[1]: table for table, found in calls.items() if found}
    columns = dict.fromkeys(column for table in named or known for column in known[table])
    dotted = [f"{alias}.{column}" for alias, table in aliases.items() for column in known[table]]
    return [
        *((name, "column") for name in columns),
        *((name, "column") for name in dotted),
        *((name, "table") for name in known),
    ]


def _promql(before: str, text: str) -> list[tuple[str, str]]:
    url = _url(text)
    inside = before.rpartition("{")[2] if before.count("{") > before.count("}") else None
    if inside is None:
        return [*((one, "metric") for one in catalogue.metrics(url)), *((one, "function") for one in FUNCTIONS)]
    value = re.search(r"(\w+)\s*(?:=~?|!=|!~)\s*\"$", inside)
    if value is not None:
        return [(one, "value") for one in catalogue.label_values(url, value[1])]
    return [(one, "label") for one in catalogue.labels(url)]


def _url(text: str) -> str:
    from analytics.jupyter.magics import _prometheus

    named = re.search(r"--url[= ](\S+)", text.partition("\n")[0])
    return named[1] if named else _prometheus()
