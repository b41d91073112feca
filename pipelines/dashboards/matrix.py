"""Which panel has data on what, as a table for the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.dashboards.check import Finding
from pipelines.dashboards.lint import panels

Board = dict[str, Any]


def matrix(boards: Sequence[Board], found: Mapping[str, Sequence[Finding]]) -> str:
    """Markdown: a table for each dashboard, a row for each panel, a column for each of what was asked.

    Args:
        boards: as `build.load` reads them.
        found: by the name of what was asked, such as `RabbitMQ 3.10.8`, how each query did there.
    """
    parts = []
    for board in boards:
        asked = {name: _of(board, findings) for name, findings in found.items()}
        asked = {name: cells for name, cells in asked.items() if any(cells.values())}
        parts.append(f"## {board['title']}\n")
        parts.append("| panel | asks | " + " | ".join(asked) + " |")
        parts.append("|---|---|" + "---|" * len(asked))
        for panel in panels(board):
            kinds = sorted({"PromQL" if "expr" in target else "SQL" for target in panel["targets"]})
            cells = [cells[panel["title"]] or "·" for cells in asked.values()]
            parts.append(f"| {panel['title']} | {', '.join(kinds)} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _of(board: Board, findings: Sequence[Finding]) -> dict[str, str]:
    """For each panel of a dashboard what its queries brought; empty where none was asked."""
    told = {}
    for panel in panels(board):
        here = [one for one in findings if (one.board, one.panel) == (board["uid"], panel["title"])]
        asked = [one for one in here if one.outcome != "not asked"]
        lacking = sorted({one.said or one.outcome for one in asked if one.outcome != "data"})
        have = any(one.outcome == "data" for one in asked)
        told[panel["title"]] = "" if not asked else "; ".join([*(["data"] if have else []), *lacking])
    return told
