"""50 threads and 50 tasks race for a budget of $1.00 with calls of $0.03, a hundred times, while processes are killed."""

from __future__ import annotations

import pytest

from tests.collectors.llm.budget_race import race

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

ROUNDS = 100


def test_what_is_settled_stays_within_the_budget(store, tmp_path):
    race(store, tmp_path, ROUNDS)
