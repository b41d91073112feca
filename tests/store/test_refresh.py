"""Refreshing the rollups: many at once take turns, on every back end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from store.rollup import refresh


def test_refreshers_at_once_take_turns(any_store):
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(refresh, [any_store] * 4))
