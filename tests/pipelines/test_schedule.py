from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.schedule import DEFAULT, Job, read
from pipelines.slots import MOST_MISSED, State, plan
from store.errors import FileUnusable
from tests.pipelines.reports import NOTEBOOKS


def day(number, hour=0, minute=0):
    return datetime(2026, 5, number, hour, minute, tzinfo=UTC)


def written(tmp_path, text):
    file = tmp_path / "schedule.toml"
    file.write_text(text)
    return file


def test_the_schedule_that_is_shipped_can_be_read():
    assert {job.name for job in read(DEFAULT)} >= {"llm_cost", "queue_health"}


def test_all_that_an_entry_can_say(tmp_path):
    file = written(
        tmp_path,
        """
        [weekly]
        report = "paced"
        cron = "30 6 * * mon"
        parameters = { at = "{slot:%Y-%m-%d}", seconds = 1 }
        sets = { search = { mb = 1 }, ads = { mb = 2, seconds = 3.5 } }
        catch_up = "all"
        retries = 5
        backoff_s = 30
        limit_s = 60
        memory_mb = 2000
        title = "Weekly"
        deliver = [{ to = "folder", path = "/srv/www" }, { to = "email", addresses = ["a@example.com"] }]
        """,
    )
    search, ads = read(file, notebooks=NOTEBOOKS)
    assert (search.name, ads.name) == ("weekly-search", "weekly-ads")
    assert search.given(day(4, 6, 30)) == {"at": "2026-05-04", "seconds": 1, "mb": 1}
    assert ads.given(day(4, 6, 30)) == {"at": "2026-05-04", "seconds": 3.5, "mb": 2}
    assert (ads.catch_up, ads.retries, ads.limit_s, ads.memory_mb, ads.title) == ("all", 5, 60, 2000, "Weekly")
    assert [one.to for one in ads.deliver] == ["folder", "email"]
    assert [ads.backoff(failed).total_seconds() for failed in (1, 2, 3)] == [30, 60, 120]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[paced]\n", "[paced] cron: Field required"),
        ("[paced]\ncron = '0 6 * *'\n", "cron: has five fields, as in '15 6 * * mon'; '0 6 * *' has 4"),
        ("[paced]\ncron = '0 0 6 * * *'\n", "cron: has five fields"),
        ("[paced]\ncron = '61 6 * * *'\n", "cron: '61 6 * * *' is never due: Bad minute"),
        ("[paced]\ncron = '0 6 31 2 *'\n", "is never due"),
        ("[paced]\ncron = '0 6 * * *'\nretry = 2\n", "[paced] retry: does not exist; did you mean 'retries'?"),
        ("[paced]\ncron = '0 6 * * *'\nretries = -1\n", "retries: Input should be greater than or equal to 0, not -1"),
        ("[paced]\ncron = '0 6 * * *'\nretries = '2'\n", "retries: Input should be a valid integer, not '2'"),
        ("[paced]\ncron = '0 6 * * *'\ncatch_up = 'none'\n", "catch_up: Input should be 'latest' or 'all'"),
        (
            "[paced]\ncron = '0 6 * * *'\nparameters = { second = 1 }\n",
            "'second': does not exist; did you mean 'seconds'",
        ),
        ("[paced]\ncron = '0 6 * * *'\nparameters = { seconds = 999 }\n", "'seconds': must be from 0 to 600"),
        ("[paced]\ncron = '0 6 * * *'\nparameters = { at = [1] }\n", "[paced] parameters.at"),
        ("[paced]\ncron = '0 6 * * *'\nsets = { a = { mb = 'x' } }\n", "'mb': must be a whole number, not 'x'"),
        ("[paced]\ncron = '0 6 * * *'\nsets = { A = { mb = 1 } }\n", "[paced] sets.A"),
        ("[paced]\ncron = '0 6 * * *'\ndeliver = [{ to = 'ftp' }]\n", "[paced] deliver.0"),
        ("[paced]\ncron = '0 6 * * *'\ndeliver = [{ to = 'folder' }]\n", "[paced] deliver.0.path: Field required"),
        ("[pace]\ncron = '0 6 * * *'\n", "no report 'pace': did you mean 'paced'?"),
        ("[Paced]\ncron = '0 6 * * *'\n", "[Paced] cannot name a page"),
        ("[index]\nreport = 'paced'\ncron = '0 6 * * *'\n", "[index] cannot name a page"),
        ("paced = 3\n", "[paced] the entry: Input should be"),
        ("[paced\n", "is not TOML"),
        (
            "[a]\nreport='paced'\ncron='0 6 * * *'\nsets={b={}}\n[a-b]\nreport='paced'\ncron='0 6 * * *'\n",
            "[a-b] makes the page 'a-b', which another entry makes too",
        ),
    ],
)
def test_a_wrong_entry_is_one_line_that_names_it(tmp_path, text, says):
    with pytest.raises(FileUnusable) as caught:
        read(written(tmp_path, text), notebooks=NOTEBOOKS)
    assert says in str(caught.value)
    assert "schedule.toml" in str(caught.value)
    assert "\n" not in str(caught.value).replace(text, "")


