"""Which queues are looked at, and which get detail."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from collectors.rabbitmq.patterns import Patterns
from collectors.rabbitmq.reading import Key, Queue
from collectors.rabbitmq.select import Filter, TopK
from store.errors import ParameterInvalid


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], ["", "a", "A", "a.b\nc", "[a]"]),
        (["a*"], ["a", "a.b\nc"]),
        (["A"], ["A"]),
        (["[[]a[]]"], ["[a]"]),
        (["!a*"], ["", "A", "[a]"]),
        (["?", "!A"], ["a"]),
        (["re:a"], ["a"]),
        (["re:(?i)a"], ["a", "A"]),
        (["re:(?s)a.+", "A"], ["A", "a.b\nc"]),
        (["!re:.*a.*"], ["", "A", "a.b\nc"]),
    ],
)
def test_patterns(patterns: list[str], wanted: list[str]) -> None:
    assert [name for name in ("", "a", "A", "a.b\nc", "[a]") if Patterns(patterns)(name)] == wanted


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(ParameterInvalid, match=r"'rabbitmq_queues': 're:\(' is no regular expression"):
        Patterns(["ok", "!re:("], parameter="rabbitmq_queues")


def test_filters() -> None:
    queues = [Queue("/", "a", type="classic"), Queue("/", "b", type="quorum"), Queue("x", "a"), Queue("y", "a")]
    known = {("x", "a"): "quorum"}
    assert Filter().queues(queues, {}) == queues
    assert Filter(vhosts=Patterns(["?", "!y"])).queues(queues, {}) == queues[:3]
    assert Filter(names=Patterns(["b"])).queues(queues, {}) == [queues[1]]
    assert Filter(types=frozenset(["quorum"])).queues(queues, known) == queues[1:3]
    assert Filter(vhosts=Patterns(["x"]), types=frozenset(["classic"])).queues(queues, known) == []


def sample(**depths: int) -> list[Queue]:
    """Queues of these depths among 100 empty ones."""
    idle = {f"idle-{k:02}": 0 for k in range(100)}
    return [Queue("/", name, messages=depth) for name, depth in (idle | depths).items()]


def names(keys: list[Key]) -> set[str]:
    return {name for _, name in keys if not name.startswith("idle")}


def test_few_queues_all_get_detail() -> None:
    queues = sample()
    assert TopK(100).choose(0, 0, queues) == sorted(queue.key for queue in queues)


@pytest.mark.parametrize("most", range(20))
def test_never_more_than_k_and_never_fewer_where_there_are_some(most: int) -> None:
    top, chance = TopK(most), random.Random(most)
    for at in range(5):
        queues = [Queue("/", str(k), messages=chance.randrange(3)) for k in range(30)]
        assert len(set(top.choose(at, at, queues))) == most


def test_the_deepest_the_growing_the_old_and_the_named() -> None:
    top = TopK(10, Patterns(["idle-07"]))
    depths = {"deep": 10_000, "old": 1} | {f"middling-{k}": 1_000 + k for k in range(20)}
    for at in range(0, 600, 15):
        # Those in the middle are emptied now and then, so that none of them is as old as "old".
        now = {name: 0 if name.startswith("middling") and at % 60 == 0 else depth for name, depth in depths.items()}
        chosen = top.choose(at, at, sample(**now, growing=at))
    assert {"deep", "old", "growing"} <= names(chosen)
    assert ("/", "idle-07") in chosen


def test_the_stamp_of_a_publisher_tells_more_than_the_time_we_have_looked() -> None:
    top = TopK(3)
    depths = {f"busy-{k}": 1000 + k for k in range(10)}
    for at in range(0, 150, 15):
        queues = sample(**depths, stamped=1)
        queues[-1].head_timestamp = 1_000.0 if at else None
        chosen = top.choose(at, 1e6 + at, queues)
    assert "stamped" in names(chosen)


def test_no_flapping_at_the_last_place() -> None:
    """Sixty queues of about the same depth, ten of which get detail: the same ones throughout."""
    top, chance = TopK(10), random.Random(1)
    seen = []
    for at in range(0, 1500, 15):
        noisy = {f"q{k}": int(1000 * chance.uniform(0.8, 1.2)) for k in range(60)}
        seen.append(names(top.choose(at, at, sample(**noisy))))
    settled = seen[10:]
    assert sum(len(after - before) for before, after in pairwise(settled)) <= 2


def test_a_queue_that_is_emptied_again_and_again_does_not_come_and_go() -> None:
    top = TopK(3)
    seen = []
    for at in range(0, 900, 15):
        saw = {"saw": 5_000 if at // 15 % 3 else 0, "a": 900, "b": 800, "c": 700, "d": 600}
        seen.append("saw" in names(top.choose(at, at, sample(**saw))))
    assert all(seen[3:])


def test_a_deeper_queue_gets_in_at_once_and_a_drained_one_leaves() -> None:
    top = TopK(3)
    for at in range(0, 300, 15):
        chosen = top.choose(at, at, sample(a=100, b=90, c=80, d=70))
    assert "new" not in names(chosen)
    assert "new" in names(top.choose(300, 300, sample(a=100, b=90, c=80, d=70, new=50_000)))
    for at in range(315, 1500, 15):
        chosen = top.choose(at, at, sample(a=100, b=90, c=80, d=70, new=0))
    assert "new" not in names(chosen)


def test_a_deleted_queue_is_forgotten() -> None:
    top = TopK(3)
    top.choose(0, 0, sample(a=100))
    assert "a" not in names(top.choose(15, 15, sample()))
    assert top.choose(30, 30, []) == []
