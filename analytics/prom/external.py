"""Labels that a server adds to what others read from it, and that its own queries do not show."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from analytics.prom.samples import Labels
from analytics.prom.selector import Selector
from analytics.prom.server import Api
from analytics.prom.wire import Unreadable

# In the configuration as the server writes it out itself, so that its form is always the same.
BLOCK = re.compile(r"^global:\n(?:  .*\n)*?  external_labels:\n((?:    .*\n)+)", re.MULTILINE)
PAIR = re.compile(r"    ([A-Za-z_]\w*): (\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^\s|>&*!%@`\[{\"'].*)")


def without_external(api: Api, selector: Selector, lo: int, hi: int, labels: Sequence[Labels]) -> list[Labels | None]:
    """The labels that the server's own queries show for each series; None for one that they do not find.

    Raises:
        Unreadable: it cannot be told which these are.
    """
    external = external_labels(api)
    if external == {} or not labels:
        return list(labels)
    asked = {"match[]": str(selector), "start": f"{lo / 1000:.3f}", "end": f"{hi / 1000:.3f}"}
    own: list[Labels] = api.ask("series", asked, str(selector))
    shown = {frozenset(((external or {}) | each).items()): each for each in own}
    if len(shown) < len(own):
        raise Unreadable("series differ in external labels alone")
    found = [shown.get(frozenset(each.items())) for each in labels]
    if external is None and None in found:
        raise Unreadable("unknown external labels")
    return found


def external_labels(api: Api) -> Labels | None:
    """The server's external labels; None where it does not show its configuration, or so that we cannot read it."""
    shown = api.look("status/config")
    text = shown.get("yaml") if isinstance(shown, dict) else None
    if not isinstance(text, str):
        return None
    block = BLOCK.search(text)
    if block is None:
        return None if "external_labels" in text else {}
    labels = {}
    for line in block[1].splitlines():
        pair = PAIR.fullmatch(line)
        value = _meant(pair[2]) if pair else None
        if pair is None or value is None:
            return None
        labels[pair[1]] = value
    return labels


def _meant(scalar: str) -> str | None:
    if scalar[0] == "'":
        return scalar[1:-1].replace("''", "'")
    if scalar[0] != '"':
        return scalar
    try:
        return str(json.loads(scalar))
    except ValueError:
        return None
