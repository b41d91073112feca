"""Reading pages: what is wanted, and lines that are broken."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.gateways.kinds import KINDS, LITELLM, VLLM, detect
from collectors.gateways.text import read
from tests.collectors.gateways.gateway_server import bifrost, litellm, vllm

WANTED = {"a", "b_total"}


@pytest.mark.parametrize(
    "line",
    ['a{x="1} 2', "a{x=1} 2", "a{", "a", "a nonsense", 'a{x="1"} 1_0', 'a{x="1",x="2"} 3', "a{x} {y} 1", 'a{"} 1'],
)
def test_one_bad_line_costs_one_line(line: str) -> None:
    page = read(f'b_total{{q="x"}} 1\n{line}\nb_total{{q="y"}} 2.5\n', WANTED)
    assert [(sample.label("q"), sample.value) for sample in page.samples] == [("x", 1), ("y", Decimal("2.5"))]
    assert page.bad_lines <= 1


def test_labels_are_unescaped_and_bounded() -> None:
    (sample,) = read('a{m="say \\"hi\\"\\\\",n="None",o="' + "x" * 500 + '"} 1e3 1790000000000', WANTED).samples
    assert sample.label("m") == 'say "hi"\\'
    assert sample.label("n", "o") == "x" * 200
    assert sample.value == 1000


def test_what_is_no_count_is_left_out() -> None:
    assert read("a NaN\na +Inf\na -Inf\n", WANTED).samples == ()


@given(st.text(max_size=200))
def test_no_page_raises(text: str) -> None:
    read(text, WANTED)
    read(f"a{text}\na{{{text}}} 1\n", WANTED)


def test_kinds_are_told_apart() -> None:
    assert detect(vllm(1, 1, 1)) is VLLM
    assert detect(litellm(1, 1, 1, 1) + vllm(1, 1, 1)) is LITELLM
    assert detect(bifrost(1, 1, 1, 1)) is KINDS["bifrost"]
    assert detect("# TYPE litellm_spend_metric_total counter\n") is LITELLM  # a proxy that was just started
    assert detect("go_goroutines 7\nmy_litellm_thing 1\n") is None
