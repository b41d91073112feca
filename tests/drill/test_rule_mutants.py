"""Every threshold and duration of the alerts at twice and at half of what it is: the tests of the rules notice."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.deploy.mutants import mutants, survivors
from tests.deploy.site import DEPLOY

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(3600),
]

GUARDED = 0.9  # of the rules; one is guarded if each of its mutants breaks a test
FILES = sorted(path.stem for path in (DEPLOY / "rules").glob("alerts-*.yml"))


def test_at_twice_and_at_half_of_any_number_a_test_breaks(tmp_path: Path) -> None:
    rules: dict[tuple[str, tuple[int, int]], int] = defaultdict(int)
    weak = set()
    alive = []
    for file in FILES:
        made = list(mutants(file))
        for mutant in made:
            rules[file, mutant.at] += 1
        left = survivors(made, tmp_path / file)
        alive += left
        weak |= {(file, mutant.at) for mutant in left}
    print(f"{sum(rules.values())} mutants of {len(rules)} rules; {len(alive)} survive, in {len(weak)} rules")
    print(*alive, sep="\n")
    assert len(rules) > 80
    assert 1 - len(weak) / len(rules) >= GUARDED, "\n".join(map(str, alive))
