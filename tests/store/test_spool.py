"""The spool: what it acknowledged comes out again, once the process, the disk or a bit has failed."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from store import segment
from store.errors import SpoolError, SpoolFull
from store.spool import Spool
from tests.store.tallies import Told

COLUMNS = ("n", "text")


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def opened(tmp_path, told):
    """Opens the spool of `tmp_path`, and closes it at the end of the test where it still is open."""
    spools = []

    def open_spool(collector="test", *, limit_bytes=8 << 20, fsync="none"):
        spools.append(Spool(tmp_path, collector, limit_bytes=limit_bytes, fsync=fsync, tally=told))
        return spools[-1]

    yield open_spool
    for spool in spools:
        spool.close()


def rows(*numbers, text="x"):
    return [(number, text) for number in numbers]


def append(spool, *numbers, text="x"):
    spool.append("t", COLUMNS, rows(*numbers, text=text))


def numbers(spool):
    """All that is left to read."""
    found = []
    while record := spool.read():
        assert (record.table, record.columns) == ("t", COLUMNS)
        found += [row[0] for row in record.rows]
    return found


def segments(folder: Path):
    return sorted(folder.glob("*/*.spool"))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("fsync", ["each", "interval", "none"])
def test_what_goes_in_comes_out_in_order(opened, fsync):
    spool = opened(fsync=fsync)
    append(spool, 1, 2)
    append(spool, 3)
    append(spool)
    assert spool.waiting().rows == 3
    assert numbers(spool) == [1, 2, 3]
    assert spool.read() is None
    assert spool.waiting().rows == 3  # nothing is acknowledged


def test_the_next_process_gets_what_is_not_acknowledged(opened, tmp_path):
    spool = opened()
    for number in range(5):
        append(spool, number)
    for _ in range(2):
        spool.acknowledge(spool.read())
    spool.read()
    assert spool.waiting().rows == 3
    spool.close()
    again = opened()
    assert again.where == spool.where
    assert again.waiting().rows == 3
    append(again, 5)
    assert numbers(again) == [2, 3, 4, 5]


def test_what_is_read_and_not_acknowledged_is_read_again(opened):
    spool = opened()
    append(spool, 1)
    append(spool, 2)
    spool.acknowledge(spool.read())
    assert numbers(spool) == [2]
    spool.rewind()
    assert numbers(spool) == [2]


def test_segments_go_when_they_are_delivered(opened, tmp_path):
    spool = opened(limit_bytes=800_000)
    for number in range(30):
        append(spool, number, text="x" * 20_000)
    assert len(segments(tmp_path)) > 5
    before = spool.waiting().size
    assert before > 600_000
    for number in range(30):
        record = spool.read()
        assert record.rows[0][0] == number
        spool.acknowledge(record)
    assert len(segments(tmp_path)) == 1
    assert spool.waiting() == type(spool.waiting())(0, 0, 0.0, limit=800_000)
    spool.close()
    assert segments(tmp_path) == []
    assert numbers(opened()) == []


def test_numbers_are_not_used_again(opened, tmp_path):
    """Otherwise the cursor of a segment that is gone would hide rows of a new one."""
    spool = opened()
    append(spool, *range(100))
    spool.acknowledge(spool.read())
    spool.close()
    spool = opened()
    append(spool, 100)
    spool.close()
    assert numbers(opened()) == [100]


def test_a_full_spool_drops_the_oldest_and_counts_them(opened, told, caplog, tmp_path):
    spool = opened(limit_bytes=1 << 20)
    for number in range(100):
        append(spool, number, text="x" * 20_000)
    left = numbers(spool)
    assert left == list(range(100 - len(left), 100))
    assert 40 <= len(left) <= 52
    assert told["dropped spool_full"] == 100 - len(left)
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 1 << 20
    assert "GAUGEBOOK_SPOOL_MB=1: its" in caplog.text


def test_rows_that_are_being_written_are_dropped_only_where_that_fails(opened, told):
    spool = opened(limit_bytes=1 << 20)
    for number in range(10):
        append(spool, number, text="x" * 20_000)
    taken = [spool.read() for _ in range(10)]
    for number in range(10, 100):
        append(spool, number, text="x" * 20_000)
    dropped = told["dropped spool_full"]
    spool.acknowledge(taken[4])
    spool.rewind()
    left = numbers(spool)
    assert told["dropped spool_full"] == dropped + 5
    assert 5 + told["dropped spool_full"] + len(left) == 100
    assert left == list(range(100 - len(left), 100))


def test_a_row_larger_than_all_is_refused(opened):
    spool = opened(limit_bytes=1 << 20)
    with pytest.raises(SpoolFull, match="GAUGEBOOK_SPOOL_MB"):
        append(spool, 1, text="x" * (2 << 20))
    append(spool, 2)
    assert numbers(spool) == [2]


def test_a_large_batch_is_several_records(opened):
    spool = opened(limit_bytes=8 << 20)
    spool.append("t", COLUMNS, [(n, f"{n:04}" * 250) for n in range(3000)])
    first = spool.read()
    assert len(first.rows) < 3000
    assert [row[0] for row in first.rows] + numbers(spool) == list(range(3000))


@pytest.mark.parametrize("cut", [1, 10, segment.HEADER_BYTES - 1, -1])
def test_a_torn_last_record_is_cut_and_counted(opened, told, caplog, tmp_path, cut):
    spool = opened()
    for number in range(3):
        append(spool, number)
    spool.close()
    (path,) = segments(tmp_path)
    size = path.stat().st_size
    os.truncate(path, size - size // 3 + cut if cut > 0 else size - 1)
    spool = opened()
    append(spool, 3)
    assert numbers(spool) == [0, 1, 3]
    assert (told["torn"], told["corrupt"]) == (1, 0)
    assert "the last record was not written whole" in caplog.text


def test_any_flipped_bit_costs_one_record(opened, told, tmp_path, caplog):
    spool = opened()
    for number in range(3):
        append(spool, number, text="some text")
    spool.close()
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    third = len(whole) // 3
    for offset in range(third, 2 * third):
        path.write_bytes(whole)
        flip(path, offset)
        spool = opened()
        assert numbers(spool) == [0, 2], offset
        spool.abandon()
    assert told["corrupt"] == third
    assert told["torn"] == 0
    assert told["dropped damaged"] == third - segment.HEADER_BYTES  # elsewhere nobody knows how many
    assert "a record is damaged between bytes" in caplog.text


def test_a_record_that_stands_inside_a_text_is_no_record(opened, tmp_path):
    inner = opened("inner")
    append(inner, 666)
    inner.close()
    (path,) = segments(tmp_path)
    poison = path.read_bytes()
    spool = opened()
    spool.append("t", COLUMNS, [(1, poison)])
    append(spool, 2)
    spool.close()
    flip(segments(tmp_path)[-1], segment.HEADER_BYTES + 5)
    assert numbers(opened()) == [2]


def test_a_flipped_bit_in_the_cursor_delivers_again_and_hides_nothing(opened, tmp_path):
    spool = opened()
    for number in range(3):
        append(spool, number)
    spool.acknowledge(spool.read())
    spool.close()
    flip(tmp_path / "test-0/cursor", 2)
    assert numbers(opened()) == [0, 1, 2]


def test_two_processes_have_folders_of_their_own(opened, tmp_path):
    first, second = opened(), opened()
    assert [Path(spool.where).name for spool in (first, second)] == ["test-0", "test-1"]
    assert Path(opened("other").where).name == "other-0"
    append(first, 1)
    append(second, 2)
    assert (numbers(first), numbers(second)) == ([1], [2])


def test_what_others_left_is_adopted(opened, tmp_path):
    spools = [opened() for _ in range(4)]
    for number, spool in enumerate(spools):
        append(spool, number)
    for spool in spools[1:3]:
        spool.close()
    heir = opened()
    assert Path(heir.where).name == "test-1"
    append(heir, 4)
    assert numbers(heir) == [1, 2, 4]
    assert opened().waiting().rows == 0


def test_a_killed_process_leaves_all_that_it_acknowledged(opened, tmp_path):
    program = f"""
