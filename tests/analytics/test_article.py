import polars as pl
import pytest
from IPython.utils.capture import capture_output

from analytics import quality, show
from store.errors import NoRows, ParameterInvalid
from tests.analytics.seed import NASTY, hours

ROWS = pl.DataFrame(
    {
        "bucket": hours(4),
        "model": list("aabb"),
        "requests": [5, 0, 0, 5],
        "errors": 1,
        "total_cost": 1.0,
        "unpriced": [0, 0, 0, 2],
        "unmetered": 0,
    }
)


def shown(*parts, **options):
    with capture_output() as captured:
        show(*parts, **options)
    return [output.data for output in captured.outputs]


def test_each_part_in_its_form(shell):
    text, table, result = shown("a", pl.DataFrame({"y": [2.0]}), lambda: quality.check(ROWS), unit="USD")
    assert text["text/markdown"] == "a"
    assert "$2.00" in table["text/html"]
    assert "2 of 10 requests" in result["text/plain"]


def test_tuples_are_opened_and_none_is_nothing(shell):
    assert [data["text/markdown"] for data in shown(lambda: ("a", None, ("b",)))] == ["a", "b"]


def test_no_rows_is_a_sentence_and_the_rest_goes_on(shell):
    def empty():
        raise NoRows("the queue frame")

    first, second = shown(empty, "on")
    assert "the queue frame has no rows" in first["text/markdown"]
    assert second["text/markdown"] == "on"
    (data,) = shown(pl.DataFrame({"a": []}))
    assert data["text/markdown"] == "No rows."


def test_other_errors_are_errors(shell):
    def wrong():
        raise ParameterInvalid("until", "is no time")

    with pytest.raises(ParameterInvalid):
        show(wrong)


def test_text_is_not_markup(shell):
    (data,) = shown(NASTY)
    assert "<script>" not in data["text/markdown"]


def test_quality_counts_what_is_missing():
    found = quality.check(ROWS)
    assert (found.requests, found.unpriced, found.buckets, found.silent) == (10, 2, 4, 2)
    assert found.sentence() == (
        "2 of 10 requests (20 %) have no known price and are in no cost. 2 of 4 buckets have no request at all."
    )
    with pytest.raises(NoRows):
        quality.check(ROWS.clear())
