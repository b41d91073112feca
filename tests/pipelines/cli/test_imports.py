"""`gaugebook import`, as its user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.cli import main
from store.connect import connect
from store.settings import Settings

HEADER = b"ts,model,input_tokens,output_tokens\n"
GOOD = b"2024-01-01T00:00:00Z,gpt-4o,100,10\n"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def gaugebook(
    store: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs the command against a fresh store."""
    assert store.dsn is not None
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gaugebook", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    return run


def requests(settings: Settings) -> int:
    with connect(settings) as connection:
        return int(connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone()[0])


def test_a_good_file(gaugebook: Callable[..., Answer], store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_bytes(HEADER + GOOD)
    assert (
        gaugebook("import", "llm", path, "--dry-run").out
        == "good.csv: 1 rows, 1 would be imported, 0 duplicate, 0 rejected\n"
    )
    assert requests(store) == 0
    assert gaugebook("import", "llm", path) == (0, "good.csv: 1 rows, 1 imported, 0 duplicate, 0 rejected\n", "")
    assert gaugebook("import", "llm", path) == (0, "good.csv: 1 rows, 0 imported, 1 duplicate, 0 rejected\n", "")
    assert requests(store) == 1


def test_options(gaugebook: Callable[..., Answer], store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("day,calls,in,out\n2024-01-01,3,30,6\n")
    columns = ("ts=day", "requests=calls", "input_tokens=in", "output_tokens=out")
    flags = [part for column in columns for part in ("--column", column)]
    named = ("--team", "search", "--project", "p", "--provider", "openai", "--model", "gpt-4o")
    assert gaugebook("import", "usage", path, *flags, "--set", "width_s=86400", *named).code == 0
    with connect(store) as connection:
        row = connection.execute(
            "SELECT width_s, requests, team, project, provider, model FROM metrics.llm_usage"
        ).fetchone()
    assert row == (86400, 3, "search", "p", "openai", "gpt-4o")
    assert "'x' is not NAME=VALUE" in gaugebook("import", "usage", path, "--column", "x").err


NO_FILE = {
    "missing": (None, "there is no such file"),
    "folder": ("folder", "is a folder"),
    "empty": (b"", "is empty"),
    "header alone": (HEADER, "has no rows"),
    "binary": (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 50, "is a binary file"),
    "missing column": (HEADER.replace(b"input_tokens", b"input_tokns") + GOOD, "did you mean 'input_tokns'"),
}


@pytest.mark.parametrize(("body", "reason"), NO_FILE.values(), ids=NO_FILE)
def test_a_file_that_cannot_be_used(
    gaugebook: Callable[..., Answer], store: Settings, tmp_path: Path, body: bytes | str | None, reason: str
) -> None:
    path = tmp_path / "bad.csv"
    if body == "folder":
        path.mkdir()
    elif isinstance(body, bytes):
        path.write_bytes(body)
    answer = gaugebook("import", "llm", path)
    assert answer.code == 2
    assert answer.out == ""
    assert reason in answer.err
    assert answer.err.count("\n") == 1
    assert requests(store) == 0


AHEAD = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}".encode()
ROWS_IN_ERROR = {
    "negative tokens": (b"2024-01-01,gpt-4o,-5,1\n", "line 3: input_tokens: '-5' is negative"),
    "NaN": (b"2024-01-01,gpt-4o,5,NaN\n", "line 3: output_tokens: 'NaN' is not a finite number"),
    "future": (AHEAD + b",gpt-4o,5,1\n", "line 3: ts: "),
    "markup": (b"[/red]x,gpt-4o,5,1\n", "line 3: ts: '[/red]x' is not a time"),
}


@pytest.mark.parametrize(("bad", "reason"), ROWS_IN_ERROR.values(), ids=ROWS_IN_ERROR)
def test_rows_in_error_are_shown_and_the_rest_is_in(
    gaugebook: Callable[..., Answer], store: Settings, tmp_path: Path, bad: bytes, reason: str
) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(HEADER + GOOD + bad + GOOD)
    answer = gaugebook("import", "llm", path)
    shown, closing = answer.err.splitlines()
    assert answer.code == 2
    assert shown.startswith(f"some.csv: {reason}")
    assert closing == "some.csv: 3 rows, 2 imported, 0 duplicate, 1 rejected"
    assert requests(store) == 2


def test_the_first_five_problems_are_shown(gaugebook: Callable[..., Answer], tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(HEADER + b"x\n" * 7)
    answer = gaugebook("import", "llm", path)
    assert [line.split(": ")[1] for line in answer.err.splitlines()[:-1]] == [f"line {n}" for n in range(2, 7)]
    assert answer.err.splitlines()[-1].endswith("7 rejected")


@pytest.mark.parametrize("name", ["long.csv", "long.jsonl"])
def test_a_line_of_200_megabytes(store: Settings, tmp_path: Path, name: str) -> None:
    """In a process of its own, whose memory can be told."""
    good = GOOD if name.endswith("csv") else b'{"ts": "2024-01-01", "input_tokens": 1, "output_tokens": 1}\n'
    with (tmp_path / name).open("wb") as file:
        file.write((HEADER if name.endswith("csv") else b"") + good)
        for _ in range(200):
            file.write(b"9" * 10**6)
        file.write(b"\n" + good)
    program = (
        "import atexit, re; from pipelines.cli import main;"
        # The high-water mark of the program itself; getrusage also knows that of the process that started it.
        "atexit.register(lambda: print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])); main()"
    )
    assert store.dsn is not None
    ended = subprocess.run(
        [sys.executable, "-c", program, "import", "llm", tmp_path / name],
        env=os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    shown, closing = ended.stderr.splitlines()
    assert "the line is longer than 1048576 bytes" in shown
    assert closing == f"{name}: 3 rows, 2 imported, 0 duplicate, 1 rejected"
    assert requests(store) == 2
    assert int(ended.stdout) < 300 * 1024


@pytest.mark.parametrize("command", ["llm", "usage"])
def test_help_has_an_example(gaugebook: Callable[..., Answer], command: str) -> None:
    answer = gaugebook("import", command, "--help")
    assert answer.code == 0
    assert "Example" in answer.out