import sys
from pathlib import Path
from store.spool import Spool
from tests.store.tallies import Told
spool = Spool(Path({str(tmp_path)!r}), "test", limit_bytes=64 << 20, fsync="none", tally=Told())
for number in range(10**9):
    spool.append("t", ("n", "text"), [(number, "x")])
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        for _ in range(100):
            process.stdout.readline()
        process.kill()
        acknowledged = 100 + len(process.stdout.read().split())
    found = numbers(opened())
    assert found[:acknowledged] == list(range(acknowledged))
    assert len(found) - acknowledged <= 1


def test_a_forked_child_takes_a_folder_of_its_own_and_the_lock_is_the_parents(opened, told, tmp_path):
    spool = opened()
    append(spool, 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            spool.abandon()
            own = Spool(tmp_path, "test", limit_bytes=1 << 20, fsync="each", tally=told)
            append(own, 2)
            code = 0 if Path(own.where).name == "test-1" else 2
            signal.pause()
        finally:
            os._exit(code)
    while len(written := segments(tmp_path)) < 2 or not written[1].stat().st_size:
        time.sleep(0.01)
    spool.close()
    first = opened()  # the child, which lives on, has not kept the lock
    assert Path(first.where).name == "test-0"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert numbers(first) == [1]
    assert numbers(opened()) == [2]


def test_a_full_disk_refuses_rows_and_keeps_the_log(opened):
    spool = opened()
    append(spool, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(SpoolFull, match="File too large"):
            append(spool, 2, text="x" * 2000)
        append(spool, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append(spool, 4)
    assert numbers(spool) == [1, 3, 4]


def test_a_failed_fsync_acknowledges_nothing(opened, monkeypatch):
    spool = opened(fsync="each")
    append(spool, 1)

    def fail(file):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(SpoolError, match="Input/output error"):
            append(spool, 2)
    append(spool, 3)
    assert numbers(spool) == [1, 3]


def test_a_folder_that_cannot_be_made(tmp_path, told):
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="set GAUGEBOOK_SPOOL"):
        Spool(tmp_path / "file/spool", "test", limit_bytes=1 << 20, fsync="none", tally=told)


def test_fsync_happens_when_the_policy_says(opened, monkeypatch):
    synced = []
    whole = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(time.monotonic()), whole(file)))
    spool = opened("none", fsync="none")
    append(spool, 1)
    assert synced == []
    spool = opened("each", fsync="each")
    append(spool, 1)
    append(spool, 2)
    assert len(synced) == 2
    spool = opened("interval", fsync="interval")
    began = time.monotonic()
    while time.monotonic() < began + 1.5:
        append(spool, 1)
        time.sleep(0.01)
    assert 2 <= len(synced) - 2 <= 3


