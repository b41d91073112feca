"""What every test can use."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says what else the machine does.
hypothesis.settings.register_profile("gaugebook", deadline=None)
hypothesis.settings.load_profile("gaugebook")

# Before anything makes a console: what the tests look for must not be folded at the width of some terminal.
os.environ["COLUMNS"] = "200"

# Databases are made and dropped by the hundred. In memory, where there is plenty, that takes half of the time; drills are about disks.
MEMORY = Path("/dev/shm")
if (
    not {"TMPDIR", "GAUGEBOOK_TEST_DRILL"} & os.environ.keys()
    and MEMORY.is_dir()
    and shutil.disk_usage(MEMORY).free >= 4 << 30
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# A run in the background of a shell ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Helpers assert too, and have to say what they saw. `tests` itself is there already.
pytest.register_assert_rewrite(
    *(f"tests.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*") if path.stem != "conftest")
)

pytest_plugins = [f"tests.{path.stem}" for path in sorted(Path(__file__).parent.glob("fix_*.py"))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long is left to `make drill`."""
    if "GAUGEBOOK_TEST_DRILL" not in os.environ:
        for item in items:
            if item.get_closest_marker("drill"):
                item.add_marker(pytest.mark.skip(reason="a drill: make drill"))


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of whoever runs it."""
    for variable in os.environ:
        if variable.startswith("GAUGEBOOK_") and not variable.startswith("GAUGEBOOK_TEST_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("GAUGEBOOK_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("GAUGEBOOK_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("GAUGEBOOK_DEAD_LETTERS", str(tmp_path / "dead-letters"))
