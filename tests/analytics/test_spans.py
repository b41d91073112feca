from datetime import UTC, datetime, timedelta

import pytest

from analytics.spans import within
from store.errors import ParameterInvalid

FIRST = datetime(2026, 3, 2, 5, tzinfo=UTC)
LAST = datetime(2026, 3, 10, 17, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 17, 30, tzinfo=UTC)
HELD = (FIRST, LAST)


def between(grain="hourly", held=HELD, now=NOW, **bounds):
    found = within("llm_requests", grain, held, now=now, **bounds)
    return found.since, found.until


def test_the_bucket_in_progress_is_left_out():
    assert between() == (FIRST, LAST)
    assert between("daily") == (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))


def test_an_old_trace_ends_where_it_ends():
    assert between(now=NOW + timedelta(days=400))[1] == LAST + timedelta(hours=1)


@pytest.mark.parametrize(
    "since", ["2026-03-05T10:20Z", datetime(2026, 3, 5, 10, 20, tzinfo=UTC), "2026-03-05T12:20+02:00"]
)
def test_only_whole_buckets(since):
    assert between(since=since, until="2026-03-06T10:40Z") == (
        datetime(2026, 3, 5, 11, tzinfo=UTC),
        datetime(2026, 3, 6, 10, tzinfo=UTC),
    )


def test_a_timedelta_counts_back_from_the_data():
    assert between(since=timedelta(days=1))[0] == LAST - timedelta(days=1)


def test_the_grid_does_not_reach_beyond_the_data():
    assert between(since="2020-01-01T00:00Z", until="2030-01-01T00:00Z") == (FIRST, LAST)


def test_nothing_on_record():
    empty = within("llm_requests", "hourly", (None, None), now=NOW)
    assert empty.buckets == 0
    assert "gaugebook doctor" in empty.sentence()


def test_a_span_elsewhere_says_what_there_is():
    elsewhere = within("llm_requests", "hourly", HELD, since="2026-03-01T00:00Z", until="2026-03-01T05:00Z", now=NOW)
    assert elsewhere.buckets == 0
    assert "holds 2026-03-02 05:00 UTC to 2026-03-10 18:00 UTC" in elsewhere.sentence()


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ({"since": datetime(2026, 1, 1)}, "no time zone; write 2026-01-01T00:00:00Z"),
        ({"until": "2026-01-01"}, "no time zone"),
        ({"until": "yesterday"}, "expected an ISO time"),
        ({"since": 5}, "aware datetime"),
        ({"since": "2026-03-06T00:00Z", "until": "2026-03-05T00:00Z"}, "is after until"),
    ],
)
@pytest.mark.parametrize("held", [HELD, (None, None)])
def test_bad_times_are_refused_with_data_and_without(bounds, says, held):
    if held[0] is None and len(bounds) == 2:
        return
    with pytest.raises(ParameterInvalid, match=says):
        between(held=held, **bounds)


def test_a_few_hours_of_single_requests_are_short():
    week = within("llm_requests", "hourly", HELD, since=timedelta(days=7), now=NOW)
    few = within("llm_requests", "hourly", HELD, since=timedelta(hours=5), now=NOW)
    assert (week.short, few.short) == (False, True)
    assert not within("llm_usage", "hourly", HELD, since=timedelta(hours=5), now=NOW).short
    assert few.starts() == [few.since + k * timedelta(hours=1) for k in range(5)]