def test_the_clock_may_be_set_back(opened, monkeypatch):
    spool = opened()
    append(spool, 1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 90)
    assert spool.waiting().oldest_s == pytest.approx(90, abs=5)
    append(spool, 2)
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    append(spool, 3)
    assert spool.waiting().oldest_s == 0
    assert numbers(spool) == [1, 2, 3]


def test_many_append_while_one_reads(opened):
    spool = opened(limit_bytes=512 << 20)
    total = 4 * 500
    seen = []

    def read():
        while len(seen) < total:
            record = spool.read()
            if record is None:
                with spool.changed:
                    if spool.empty():
                        spool.changed.wait(1)
                continue
            seen.extend(row[0] for row in record.rows)
            spool.acknowledge(record)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [
        threading.Thread(target=lambda first=first: [append(spool, first + n) for n in range(500)])
        for first in range(0, total, 500)
    ]
    for writer in writers:
        writer.start()
    for thread in [*writers, reader]:
        thread.join(30)
    assert sorted(seen) == list(range(total))
    for first in range(0, total, 500):
        mine = [number for number in seen if first <= number < first + 500]
        assert mine == sorted(mine)


@pytest.mark.parametrize("seed", range(20))
def test_any_course_of_events_keeps_every_row_in_order(opened, seed):
    """Against a list: what is read is the next that was not read, and a restart goes back to what is acknowledged."""
    moves = random.Random(seed)
    spool, total, acknowledged, read, taken = opened(limit_bytes=1 << 20), 0, 0, 0, []
    for _ in range(400):
        match moves.choice(["append", "append", "append", "read", "read", "acknowledge", "rewind", "restart", "kill"]):
            case "append" if total < 500:
                size = moves.randrange(1, 4)
                append(spool, *range(total, total + size), text="x" * moves.choice([1, 100, 3000]))
                total += size
            case "read":
                record = spool.read()
                assert (record is None) == (read == total)
                if record is not None:
                    assert [row[0] for row in record.rows] == [*range(read, read + len(record.rows))]
                    taken.append(record)
                    read += len(record.rows)
            case "acknowledge" if taken:
                place = moves.randrange(len(taken))
                spool.acknowledge(taken[place])
                acknowledged = taken[place].rows[-1][0] + 1
                del taken[: place + 1]
            case "rewind":
                spool.rewind()
                read, taken = acknowledged, []
            case "restart" | "kill" as how:
                spool.close() if how == "restart" else spool.abandon()
                spool = opened(limit_bytes=moves.choice([1 << 20, 2 << 20]))
                read, taken = acknowledged, []
        assert spool.waiting().rows == total - acknowledged
        assert spool.empty() == (read == total)
    spool.rewind()
    assert numbers(spool) == [*range(acknowledged, total)]
