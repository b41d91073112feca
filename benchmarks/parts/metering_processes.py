"""The contenders of the metering benchmark: each instrumentation in an environment and a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "benchmarks/parts/metering_client.py"
PINNED = ROOT / "benchmarks/peers"
OURS = "ours"
PEERS = {
    "OpenLLMetry": "openllmetry",
    "OpenInference": "openinference",
    "OpenLIT": "openlit",
    "OpenTelemetry": "opentelemetry",
}


def environment(peer: str) -> Path:
    """The interpreter of an environment with what benchmarks/peers/<peer>.txt pins, made once in a temporary folder."""
    pinned = PINNED / f"{peer}.txt"
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"gaugebook-peer-{peer}-{digest}"
    python, ready = folder / "bin/python", folder / "ready"
    if not ready.exists():
        print(f"installing {pinned.relative_to(ROOT)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", pinned], check=True)
        ready.touch()
    return python


class Contender(AbstractContextManager["Contender"]):
    """A process that has done nothing yet but come up; `ask` makes it do one thing."""

    def __init__(self, python: Path, variant: str, url: str, variables: Mapping[str, str]) -> None:
        self.variant = variant
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GAUGEBOOK_", "OTEL_"))}
        self._process = subprocess.Popen(
            [python, "-P", CLIENT, variant, url],
            env=kept | {"PYTHONHASHSEED": "0"} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tempfile.gettempdir(),
        )
        hello = self._answer()
        self.openai, self.version = hello["openai"], hello["version"]

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Do one thing and tell what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # some instrumentations print
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit(f"error: the process of {self.variant} has ended with {self._process.wait()}")

    def __exit__(self, *ending: object) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Pair:
    """An instrumentation beside the bare client of the same environment."""

    name: str
    bare: Contender
    metered: Contender


def contenders(stack: ExitStack, url: str, variables: Mapping[str, str], *, metrics: bool = False) -> list[Pair]:
    """Ours and every peer, started; `variables` are for ours, `metrics` lets the peers make metrics too."""
    pairs = []
    bare: dict[Path, Contender] = {}
    for name, variant in {"Gaugebook": OURS, **PEERS}.items():
        python = Path(sys.executable) if variant == OURS else environment(variant)
        if python not in bare:
            bare[python] = stack.enter_context(Contender(python, "bare", url, {}))
        wanted = variables if variant == OURS else {"WITH_METRICS": "1"} if metrics else {}
        pairs.append(Pair(name, bare[python], stack.enter_context(Contender(python, variant, url, wanted))))
    return pairs
