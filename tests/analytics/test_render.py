import re
from html import unescape

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import words
from analytics.render import MOST, block, markdown, table
from tests.analytics.seed import NASTY


def test_every_text_is_escaped():
    shown = block(NASTY, table(pl.DataFrame({NASTY: [NASTY]})), note=NASTY)
    assert "<script>" not in shown
    assert shown.count("&lt;script&gt;") == 4


def test_a_long_table_says_how_much_is_left_out():
    assert "and 5 more rows" in table(pl.DataFrame({"a": range(MOST + 5)}))
    assert "more rows" not in table(pl.DataFrame({"a": range(MOST)}))


def test_nothing_is_a_dash():
    assert '<td class="n">–</td>' in table(pl.DataFrame({"cost_usd": [None]}, schema={"cost_usd": pl.Float64}))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])))
def test_markdown_reads_as_the_text_and_holds_no_markup(text):
    made = markdown(text)
    assert not re.search(r"[*_`\[\]\\#|~$]", made.replace("&#", ""))
    assert unescape(re.sub(r"</?span>", "", made)) == text


@pytest.mark.parametrize("value", [float("nan"), None])
@pytest.mark.parametrize("say", [words.amount, words.share, words.seconds])
def test_the_unknown_is_called_so(say, value):
    assert say(value) == "unknown"


@pytest.mark.parametrize(
    ("value", "text"),
    [(9_999, "9,999"), (10_000, "10 k"), (1.5e6, "1.5 M"), (1e18, "1e+18"), (-25_000, "-25 k"), (0.12345, "0.123")],
)
def test_amounts(value, text):
    assert words.amount(value) == text
