"""How a server is reached: credentials, certificates, patience, and what is said when it is no good."""

from __future__ import annotations

import pickle
import re
import ssl
import threading
import time

import pytest

from analytics import prom
from analytics.prom.server import Api
from store.errors import FileUnusable, ParameterInvalid, QueryRefused, SourceError
from tests.certificates import Authority
from tests.fix_prometheus import prometheus_program, serving
from tests.fix_prometheus_history import START, spoiled
from tests.servers import free_port

PASSWORD = "secret word"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuP6/q0obcGuk6SuzN66aTZwHeRCLMzKO"
WEB = """\
tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}
basic_auth_users: {anna: %s}
"""


@pytest.fixture
def proxy(past):
    with spoiled(past.url) as spoiler:
        yield spoiler


@pytest.fixture
def waits(monkeypatch):
    """The seconds that are waited for, without waiting."""
    waited = []
    monkeypatch.setattr(Api.__init__, "__kwdefaults__", {"wait": waited.append})
    return waited


FAULTS = {
    "sum(rate(x[5m])": ("unclosed left parenthesis", "  sum(rate(x[5m])\n                 ^"),
    "sum(\n\trate(t_walk[5m]) +* 2)": (
        "unexpected <op:*>",
        "  sum(\n   rate(t_walk[5m]) +* 2)\n                     ^",
    ),
    'label_replace("ü🐇", x))': (
        "unexpected right parenthesis",
        '  label_replace("ü🐇", x))\n                          ^',
    ),
    "t_walk + on(vhost) t_walk": ("many-to-many matching not allowed", "  t_walk + on(vhost) t_walk"),
    "": ("no expression found in input", ""),
}


@pytest.mark.parametrize("query", FAULTS)
@pytest.mark.parametrize("ask", [prom.range, prom.instant], ids=["range", "instant"])
def test_an_error_shows_the_place(past, query, ask):
    reason, shown = FAULTS[query]
    arguments = (START, START + 600, 60) if ask is prom.range else (START + 600,)
    with pytest.raises(QueryRefused) as raised:
        ask(query, *arguments, url=past.url)
    assert reason in raised.value.reason
    if query:  # where there is none, only Prometheus 2 names a place
        assert raised.value.shown == shown
    assert str(raised.value).startswith(f"{past.url} refuses the query: ")
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_selector_with_a_mistake_is_shown_too(past):
    with pytest.raises(QueryRefused, match="missing closing") as raised:
        prom.range(' up{job=~"("}', START, START + 600, url=past.url)
    assert raised.value.shown == '   up{job=~"("}\n      ^'


def test_tls_and_basic_auth(tmp_path):
    authority = Authority(tmp_path)
    authority.sign("server")
    cert, key = authority.sign("client")
    (tmp_path / "web.yml").write_text(WEB % BCRYPT)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    context = ssl.create_default_context(cafile=authority.ca)
    context.load_cert_chain(cert, key)
    with serving(
        prometheus_program(2),
        tmp_path,
        "--web.config.file=web.yml",
        scheme="https",
        verify=context,
        auth=("anna", PASSWORD),
    ) as secured:
        known = {"ca": authority.ca, "certificate": cert, "key": key}
        for credentials in (
            {"user": "anna", "password": PASSWORD},
            {"user": "anna", "password": tmp_path / "password"},
        ):
            there = prom.Server(secured.url, **known, **credentials)
            assert prom.instant("vector(1)", url=there)["y"].to_list() == [1.0]
            assert len(prom.range("nothing", START, START + 60, url=there)) == 0
            assert PASSWORD not in repr(there)
            assert prom.connect(there).custom_query("vector(1)")[0]["value"][1] == "1"
        with_user = secured.url.replace("https://", "https://anna:secret%20word@")
        assert len(prom.instant("vector(1)", url=prom.Server(with_user, **known))) == 1
        assert "secret" not in repr(prom.Server(with_user, **known))

        for wrong in ({}, {"user": "anna", "password": "other"}):
            with pytest.raises(SourceError, match=r"asks for credentials \(status 401\)") as raised:
                prom.range("up", START, START + 60, url=prom.Server(secured.url, **known, **wrong))
            assert raised.value.kind == "denied"
        with pytest.raises(SourceError, match="no trusted connection: .*CERTIFICATE_VERIFY_FAILED") as raised:
            prom.instant("up", url=prom.Server(secured.url))
        assert raised.value.kind == "down"
        with pytest.raises(SourceError, match="certificate"):
            prom.instant("up", url=prom.Server(secured.url, ca=authority.ca, attempts=1))


