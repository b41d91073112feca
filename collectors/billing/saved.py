"""Pages of reports that were saved to a file."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from collectors.billing.fields import NotAReport
from collectors.billing.provider import Provider, Reading
from collectors.files.lines import check_file
from store.errors import FileUnusable

MOST_BYTES = 256 << 20  # a page is some 100 kB


def saved_pages(provider: Provider, path: Path) -> list[Reading]:
    """The pages in `path`: one JSON object, an array of them, or one on each line.

    Raises:
        FileUnusable: it cannot be read, or a page is not a report of `provider`.
    """
    if check_file(path) > MOST_BYTES:
        raise FileUnusable(path, f"is larger than {MOST_BYTES >> 20} MB; import it in parts")
    readings = []
    for number, page in enumerate(_pages(path), 1):
        kind = "costs" if any(map(_is_cost, _results(page))) else "usage"
        if not isinstance(page, dict) or not provider.owns(page):
            raise FileUnusable(path, f"page {number} is not one of {provider.name}'s reports")
        try:
            readings.append(provider.read(page, kind))
        except NotAReport as error:
            raise FileUnusable(path, f"page {number}: {error}") from error
    return readings


def _pages(path: Path) -> list[Any]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnusable(path, "is not UTF-8 text") from error
    try:
        found = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line, parse_float=Decimal) for line in content.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise FileUnusable(path, "is not JSON") from error
    return found if isinstance(found, list) else [found]


def _results(page: Any) -> list[Any]:
    return [result for bucket in _list(page, "data") for result in _list(bucket, "results")]


def _list(parent: Any, name: str) -> list[Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, list) else []


def _is_cost(result: Any) -> bool:
    return isinstance(result, dict) and "amount" in result
