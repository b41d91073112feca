"""The broker's health checks: passed, failed with a reason, not there, not allowed."""

from __future__ import annotations

import json

import pytest

from collectors.rabbitmq.access import access
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.health import BREAKS_OFF, CHECKS, checks
from collectors.rabbitmq.native import Native
from collectors.rabbitmq.reading import Check
from store.errors import SourceError
from tests.collectors.rabbitmq.test_access import say, server
from tests.fix_rabbitmq import Broker, Guarded


def test_all_that_the_release_has_pass(broker: Broker) -> None:
    with Ask(access(broker.url)) as ask:
        found = checks(ask)
    assert {check.name for check in found} >= {"alarms", "local_alarms", "virtual_hosts", "node_is_quorum_critical"}
    assert all(check.passed for check in found)
    assert "ready_to_serve_clients" not in {check.name for check in found}  # 3.10 answers 404


def test_a_certificate_that_is_about_to_end(guarded: Guarded) -> None:
    with Ask(access(guarded.broker.url)) as ask:
        failed = [check for check in checks(ask) if not check.passed]
    (check,) = failed
    assert (check.name, check.state) == ("certificate_expiration", "failed")
    assert "Certificates expiring" in check.reason
    assert len(check.reason) <= 500


def test_an_alarm_is_raised_and_cleared(broker: Broker) -> None:
    at = access(broker.url)
    source = Native([Ask(at.at(broker.prometheus_url))], Ask(at))

    def alarm() -> tuple[float, float, bool]:
        (node,) = source.read().nodes
        passed = {check.name: check.passed for check in source.checks()}
        return node.values["memory_alarm"], node.values["disk_alarm"], passed["alarms"]

    assert alarm() == (0, 0, True)
    broker.ctl("eval", "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
    try:
        assert alarm() == (1, 0, False)
        check = next(check for check in source.checks() if check.name == "alarms")
        assert f"memory on {broker.node}" in check.reason
    finally:
        broker.ctl("eval", "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
    assert alarm() == (0, 0, True)
    source.close()


def test_what_each_answer_means() -> None:
    answers = {
        "alarms": (200, {"status": "ok"}),
        "local-alarms": (503, {"status": "failed", "reason": "why", "alarms": [{"resource": "disk", "node": "a"}]}),
        "virtual-hosts": (503, {"status": "failed", "reason": "down", "virtual-hosts": ["a"]}),
        "node-is-quorum-critical": (403, {}),
        "certificate-expiration/1/months": (500, "<html>"),
        "is-in-service": (500, "<html>"),
        "ready-to-serve-clients": (503, None),
    }

    def answer(handler: object) -> None:
        status, body = answers.get(handler.path.removeprefix("/api/health/checks/"), (404, {}))  # type: ignore[attr-defined]
        say(handler, status, b"" if body is None else json.dumps(body).encode())  # type: ignore[arg-type]

    with server(answer) as url, Ask(access(url)) as ask:
        assert checks(ask) == [
            Check("alarms", "passed"),
            Check("local_alarms", "failed", "why: disk on a"),
            Check("certificate_expiration", "failed", BREAKS_OFF["certificate_expiration"]),
            Check("virtual_hosts", "failed", 'down: virtual-hosts: ["a"]'),
            Check("node_is_quorum_critical", "unknown", "this user may not ask"),
            Check("is_in_service", "unknown", "the broker answers with status 500"),
            Check("ready_to_serve_clients", "failed", "the broker does not say why"),
        ]


def test_the_check_of_old() -> None:
    """Before 3.8.10 there was one."""

    def answer(handler: object) -> None:
        old = handler.path == "/api/healthchecks/node"  # type: ignore[attr-defined]
        say(handler, 200 if old else 404, b'{"status":"failed","reason":"it is ill"}' if old else b"")  # type: ignore[arg-type]

    with server(answer) as url, Ask(access(url)) as ask:
        assert checks(ask) == [Check("node", "failed", "it is ill")]


def test_who_may_not_ask(broker: Broker) -> None:
    url = broker.url.replace("guest:guest", "guest:wrong")
    with Ask(access(url)) as ask, pytest.raises(SourceError) as caught:
        checks(ask)
    assert caught.value.kind == "denied"


def test_the_checks_are_those_of_the_newest_release() -> None:
    """deps/rabbitmq_management/src/rabbit_mgmt_dispatcher.erl, v4.3.5; without the two that want to be told more."""
    assert len(CHECKS) == 13
