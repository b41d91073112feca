"""A program that calls models, with the tap in it: `python -m tests.drill.caller ADDRESSES TEAMS`, both JSON.

It serves /metrics on the port of the settings, says `ready`, and then makes the calls that each line of its input asks for:
`{"team": …, "to": …, "model": …, "per_s": …, "fails": every how many, 0: none, "plan": …}`. A line replaces what was asked for
the same team before.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anthropic
import openai

from collectors import llm
from store.settings import load
from tests.dialects.plan import Plan

AT_ONCE = 48


class Calls:
    """The calls of one team at a steady rate, until stopped."""

    def __init__(self, clients: dict[str, Any], pool: ThreadPoolExecutor, asked: dict[str, Any]) -> None:
        self._clients, self._pool, self._asked = clients, pool, asked
        self._stop = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        if not self._asked["per_s"]:
            return
        number, began_s = 0, time.monotonic()
        while not self._stop.wait(max(0.0, began_s + number / self._asked["per_s"] - time.monotonic())):
            every = self._asked.get("fails", 0)
            status = 500 if every and number % every == every - 1 else 200
            self._pool.submit(call, self._clients, self._asked, Plan(key="0", status=status, **self._asked["plan"]))
            number += 1


def call(clients: dict[str, Any], asked: dict[str, Any], plan: Plan) -> None:
    """One call, booked to its team. What goes wrong is the tap's to tell."""
    client, messages = clients[asked["to"]], [{"role": "user", "content": plan.prompt}]
    with llm.attribute(team=asked["team"]), suppress(openai.APIError, anthropic.APIError):
        if asked["to"] == "anthropic":
            client.messages.create(model=asked["model"], max_tokens=100, messages=messages)
            return
        with client.chat.completions.create(model=asked["model"], messages=messages, stream=True) as stream:
            for _ in stream:
                pass


def main() -> None:
    """Make one good call and one that fails for each team, then what the input asks for."""
    addresses, teams = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    settings = load()
    llm.install(settings, metrics_port=settings.metrics_port, providers={at: name for name, at in addresses.items()})
    clients: dict[str, Any] = {
        "openai": openai.OpenAI(base_url=f"http://{addresses['openai']}/v1", api_key="none", max_retries=0),
        "anthropic": anthropic.Anthropic(base_url=f"http://{addresses['anthropic']}", api_key="none", max_retries=0),
    }
    for asked in teams:  # so that Prometheus knows both counters before they grow
        for status in (200, 500):
            call(clients, asked, Plan(key="0", status=status))
    pool, made = ThreadPoolExecutor(AT_ONCE), dict[str, Calls]()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["team"] in made:
            made[asked["team"]].stop()
        made[asked["team"]] = Calls(clients, pool, asked)


if __name__ == "__main__":
    main()
