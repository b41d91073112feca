"""Where the real data are: in the folder that `GAUGEBOOK_DATA` names, or beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read once, for no test sees the settings of whoever runs it.
FOLDER = Path(os.environ.get("GAUGEBOOK_DATA") or Path(__file__).parents[2] / "shared/data")


def data(*names: str) -> Path:
    """A folder of real data; where it is absent the test is skipped."""
    folder = FOLDER.joinpath(*names)
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; name the folder of all of them in GAUGEBOOK_DATA")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of all of them."""
    return data()
