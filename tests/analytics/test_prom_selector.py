"""What counts as a plain selector, and what a server makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.prom.selector import Matcher, plain, quoted

PLAIN = {
    "up": [("__name__", "=", "up")],
    " a:b_c9 # the end": [("__name__", "=", "a:b_c9")],
    'up{job="a b"}': [("__name__", "=", "up"), ("job", "=", "a b")],
    "up {job!='x', pod=~`a\\d`,}": [("__name__", "=", "up"), ("job", "!=", "x"), ("pod", "=~", "a\\d")],
    '{__name__=~"a|b",x!~"y"}': [("__name__", "=~", "a|b"), ("x", "!~", "y")],
    '{"my.metric", "a label"="1"}': [("__name__", "=", "my.metric"), ("a label", "=", "1")],
    'up{x="\\"\\n\\x41\\101\\u00e4\\U0001F407"}': [("__name__", "=", "up"), ("x", "=", '"\nAAä🐇')],
    "up{\n# only these\njob='x'\n}": [("__name__", "=", "up"), ("job", "=", "x")],
    "rate": [("__name__", "=", "rate")],
}
EXPRESSIONS = [
    "", " ", "{}", '{x=""}', '{x!="y"}', '{x=~".*"}', "up[5m]", "up offset 1h", "up @ 0", "-up", "(up)", "up + 1", "1", "inf", "NaN", "sum",
    "rate(up[5m])", 'up{job="a"', 'up{job=a}', 'up{"a","b"}', "up{job=='a'}", 'up{a="\\q"}', "up down", '"text"', "up{job='a' x='b'}", 'up{"up"}', 'up{x="\\xff"}',
]  # fmt: skip


@pytest.mark.parametrize("query", PLAIN)
def test_plain(query):
    found = plain(query)
    assert found is not None
    assert [(m.name, m.operator, m.value) for m in found.matchers] == PLAIN[query]
    assert plain(str(found)) == found


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_not_plain(query):
    assert plain(query) is None


@given(st.text())
def test_quoting_comes_back(text):
    (matcher,) = plain("{__name__=" + quoted(text + "x") + "}").matchers
    assert matcher == Matcher("__name__", "=", text + "x")


@given(st.text(alphabet="up{}=~!\"'`\\,#\n x1[]"))
def test_no_text_is_too_much(text):
    plain(text)


@pytest.mark.parametrize("query", list(PLAIN))
def test_a_server_takes_them_too(past, query):
    if '{"' in query and past.version < "3":
        pytest.skip("names in quotes came with Prometheus 3")
    for written in (query, str(plain(query))):
        answer = past.client.get("/api/v1/query", params={"query": written})
        assert answer.json()["status"] == "success", answer.text
