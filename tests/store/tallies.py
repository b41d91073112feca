"""A tally that remembers what it was told."""

from __future__ import annotations

from collections import Counter


class Told:
    """What became of rows, counted by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __getitem__(self, kind: str) -> int:
        return self.counts[kind]

    def watch(self, waiting: object) -> None: ...

    def wrote(self, table: str, rows: int) -> None:
        self.counts["wrote"] += rows

    def rejected(self, table: str, rows: int) -> None:
        self.counts["rejected"] += rows

    def failed(self) -> None:
        self.counts["failed"] += 1

    def dropped(self, rows: int, reason: str) -> None:
        self.counts[f"dropped {reason}"] += rows

    def damaged(self, kind: str) -> None:
        self.counts[kind] += 1
