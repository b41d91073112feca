"""Writes the compatibility table of docs/sources/llm-clients.md: what of a call through each client's own code is right.

    python -m tests.compatibility [--check]

A store of its own is started in a temporary folder. `--check` compares and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from collectors import llm
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import Settings, load
from tests.dialects.plan import Plan
from tests.llm_calls import Way, first_token_errors, rows_by_project, ways, wrong_tokens
from tests.llm_clients import APIS
from tests.llm_server import LLMServer
from tests.servers import open_folder

PAGE = Path(__file__).parents[1] / "docs/sources/llm-clients.md"
STREAMS = 5
TURNS = 4
MEDIAN_S = 0.010
PLAN = Plan(
    key="",
    role_s=0.1,
    reasoning_s=0.3,
    text_s=0.5,
    reasoning_chunks=3,
    input_tokens=1_000,
    cached_tokens=300,
    cache_write_tokens=200,
    output_tokens=50,
    reasoning_tokens=20,
)
HEAD = """\
# Clients that the tap was tested with

Every line is calls through the provider's own client to a local server that answers in the provider's format, with known
usage and known delays: a chunk with a role and nothing else at 0.1 s, reasoning from 0.3 s, text from 0.5 s. **right**: the
row says what the server did: tokens exactly, the time to the first token within 10 ms (median of {streams}); -: the provider's
format does not tell it, or nothing is streamed. The first call of a process is left out, for clients build their types on
it and read late; a line that is not right is tried up to {turns} times, for the time of a busy machine is not the tap's.
Made by `python -m tests.compatibility`.

| client | API | | | tokens | cached | written to cache | reasoning | first token |
|---|---|---|---|---|---|---|---|---|
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the page that is there")
    check = parser.parse_args(arguments).check
    text = page()
    if not check:
        PAGE.write_text(text)
    elif PAGE.read_text() != text:
        print(text)
        print(f"{PAGE} says something else; run: python -m tests.compatibility", file=sys.stderr)
        return 1
    return 0


def page() -> str:
    """The whole page, measured now."""
    lines = []
    with open_folder() as home, LLMServer() as server:
        database = EmbeddedServer(home, configuration={"fsync": "off"})
        database.start()
        os.environ["GAUGEBOOK_SPOOL"] = str(home / "spool")
        settings = load(dsn=database.conninfo(), home=home)
        migrate(settings)
        tap = llm.install(settings)
        try:
            for way in ways(APIS):
                for streamed in (True, False) if way.api.streams else (False,):
                    lines.append(
                        f"| {label(way, streamed)} | {' | '.join(line(way, tap, settings, server, streamed))} |\n"
                    )
        finally:
            llm.uninstall()
            database.stop()
    return HEAD.format(streams=STREAMS, turns=TURNS) + "".join(lines)


def line(way: Way, tap: llm.Tap, settings: Settings, server: LLMServer, streamed: bool) -> list[str]:
    """The cells of one way to call. A machine that is busy delays a client too: it gets more than one turn."""
    told: list[str] = []
    for turn in range(TURNS):
        plans = [replace(PLAN, key=f"{way}-{streamed}-{turn}-{n}") for n in range(1 + STREAMS * streamed)]
        way.call(server, plans, streamed=streamed)
        assert tap.flush()
        measured = plans[1:] or plans  # a client builds its types when the first stream arrives
        told = cells(way, measured, rows_by_project(settings), server, streamed=streamed)
        if not any("wrong" in cell for cell in told):
            break
    return told


def label(way: Way, streamed: bool) -> str:
    """The first cells of a line."""
    api = way.api
    kind = api.dialect.partition(".")[2]
    return f"{api.client} {api.version} | {kind} | {'async' if way.asynchronous else 'sync'} | {'streamed' if streamed else 'whole'}"


def cells(
    way: Way, plans: Sequence[Plan], rows: dict[str, list[dict[str, object]]], server: LLMServer, *, streamed: bool
) -> list[str]:
    """Right, wrong with both values, or nothing to tell."""
    row = rows.get(plans[0].key, [])
    if len(row) != 1:
        return [f"**wrong**: {len(row)} rows"] * 5
    wrong = wrong_tokens(way, plans[0], row[0])
    reports = way.api.speaks.reports
    told = [cell({kind: wrong[kind] for kind in ("input_tokens", "output_tokens") if kind in wrong})]
    for kind in ("cached_tokens", "cache_write_tokens", "reasoning_tokens"):
        told.append(cell({kind: wrong[kind]} if kind in wrong else {}) if kind in reports or kind in wrong else "-")
    if not streamed:
        return [*told, "-"]
    if any(row["ttft_s"] is None for plan in plans for row in rows[plan.key]):
        return [*told, "**wrong**: none"]
    errors = first_token_errors(server, plans, rows)
    return [*told, "right" if errors.median <= MEDIAN_S else f"**wrong** by {errors.median:.3f} s"]


def cell(wrong: dict[str, tuple[int | None, int | None]]) -> str:
    """One cell about tokens."""
    return "; ".join(f"**wrong**: {said} for {truth}" for truth, said in wrong.values()) or "right"


if __name__ == "__main__":
    sys.exit(main())
