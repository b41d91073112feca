"""Checks dashboards: their form, that every query parses, and that every query has data or a reason for having none."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.dashboards import expand
from pipelines.dashboards.ask import Asker, shown_by
from pipelines.dashboards.lint import panels

REASONS = Path(__file__).with_name("reasons.toml")
Board = dict[str, Any]
_REFUSED = re.compile(r'"a:(\d+)": (.+)')
NOTHING_TO_MARK = "nothing to mark"
PARSED_AT = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Finding:
    """How a query of a panel did.

    Attributes:
        outcome: `data`, `empty`, `excused` (empty, and `said` is the reason that is known), `error`, or `not asked`.
        kind: `promql` or `sql`.
    """

    board: str
    panel: str
    ref: str
    kind: str
    outcome: str
    took_ms: float = 0
    said: str = ""

    @property
    def bad(self) -> bool:
        """Whether somebody has to do something."""
        return self.outcome in ("empty", "error")


def check(
    boards: Sequence[Board],
    asker: Asker,
    *,
    on: str = "",
    now: datetime | None = None,
    chosen: expand.Values | None = None,
    step: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Ask every query of every dashboard.

    Args:
        boards: as `build.load` reads them.
        asker: who is asked.
        on: what is asked, as `RabbitMQ 3.10`: reasons may hold for that alone.
        now: the end of the time that is shown; none: now.
        chosen: values of variables, where it is not what a dashboard opens with.
        step: called after each panel.
    """
    now, found, excuses = now or datetime.now(UTC), [], reasons()
    for board in boards:
        values = asker.chosen(board, shown_by(board, {}, now), chosen)
        for panel in panels(board):
            for target in panel["targets"]:
                why = excuse(excuses, board["uid"], panel["title"], target["refId"], on)
                who = (board["uid"], panel["title"], target["refId"])
                found.append(_ask(asker, who, target, values, shown_by(board, panel, now), why))
            step()
        for marks in board["annotations"]["list"]:
            who = (board["uid"], f"annotations: {marks['name']}", marks["target"]["refId"])
            found.append(_ask(asker, who, marks["target"], values, shown_by(board, {}, now), NOTHING_TO_MARK))
    return found


def _ask(
    asker: Asker,
    who: tuple[str, str, str],
    target: dict[str, Any],
    values: expand.Values,
    shown: expand.Shown,
    why: str,
) -> Finding:
    """How a query does; `why` is the reason for which it may bring nothing."""
    kind = "promql" if "expr" in target else "sql"
    if not asker.asks(target):
        return Finding(*who, kind, "not asked")
    answer = asker.answer(target, values, shown)
    if answer.error:
        return Finding(*who, kind, "error", answer.took_ms, answer.error)
    if answer.empty:
        return Finding(*who, kind, "excused" if why else "empty", answer.took_ms, why)
    return Finding(*who, kind, "data", answer.took_ms)


def reasons() -> list[dict[str, Any]]:
    """Why which panels may be empty, as `reasons.toml` says."""
    return list(tomllib.loads(REASONS.read_text(encoding="utf-8"))["empty"])


def excuse(known: Sequence[dict[str, Any]], board: str, panel: str, ref: str, on: str) -> str:
    """The reason why a query may bring nothing; empty: there is none."""
    for one in known:
        there = not one.get("on") or any(on.startswith(each) for each in one["on"])
        if there and one["board"] == board and panel in one["panels"] and ref in one.get("refs", [ref]):
            return str(one["reason"])
    return ""


def parse(boards: Sequence[Board]) -> list[str] | None:
    """What promtool finds wrong in the expressions of dashboards; None where there is no promtool."""
    program = shutil.which("promtool")
    if program is None:
        return None
    rules: list[str] = ["groups: [{name: panels, rules: ["]
    places: list[str] = []
    for board in boards:
        values = {each["name"]: "1" if each["type"] == "custom" else ["x"] for each in board["templating"]["list"]}
        for panel in panels(board):
            for target in panel["targets"]:
                if "expr" in target:
                    expr = expand.promql(target["expr"], values, shown_by(board, panel, PARSED_AT))
                    place = f"{board['uid']} · {panel['title']} · {target['refId']}"
                    rules.append(f"{{record: 'a:{len(places)}', expr: '{expr.replace(chr(39), chr(39) * 2)}'}},")
                    places.append(place)
    rules.append("]}]")
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
        file.write("\n".join(rules))
        file.flush()
        command = [program, "check", "rules", "--lint=none", file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode == 0:
        return []
    said = [(int(found[1]), found[2]) for found in _REFUSED.finditer(told.stdout + told.stderr)]
    return [f"{places[number]}: {what}" for number, what in said] or [told.stderr.strip()]