def test_no_file():
    with pytest.raises(FileUnusable, match="cannot be read as a schedule"):
        read(NOTEBOOKS / "none.toml")


def daily(**more):
    return Job("a", "a", "0 6 * * *", {}, **more)


@pytest.mark.parametrize(
    ("catch_up", "state", "make", "skip"),
    [
        ("latest", State("a", now=day(4, 7), since=day(1)), [4], [1, 2, 3]),
        ("all", State("a", now=day(4, 7), since=day(1)), [1, 2, 3, 4], []),
        ("latest", State("a", now=day(4, 5), since=day(1), last=day(3, 6)), [], []),
        ("latest", State("a", now=day(4, 6), since=day(1), last=day(3, 6)), [4], []),
        ("all", State("a", now=day(4, 7)), [], []),  # seen for the first time
        ("all", State("a", now=day(4, 7), since=day(4, 6)), [], []),  # seen first after the slot
        ("all", State("a", now=day(4, 7), since=day(1), last=day(3, 6), retries=[day(2, 6)]), [2, 4], []),
        ("latest", State("a", now=day(4, 7), since=day(1), last=day(3, 6), retries=[day(2, 6)]), [4], []),
        ("latest", State("a", now=day(4, 5), since=day(1), last=day(3, 6), retries=[day(3, 6)]), [3], []),
        ("all", State("a", now=day(2, 7), since=day(1), last=day(2, 6)), [], []),
    ],
)
def test_what_is_due(catch_up, state, make, skip):
    due = plan(daily(catch_up=catch_up), state)
    assert [slot.day for slot in due.make] == make
    assert [slot.day for slot in due.skip] == skip


def test_what_was_missed_has_an_end():
    due = plan(Job("a", "a", "* * * * *", {}, catch_up="all"), State("a", now=day(4), since=day(1)))
    assert len(due.make) == MOST_MISSED
    assert due.make[-1] == day(4)


@given(minutes=st.integers(0, 3000), width=st.integers(0, 3000), cron=st.sampled_from(["*/7 * * * *", "5 */3 * * *"]))
def test_slots_are_those_of_a_clock_that_strikes_every_minute(minutes, width, cron):
    from cronsim import CronSim

    origin = int(day(1).timestamp())
    after = datetime.fromtimestamp(origin + 60 * minutes + 13, UTC)
    until = datetime.fromtimestamp(origin + 60 * (minutes + width) + 13, UTC)
    forwards = []
    for slot in CronSim(cron, after):
        if slot > until:
            break
        forwards.append(slot)
    assert list(reversed(list(Job("a", "a", cron, {}).slots(after, until)))) == forwards
