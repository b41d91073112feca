"""`gaugebook run`, as its user meets it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.run import LAUNCHER, command_of
from pipelines.local_llm import LocalLLM
from store.connect import connect
from store.errors import InputError
from store.settings import Settings
from tests.servers import free_port

PROGRAM = "from pipelines.cli import main; main()"
CALL = """
import sys, httpx2
httpx2.post(sys.argv[1] + "/chat/completions", json={"model": "gpt-4o-mini", "messages": []}).raise_for_status()
"""


@pytest.fixture
def run(store: Settings, tmp_path: Path) -> Any:
    """Runs a command line, in a folder of its own."""
    assert store.dsn is not None
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "PATH": path}

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", PROGRAM, "run", *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return start


def python(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python itself, with nobody to reach: for what needs no database."""
    environment = os.environ | {"GAUGEBOOK_DSN": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    return subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=folder,
        input="typed",
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return str(path)


def rows(store: Settings) -> list[tuple[Any, ...]]:
    with connect(store) as connection:
        return connection.execute(
            "SELECT team, project, status, attrs->'tags'->>'of' FROM metrics.llm_requests ORDER BY ts"
        ).fetchall()


def test_the_calls_of_a_program_are_metered_and_nothing_is_left(
    run, store, local_llm: LocalLLM, tmp_path: Path
) -> None:
    write(tmp_path, "app.py", CALL)
    write(tmp_path, "package/__init__.py", "")
    write(tmp_path, "package/main.py", "from package import call")
    write(tmp_path, "package/call.py", CALL)
    script = write(tmp_path, "tool", f"#!{sys.executable}\n{CALL}")
    Path(script).chmod(0o755)
    ours = ("--team", "search", "--project=ranking", "--tag", "of=test")
    before = sorted(tmp_path.rglob("*.py"))
    for program in (
        ["--", "python", "-X", "dev", "-Wignore", "app.py", local_llm.url],
        ["--", "-m", "package.main", local_llm.url],
        [script, local_llm.url],
    ):
        done = run(*ours, *program)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), program
    assert rows(store) == [("search", "ranking", "ok", "test")] * 3
    assert sorted(tmp_path.rglob("*.py")) == before
    assert not list(Path(sys.prefix).rglob("*gaugebook*run*.pth"))


LOOKS = """
import json, sys, __main__
print(json.dumps([
    __name__, __main__ is sys.modules["__main__"], "value" in vars(__main__) or __main__.__dict__ is globals(),
    sys.argv, sys.path[0], __file__, sys.stdin.read(), sys.flags.dev_mode,
]))
"""


@pytest.mark.parametrize(
    "words", [["looks/looks.py", "a", "--help", "--", "-x"], ["-m", "looks.looks", "--team", "app"], ["looks", "b"]]
)
def test_a_program_sees_what_it_would_have_seen(tmp_path: Path, words: list[str]) -> None:
    write(tmp_path, "looks/looks.py", LOOKS)
    write(tmp_path, "looks/__main__.py", LOOKS)
    bare, done = python(*words, folder=tmp_path), python(str(LAUNCHER), "--", *words, folder=tmp_path)
    assert "typed" in bare.stdout
    assert (done.stdout, done.stderr) == (bare.stdout, "")


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(7)", "def f():\n    return 1 / 0\nf()", "def f(:", "import nothing_of_this"]
)
def test_a_program_ends_as_it_would_have_ended(tmp_path: Path, program: str) -> None:
    path = write(tmp_path, "ends.py", program)
    bare, done = python(path, folder=tmp_path), python(str(LAUNCHER), "--", path, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (bare.returncode, bare.stdout, bare.stderr)


def test_signals_are_the_programs_own(store: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "waits.py", "import time; print('up', flush=True); time.sleep(60)")
    assert store.dsn is not None
    environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value()}
    command = [sys.executable, "-c", PROGRAM, "run", path]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == -signal.SIGINT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-program"], "there is no program 'no-such-program'"),
        (["sleep", "1"], "sleep is not a Python program; meter it from within: collectors.llm.install()"),
        ([sys.executable, "-u"], "has no program to run: name a script, -m MODULE or -c CODE"),
        (["--tema", "x", "app.py"], "there is no program '--tema'"),
    ],
)
def test_what_cannot_be_run_is_said(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        command_of(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tag", "oops", "app.py"], "--tag 'oops' is not of the form KEY=VALUE"),
        (["app.py"], "gaugebook run: cannot open 'app.py'"),
    ],
)
def test_it_is_one_line(run, words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_program_whose_modules_have_our_names_is_told_so(run, tmp_path: Path) -> None:
    write(tmp_path, "app.py", "import store")
    write(tmp_path, "store/__init__.py", "")
    done = run("app.py")
    assert done.returncode == 2
    assert f"{tmp_path} has a module 'store', and so has Gaugebook" in done.stderr


def test_wrong_settings_are_told_before_anything_runs(run, monkeypatch, tmp_path: Path) -> None:
    write(tmp_path, "gaugebook.toml", "team = 7\n[nothing]\n")
    write(tmp_path, "app.py", "print('ran')")
    done = run("app.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "gaugebook.toml" in done.stderr


def test_command_lines(tmp_path: Path) -> None:
    here = sys.executable
    assert command_of(["app.py", "-x"]) == (here, [], ["app.py", "-x"])
    assert command_of(["-m", "app", "-x"]) == (here, [], ["-m", "app", "-x"])
    assert command_of([here, "-Wignore", "-X", "dev", "-bb", "app.py", "-m"]) == (
        here, ["-Wignore", "-X", "dev", "-bb"], ["app.py", "-m"],
    )  # fmt: skip
    assert command_of([here, "-cprint(1)", "a"]) == (here, [], ["-c", "print(1)", "a"])
    assert command_of([here, "--check-hash-based-pycs", "never", "app.py"])[1:] == (
        ["--check-hash-based-pycs", "never"], ["app.py"],
    )  # fmt: skip
    for first in (f"#!{here} -u", f"#!/usr/bin/env {here}", f"#!/bin/sh\n'''exec' \"{here}\" \"$0\" \"$@\"\n' '''"):
        script = write(tmp_path, "tool", first + "\n")
        Path(script).chmod(0o755)
        assert command_of([script, "x"]) == (here, ["-u"] if "-u" in first else [], [script, "x"])
