"""All dashboards, as the JSON that Grafana's provisioning reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from pipelines.dashboards.board import Places
from pipelines.dashboards.boards.itself import itself
from pipelines.dashboards.boards.llm_cost import llm_cost
from pipelines.dashboards.boards.llm_overview import llm_overview
from pipelines.dashboards.boards.rabbitmq_overview import rabbitmq_overview
from pipelines.dashboards.boards.rabbitmq_queue import rabbitmq_queue
from pipelines.dashboards.boards.slo import slo
from pipelines.dashboards.boards.vllm import vllm
from pipelines.pages import replace

BOARDS: tuple[Callable[[Places | None], dashboard.Dashboard], ...] = (
    *(rabbitmq_overview, rabbitmq_queue, llm_overview),
    *(llm_cost, vllm, slo, itself),
)


def build(places: Places | None = None) -> dict[str, str]:
    """The text of each dashboard by the name of its file."""
    built = [each(places).build() for each in BOARDS]
    return {f"{one.uid}.json": written(one) for one in built}


def written(board: Any) -> str:
    """A dashboard of the SDK as text: sorted, so that a change shows where it is."""
    return json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path, places: Places | None = None) -> list[Path]:
    """Write all dashboards into a folder, and take away those of ours that are no more; the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, changed = build(places), []
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            replace(path, text.encode())
            changed.append(path)
    for path in folder.glob("gaugebook-*.json"):
        if path.name not in texts:
            path.unlink()
            changed.append(path)
    return changed


def load(folder: Path) -> list[dict[str, Any]]:
    """The dashboards of a folder, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
