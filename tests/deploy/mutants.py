"""Rules with one number changed, and whether their tests notice."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.exported import taken
from tests.deploy.site import DEPLOY
from tests.servers import need

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = r"\d+[smhd]"
# A number that is compared or reckoned with. Not: 0, which has no double; `== 1`, a state; `vector(1)`; digits of names.
NUMBER = re.compile(r"(?<![\w.:\[])(?<!== )(?<!vector\()(\d+\.?\d*)(?![\w.:])")
VERDICT = re.compile(r"Unit Testing:\s+(\S+)(\s+SUCCESS)?")  # what fails is said elsewhere


@dataclass(frozen=True)
class Mutant:
    """`rule` of `file` (a stem), by its place in it, where `what` was made `factor` times as much."""

    file: str
    at: tuple[int, int]
    name: str
    what: str
    factor: float
    rule: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file} {self.name}: {self.what} x {self.factor:g}"


def mutants(file: str) -> Iterator[Mutant]:
    """Every rule of rules/<file>.yml with each of its thresholds and durations at twice and at half of what it is."""
    for g, group in enumerate(_load(DEPLOY / f"rules/{file}.yml")["groups"]):
        for r, rule in enumerate(group["rules"]):
            labels = rule.get("labels", {})
            name = " ".join([name_of(rule), *(labels[label] for label in ("severity", "burn") if label in labels)])
            for what, factor, changed in _changes(rule):
                yield Mutant(file, (g, r), name, what, factor, changed)


def survivors(made: list[Mutant], folder: Path, *, at_once: int = 25) -> list[Mutant]:
    """Those that no test of their rule fails for; promtool is asked for `at_once` of them at a time."""
    alive = []
    for start in range(0, len(made), at_once):
        part = made[start : start + at_once]
        files = {path: mutant for n, mutant in enumerate(part) for path in _written(mutant, folder / str(start + n))}
        ended = subprocess.run(
            [need("promtool", package="prometheus"), "test", "rules", *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
        )
        passed = {path: bool(well) for path, well in VERDICT.findall(ended.stdout)}
        assert passed.keys() == set(map(str, files)), ended.stdout + ended.stderr
        caught = {id(mutant) for path, mutant in files.items() if not passed[str(path)]}
        alive += [mutant for mutant in part if id(mutant) not in caught]
    return alive


def _changes(rule: dict[str, Any]) -> Iterator[tuple[str, float, dict[str, Any]]]:
    for factor in (2, 0.5):
        for field in ("for", "keep_firing_for"):
            if field in rule:
                yield f"{field} {rule[field]}", factor, {**rule, field: _times(rule[field], factor)}
        expression = rule["expr"]
        texts = [found.span() for found in re.finditer(r'"[^"]*"', expression)]
        for found in re.finditer(rf"(?<=\[){DURATION}(?=\])|(?<=offset ){DURATION}", expression):
            yield f"[{found.group()}]", factor, _with(rule, found.span(), _times(found.group(), factor))
        for found in NUMBER.finditer(expression):
            if float(found.group()) and not any(a <= found.start() < b for a, b in texts):
                yield found.group(), factor, _with(rule, found.span(), f"{float(found.group()) * factor:.10g}")


def _with(rule: dict[str, Any], span: tuple[int, int], text: str) -> dict[str, Any]:
    expression = rule["expr"]
    return {**rule, "expr": f"{expression[: span[0]]}{text}{expression[span[1] :]}"}


def _times(duration: str, factor: float) -> str:
    return f"{int(int(duration[:-1]) * UNITS[duration[-1]] * factor * 1000)}ms"


def _written(mutant: Mutant, folder: Path) -> Iterator[Path]:
    """Test files with nothing in them but the mutant, what it stands on and what stands on it, and the tests of these."""
    rules, tests = folder / "rules", folder / "tests"
    rules.mkdir(parents=True)
    tests.mkdir()
    for path in (DEPLOY / "rules").glob("*.yml"):
        if path.stem != mutant.file:
            (rules / path.name).symlink_to(path)
    whole = _load(DEPLOY / f"rules/{mutant.file}.yml")
    groups = [
        {**group, "rules": [mutant.rule if (g, r) == mutant.at else rule for r, rule in enumerate(group["rules"])]}
        for g, group in enumerate(whole["groups"])
    ]
    kept = _around(mutant.rule, [rule for group in groups for rule in group["rules"]])
    groups = [{**group, "rules": [rule for rule in group["rules"] if name_of(rule) in kept]} for group in groups]
    _dump(rules / f"{mutant.file}.yml", {"groups": [group for group in groups if group["rules"]]})
    for path in sorted((DEPLOY / "tests").glob("*.yml")):
        asked = _load(path)
        if f"../rules/{mutant.file}.yml" in asked["rule_files"]:
            only = [left for test in asked["tests"] if (left := _only(test, kept))]
            if only:
                _dump(tests / path.name, {**asked, "tests": only})
                yield tests / path.name


def name_of(rule: dict[str, Any]) -> str:
    """What a rule records, or calls."""
    return str(rule.get("record") or rule["alert"])


def _around(rule: dict[str, Any], rules: list[dict[str, Any]]) -> set[str]:
    """The names of a rule, of the alerts that stand on it, and of all that is recorded for these."""
    names = {name_of(one) for one in rules}
    above, before = {name_of(rule)}, 0
    while len(above) > before:
        before = len(above)
        above |= {name_of(one) for one in rules if taken(one["expr"]) & above}
    around, before = above, 0
    while len(around) > before:
        before = len(around)
        around |= {name for one in rules if name_of(one) in around for name in taken(one["expr"]) & names}
    return around


def _only(test: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A test with nothing left in it but what is asked of `names`; empty where that is nothing."""
    alerts = [one for one in test.get("alert_rule_test", ()) if one["alertname"] in names]
    expressions = [one for one in test["promql_expr_test"] if any(name in one["expr"] for name in names)]
    return {**test, "alert_rule_test": alerts, "promql_expr_test": expressions} if alerts or expressions else {}


@cache
def _load(path: Path) -> dict[str, Any]:
    """A file of rules or tests; nobody changes what is in it."""
    loaded: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)
    return loaded


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000))
