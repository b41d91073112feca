"""The units that an operator copies: systemd takes them, and the command that they run is one of ours."""

from __future__ import annotations

import configparser
import getpass
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from pipelines.cli import app
from store.settings import Settings

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))


def parsed(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_the_command_and_the_settings_exist(path: Path) -> None:
    service = parsed(path)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "gaugebook"
    command = get_command(app)
    while words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    known = {option for each in command.params for option in each.opts}
    assert {word for word in words if word.startswith("--")} <= known
    given = [pair.partition("=")[0] for pair in shlex.split(service["Environment"])]
    assert {name.removeprefix("GAUGEBOOK_").lower() for name in given} <= set(Settings.model_fields)


def test_the_timer_starts_a_service_that_is_there() -> None:
    (timer,) = UNITS.glob("*.timer")
    assert timer.with_suffix(".service") in SERVICES


@pytest.mark.parametrize("path", sorted(UNITS.iterdir()), ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: this machine is not run by systemd")
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/gaugebook/bin/gaugebook", sys.executable)
        (tmp_path / unit.name).write_text(text.replace("User=gaugebook", f"User={getpass.getuser()}"))
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / path.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
