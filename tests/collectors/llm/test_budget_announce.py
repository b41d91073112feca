"""Soft limits and the first refusal: told once, whoever notices it, and posted until it is taken."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from collectors.llm.budget import Budgets, Refusal, announce
from collectors.llm.budget.announce import Webhooks
from collectors.llm.budget.declare import put
from store.settings import Settings
from tests.collectors.llm.budget_race import ask
from tests.servers import free_port

SOFT = (Decimal("0.5"), Decimal("0.8"))


class Hook(ThreadingHTTPServer):
    """Takes posts; answers the first ones with `statuses`, and all others with 200."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/json"
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.heard.append(said)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def guards(store: Settings, number: int) -> list[Budgets]:
    return [Budgets(store.model_copy(update={"llm_budgets": "fail_closed"})) for _ in range(number)]


def spend(budgets: Budgets, cost: str) -> None:
    budgets.settle(budgets.reserve(ask("search", int(Decimal(cost) * 100_000))), Decimal(cost))
    assert budgets.flush()


def test_each_soft_limit_is_told_once(store, hook, caplog):
    put(store, "b", team="search", limit_usd=Decimal("0.10"), soft_limits=SOFT, webhook_url=hook.url)
    one, two = guards(store, 2)
    spend(one, "0.03")
    spend(two, "0.025")
    spend(one, "0.005")
    spend(two, "0.02")
    spend(one, "0.005")
    assert isinstance(one.reserve(ask("search")), Refusal)
    assert isinstance(two.reserve(ask("search")), Refusal)
    for budgets in (one, two):
        budgets.close()
    told = [(said["event"], said["level"], said["spent_usd"]) for said in hook.heard]
    assert sorted(told, key=str) == [
        ("refused", None, "0.085"),
        ("soft_limit", 0.5, "0.055"),
        ("soft_limit", 0.8, "0.080"),
    ]
    assert all(said["budget"] == "b" and said["limit_usd"] == "0.10" for said in hook.heard)
    assert caplog.text.count("has reached 50% of its limit") == 1
    assert caplog.text.count("has reached 80% of its limit") == 1
    assert "s3cret" not in caplog.text


def test_a_jump_tells_of_the_higher_and_a_new_limit_begins_anew(store, hook):
    put(store, "b", limit_usd=Decimal("0.03"), soft_limits=SOFT, webhook_url=hook.url)
    (budgets,) = guards(store, 1)
    spend(budgets, "0.03")
    put(store, "b", limit_usd=Decimal("0.1"))
    spend(budgets, "0.02")
    put(store, "b", enabled=True)  # nothing of that is a reason to tell again
    spend(budgets, "0.01")
    budgets.close()
    assert sorted((said["level"], said["spent_usd"]) for said in hook.heard) == [(0.5, "0.05"), (0.8, "0.03")]


def test_a_post_is_tried_again(store, hook, monkeypatch):
    put(store, "b", limit_usd=Decimal("0.03"), soft_limits=SOFT, webhook_url=hook.url)
    hook.statuses = [500, 429]
    (budgets,) = guards(store, 1)
    budgets._webhooks = Webhooks(pauses_s=(0.01, 0.01, 0.01))
    spend(budgets, "0.03")
    budgets.close()
    assert [said["level"] for said in hook.heard] == [0.8]


@pytest.mark.parametrize("trouble", ["away", "refused", "strange"])
def test_a_post_that_does_not_arrive_is_given_up(store, hook, caplog, trouble):
    hook.statuses = [404]
    url = {"away": f"http://127.0.0.1:{free_port()}/s3cret", "refused": hook.url, "strange": "http://s3cret s3cret/"}[
        trouble
    ]
    put(store, "b", limit_usd=Decimal("0.03"), soft_limits=SOFT, webhook_url=url)
    (budgets,) = guards(store, 1)
    budgets._webhooks = Webhooks(pauses_s=(0.01, 0.01))
    spend(budgets, "0.03")
    budgets.close()
    assert hook.heard == []
    assert "the webhook of budget 'b' was not reached" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_webhook_goes_past_every_transport_of_ours():
    """It must not be metered: not even where it looks like a call."""
    assert announce.urlopen.__module__ == "urllib.request"
