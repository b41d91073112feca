import sys

import pytest

from collectors import llm
from pipelines.burst import LIMITED_EVERY, burst
from store.connect import connect
from store.errors import SourceError
from store.settings import load
from tests.servers import free_port


def test_a_burst_is_in_the_database_as_it_was_made(store):
    seen = []
    calls, limited = 40, len(range(LIMITED_EVERY // 2, 40, LIMITED_EVERY))
    written = burst(store, calls, progress=lambda done, all_: seen.append((done, all_)))
    assert written == calls + limited
    assert seen == [(done, calls) for done in range(1, calls + 1)]
    with connect(store) as connection:
        rows = connection.execute(
            """
            SELECT count(*), count(*) FILTER (WHERE http_status = 429), count(*) FILTER (WHERE streamed AND ttft_s > 0), count(cost_usd),
                   count(DISTINCT model), count(DISTINCT (team, project)), min(environment), max(environment), min(provider), max(provider)
            FROM metrics.llm_requests
            """
        ).fetchone()
    streamed = sum(1 for call in range(calls) if call % 3)
    assert rows == (written, limited, streamed, calls, 2, 3, "demo", "demo", "openai", "openai")


def test_the_same_seed_costs_the_same(store):
    totals = []
    for _ in range(2):
        burst(store, 12, seed=5)
        with connect(store) as connection:
            totals.append(connection.execute("SELECT sum(cost_usd) FROM metrics.llm_requests").fetchone()[0])
    assert totals[1] == 2 * totals[0] > 0


def test_without_openai_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(SourceError, match="pip install 'openai"):
        burst(store, 1)


def test_without_a_database_it_says_so_and_takes_the_tap_out(monkeypatch):
    monkeypatch.setattr("pipelines.burst.FLUSH_S", 0.3)
    with pytest.raises(SourceError, match="could not be written"):
        burst(load(dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none"), 2)
    assert llm.flush()
