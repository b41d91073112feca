"""The parts that reports are made of: an answer, a part that is missing, what to do next, one team's rows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from analytics.advice import Steps, steps
from analytics.attempts import Missing, answer, attempt
from analytics.spans import Span
from analytics.teams import only
from analytics.wide import series
from store.errors import ColumnMissing, NoneYet, NoRows, ParameterInvalid, TooShort

START = datetime(2026, 3, 2, tzinfo=UTC)
FULL = Span("llm_requests", "hourly", START, START + timedelta(days=1), START, START + timedelta(days=1))
EMPTY = Span("llm_requests", "hourly", START, START, None, None)


class Told:
    def __init__(self, *said):
        self.said = said

    def sentence(self):
        return self.said[0]

    def advice(self):
        return list(self.said)


def failing(error):
    def make():
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "sentence", "short", "advice"),
    [
        (NoRows("the frame"), "The frame has no rows. Is", "No data: the frame.", []),
        (TooShort("the span", "one hour"), "The span is too short: one hour.", "The span is too short: one hour.", []),
        (NoneYet("nothing", "do it."), "Nothing yet: do it.", "Nothing yet: do it.", ["Do it."]),
    ],
)
def test_what_is_missing_says_why_and_shows_nothing(error, sentence, short, advice):
    missing = attempt(failing(error))
    assert not missing
    assert missing.sentence().startswith(sentence)
    assert (missing.report(), missing.plot(), missing.for_people(), missing.advice()) == (short, None, None, advice)
    assert attempt(lambda _: 1, missing) is missing


def test_other_errors_go_on_and_results_come_back():
    with pytest.raises(ParameterInvalid):
        attempt(failing(ParameterInvalid("days", "wrong")))
    assert attempt(max, 1, 2) == 2


def test_the_answer_says_each_sentence_once_and_of_an_empty_store_one():
    same = Told("A.")
    assert answer(FULL, same, Told("B."), same) == "A. B."
    assert answer(EMPTY, same).startswith("llm_requests has no rows")


def test_steps_are_numbered_bounded_and_escaped():
    made = steps(EMPTY, Told("Run `x <b>`.", "Ask."), Told("Ask."), most=2)
    assert made.said == ("Start what collects llm_requests: `gaugebook doctor` says what it lacks.", "Run `x <b>`.")
    assert "<li>Run <code>x &lt;b&gt;</code>.</li>" in made._repr_html_()
    assert steps(FULL, Missing("no", "no")) == Steps(())
    assert "Nothing needs doing." in Steps(())._repr_html_()


def test_one_team_of_wide_rows_and_of_series():
    wide = pl.DataFrame({"bucket": [START, START], "team": ["a", "b"], "requests": [1, 2]})
    assert only(wide, "b")["requests"].to_list() == [2]
    assert only(wide, "").equals(wide)
    assert only(wide, "c").is_empty()
    long = pl.DataFrame({"unique_id": ["a", "b"], "ds": [1, 1], "y": [1.0, 2.0], "team": ["a", "b"]})
    assert only(long, "b").rows() == [("total", 1, 2.0)]
    with pytest.raises(ColumnMissing):
        only(long.drop("team"), "a")


def test_wide_rows_become_series_on_a_complete_clock():
    hours = [START + timedelta(hours=k) for k in (0, 0, 3)]
    rows = pl.DataFrame({"bucket": hours, "model": ["a", "b", "a"], "requests": [1, 2, 3]})
    by_model = series(rows, "requests", ["model"])
    assert by_model.filter(unique_id="a")["y"].to_list() == [1.0, 0.0, 0.0, 3.0]
    assert by_model.filter(unique_id="b")["y"].to_list() == [2.0, 0.0, 0.0, 0.0]
    assert series(rows, "requests")["y"].sum() == 6
    with pytest.raises(NoRows):
        series(rows.clear(), "requests")
