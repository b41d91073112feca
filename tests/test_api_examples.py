"""Every example of docs/api.md does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fix_service import Serving

PAGE = (Path(__file__).parents[1] / "docs/api.md").read_text()
SHELL, PYTHON = (
    re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for language in ("sh", "python")
)


@pytest.mark.parametrize("any_store", ["embedded"], indirect=True)
@pytest.mark.parametrize("program", ["sh", "python"])
def test_examples(door: Serving, program: str) -> None:
    if program == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    environment = os.environ | {"GAUGEBOOK_KEY": door.token, "no_proxy": "127.0.0.1"}
    environment.pop("GAUGEBOOK_REPORTS", None)
    for text in SHELL if program == "sh" else PYTHON:
        command = ["bash", "-ec"] if program == "sh" else [sys.executable, "-c"]
        ran = subprocess.run(
            [*command, text.replace("http://127.0.0.1:8466", door.url)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        if program == "sh":
            told = json.loads(ran.stdout)
            assert told["accepted"] > 0
            assert told["rejected"] == 0
        else:
            assert ran.stdout.count("accepted=1 duplicate=0 rejected=0") == 4
    (row,) = door.rows()
    assert row["cost_usd"] > 0