def test_tokens_and_headers(proxy, tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    for token in ("t0ken", tmp_path / "token"):
        proxy.headers.clear()
        there = prom.Server(proxy.url, token=token, headers={"X-Scope-OrgID": "team"})
        prom.range("t_walk", START, START + 60, url=there)
        assert proxy.headers
        assert all(
            each["authorization"] == "Bearer t0ken" and each["x-scope-orgid"] == "team" for each in proxy.headers
        )
        assert "t0ken" not in repr(there)


def test_a_path_in_front_is_kept(past, tmp_path):
    with serving(
        prometheus_program(2), tmp_path, "--web.route-prefix=/", "--web.external-url=/metrics/store"
    ) as server:
        assert len(prom.instant("vector(1)", url=f"{server.url}/")) == 1
    assert Api("http://a/b/").where == "http://a/b"


def test_a_busy_server_is_waited_for(proxy, waits):
    proxy.refuse, proxy.only = {"read": (503, {}), "query_range": (429, {"retry-after": "7"})}, 2
    assert len(prom.range('t_walk{queue="q1"}', START, START + 60, url=proxy.url)) == 2
    assert proxy.asked.count("read") == 3
    assert 0.12 < waits[0] < 0.38
    assert 0.24 < waits[1] < 0.76
    proxy.only = 1
    waits.clear()
    assert len(prom.range("t_walk + 1", START, START + 60, 60, url=proxy.url)) == 14
    assert waits == [7.0]


def test_patience_ends(proxy, waits):
    proxy.refuse = {"query": (503, {})}
    with pytest.raises(SourceError, match=r"is busy: status 503 to query, 4 times") as raised:
        prom.instant("up", url=proxy.url)
    assert raised.value.kind == "slow"
    assert len(waits) == 3
    with pytest.raises(SourceError, match=r"does not answer: .*refused, 2 times") as raised:
        prom.instant("up", url=prom.Server(f"http://127.0.0.1:{free_port()}", attempts=2))
    assert raised.value.kind == "down"


def test_no_answer_in_time(proxy, waits, monkeypatch):
    answer = proxy.answer
    monkeypatch.setattr(proxy, "answer", lambda *request: (time.sleep(0.5), answer(*request))[1])
    with pytest.raises(SourceError, match=r"no answer in 0\.1 s") as raised:
        prom.instant("up", url=prom.Server(proxy.url, timeout_s=0.1, attempts=1))
    assert raised.value.kind == "slow"
    for thread in threading.enumerate():  # those that still answer
        if "process_request" in thread.name:
            thread.join(5)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_what_is_no_prometheus(kind, proxy):
    proxy.refuse = {"query": (200, {}), "read": (200, {})}
    with pytest.raises(SourceError, match="something that is not Prometheus' JSON"):
        prom.instant("up", url=proxy.url)
    with pytest.raises(SourceError):
        prom.range("up", START, START + 60, url=proxy.url)


def test_what_cannot_be_an_address_or_a_secret(tmp_path):
    for url in ("prometheus:9090", "ftp://x", "", "http://"):
        with pytest.raises(ParameterInvalid, match="expected an address such as"):
            prom.Server(url)
    with pytest.raises(ParameterInvalid) as raised:
        prom.Server("ftp://me:secret@x")
    assert "secret" not in str(raised.value)
    with pytest.raises(ParameterInvalid, match="not both"):
        prom.Server(user="a", password="b", token="c")
    with pytest.raises(FileUnusable, match="should hold the token"):
        prom.instant("up", url=prom.Server(token=tmp_path / "none"))
    with pytest.raises(FileUnusable, match="no certificates of authorities"):
        prom.instant("up", url=prom.Server("https://x", ca=tmp_path / "none"))
    (tmp_path / "empty").touch()
    with pytest.raises(FileUnusable, match="no certificate with its key"):
        prom.instant("up", url=prom.Server("https://x", certificate=tmp_path / "empty"))


def test_secrets_stay_out_of_errors(proxy):
    proxy.refuse = {"query": (403, {})}
    with pytest.raises(SourceError) as raised:
        prom.instant("up", url=proxy.url.replace("//", "//me:hush@"))
    assert not re.search("hush|me:", str(raised.value))
    assert raised.value.kind == "denied"
