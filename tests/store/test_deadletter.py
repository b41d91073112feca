"""Dead letters: what was refused is kept exactly, survives a kill, and can be tried again."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipelines.cli import app
from store.connect import connect
from store.deadletter import DeadLetters, Letter, decode, encode, reasons
from store.write import Rejected, write

TABLE, COLUMNS = "metrics.llm_requests", ("ts", "request_id", "source", "input_tokens", "attrs")
START = datetime(2026, 1, 1, tzinfo=UTC)

zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs"]))
    | st.binary()
    | st.decimals()
    | st.datetimes(timezones=st.just(UTC) | zones)
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
)
keys = st.text() | st.integers() | st.just("$")
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner))


def same(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, datetime):
        return one.isoformat() == other.isoformat()
    if isinstance(one, float | Decimal):
        return repr(one) == repr(other)
    return one == other


@given(values)
def test_every_value_comes_back_as_it_was(value):
    assert same(decode(encode(value)), value)


@settings(max_examples=30, deadline=None)
@given(st.lists(values, max_size=5), st.text(), st.text())
def test_every_row_comes_back_as_it_was(tmp_path_factory, row, column, reason):
    dead = DeadLetters(tmp_path_factory.mktemp("dead"))
    dead.keep(TABLE, (column,), [Rejected(row, reason)])
    [letter] = dead.letters()
    assert same(letter.row, tuple(row))
    assert (letter.table, letter.columns, letter.reason) == (TABLE, (column,), reason)
    assert abs(letter.at - datetime.now(UTC)) < timedelta(minutes=5)


def test_odd_values():
    for value in (math.nan, -math.inf, -0.0, Decimal("sNaN"), Decimal("-Infinity"), "\ud83d", "\0", 10**5000, b"\xff",
                  date.max, time.max, datetime.max, UUID(int=0), {"$": 1}, {1: {"a": (2,)}}):  # fmt: skip
        assert same(decode(encode(value)), value)


def row(n: int, tokens: int = -1) -> tuple[object, ...]:
    return (START + timedelta(seconds=n), f"r{n}", "test", tokens, {"n": n})


def keep(folder, numbers) -> None:
    for n in numbers:
        DeadLetters(folder).keep(TABLE, COLUMNS, [Rejected(row(n), f"input_tokens = {n}: is odd")])


def test_processes_at_once(tmp_path):
    program = "import sys; from pathlib import Path; from tests.store.test_deadletter import keep; n = int(sys.argv[2]); keep(Path(sys.argv[1]), range(n, n + 50))"
    root = Path(__file__).parents[2]
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(100 * n)], cwd=root) for n in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    found = sorted(letter.row[1] for letter in DeadLetters(tmp_path).letters())
    assert found == sorted(f"r{100 * n + m}" for n in range(3) for m in range(50))


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_was_torn_by_a_kill_costs_itself_alone(tmp_path, cut):
    dead = DeadLetters(tmp_path)
    keep(tmp_path, range(3))
    [file] = tmp_path.glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-cut])
    assert [letter.row[1] for letter in dead.letters()] in (["r0", "r1"], ["r0", "r1", "r2"])
    keep(tmp_path, range(3, 5))
    assert [letter.row[1] for letter in dead.letters()][-2:] == ["r3", "r4"]
    assert len([*dead.letters()]) >= 4


def test_the_oldest_go_where_there_is_no_room_and_are_counted(tmp_path, caplog):
    dead = DeadLetters(tmp_path, limit_bytes=20_000)
    for n in range(300):
        dead.keep(TABLE, COLUMNS, [Rejected(row(n), "no")])
    left = [letter.row[1] for letter in dead.letters()]
    assert sum(file.stat().st_size for file in tmp_path.glob("*.jsonl")) <= 20_000
    assert left == [f"r{n}" for n in range(300 - len(left), 300)]
    assert dead.dropped == 300 - len(left) > 0
    assert "refused rows are dropped" in caplog.text


def test_files_are_for_their_owner_alone(tmp_path):
    keep(tmp_path / "dead", range(1))
    assert (tmp_path / "dead").stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "dead").iterdir())


def test_what_can_be_stored_now_leaves_and_the_rest_stays(store, tmp_path):
    dead = DeadLetters(tmp_path)
    rejected = [Rejected(row(n, n if n % 2 else -n - 1), "once") for n in range(10)]
    dead.keep(TABLE, COLUMNS, rejected)
    dead.keep("metrics.nothing", ("a",), [Rejected((1,), "no such table")])
    dead.keep(TABLE, ("ts", "no_column"), [Rejected((START, 1), "no such column")])
    with connect(store) as connection:
        write(connection, TABLE, COLUMNS, [row(1, 1)])
        outcome = dead.replay(connection)
        assert (outcome.written, outcome.duplicate, len(outcome.rejected)) == (4, 1, 7)
        assert [letter.row[1] for letter in dead.letters() if letter.columns == COLUMNS] == [
            "r0",
            "r2",
            "r4",
            "r6",
            "r8",
        ]
        assert reasons(dead.letters())[TABLE, "input_tokens: violates CHECK ((input_tokens >= 0))"] == 5
        assert any("did you mean" in letter.reason or "there are" in letter.reason for letter in dead.letters())
        keep(tmp_path, [50])
        assert len(dead.replay(connection).rejected) == 8
        assert len([*dead.letters()]) == 8


def test_a_reason_without_its_value():
    at = datetime.now(UTC)
    letters = [Letter(at, "t", ("a",), (n,), f"a = {n}: is no text") for n in range(3)] + [Letter(at, "t", (), (), "x")]
    assert reasons(letters) == {("t", "a: is no text"): 3, ("t", "x"): 1}


def test_the_command(store, tmp_path, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    monkeypatch.setenv("GAUGEBOOK_DEAD_LETTERS", str(tmp_path / "dead"))
    run = CliRunner().invoke
    empty = run(app, ["db", "replay"])
    assert (empty.exit_code, "no rows wait" in empty.output) == (0, True)
    DeadLetters(tmp_path / "dead").keep(TABLE, COLUMNS, [Rejected(row(1, 1), "x = 1: is odd"), Rejected(row(2), "no")])
    listed = run(app, ["db", "replay", "--list"])
    assert (listed.exit_code, "2 rows wait" in listed.output, "x: is odd" in listed.output) == (0, True, True)
    tried = run(app, ["db", "replay"])
    assert (tried.exit_code, "1 written, 0 were there already, 1 still wait" in tried.output) == (0, True), tried.output
