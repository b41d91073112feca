"""Names of models on both sides of a comparison."""

from __future__ import annotations

import pytest

from collectors.billing.match import family, matched
from collectors.billing.openai import model_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("o3", "o3"),
    ],
)
def test_families(name: str, expected: str) -> None:
    assert family(name) == expected


def test_snapshots_are_compared_one_by_one_where_both_sides_name_them() -> None:
    names = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06"]
    assert matched(names, names) == {name: name for name in names}
    assert matched(names[:1], names) == {name: name for name in names}


def test_an_alias_that_stands_for_several_snapshots_is_compared_with_their_sum() -> None:
    names = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06"]
    assert set(matched(["gpt-4o"], names).values()) == {"gpt-4o"}


def test_names_of_one_side_stay() -> None:
    assert matched(["llama"], ["o3"]) == {"llama": "llama", "o3": "o3"}


@pytest.mark.parametrize(
    ("line_item", "model"),
    [
        ("gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06"),
        ("gpt-6-astra, input_tokens", "gpt-6-astra"),
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o mini", "gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc, output", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
        ("text-embedding-3-small", "text-embedding-3-small"),
        ("assistants api | file search", ""),
        ("web search tool calls | gpt-4o", ""),
        ("code interpreter sessions", ""),
        ("all", ""),
    ],
)
def test_the_model_of_a_line_item(line_item: str, model: str) -> None:
    assert model_of(line_item) == model
