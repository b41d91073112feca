"""How much memory a read may take, and what is said of one that would take more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.errors import ParameterInvalid

SHARE = 0.8  # of the memory that is free
UNKNOWN_BYTES = 2 << 30  # where the system does not say what is free
SAMPLE_BYTES = 16  # time and value
LABEL_BYTES = 4  # the code of a category
GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Bound:
    """`limit` bytes at most."""

    limit: int

    @classmethod
    def of(cls, megabytes: float | None) -> Bound:
        """A bound of so many MB; None: four fifths of the memory that is free.

        Raises:
            ParameterInvalid: it is not above zero.
        """
        if megabytes is None:
            return cls(int(SHARE * free_bytes()))
        if not megabytes > 0:
            raise ParameterInvalid("memory_limit_mb", f"expected megabytes, more than zero, got {megabytes!r}")
        return cls(int(megabytes * 1e6))

    def check(self, received: int, samples: int, labels: int = 0) -> None:
        """Refuse what would not fit: `received` bytes, and `samples` with `labels` columns.

        Raises:
            ParameterInvalid: it would take more than the bound.
        """
        needed = received + samples * (SAMPLE_BYTES + LABEL_BYTES * labels)
        if needed > self.limit:
            so_far = f"{samples:,} samples of {labels} labels" if samples else f"an answer of {received / 1e6:,.0f} MB"
            raise ParameterInvalid(
                "memory_limit_mb",
                f"{so_far} and more would take {needed / 1e6:,.0f} MB, and {self.limit / 1e6:,.0f} MB is the most. "
                "Ask for a shorter span, fewer series or a longer step, or raise it",
            )


def free_bytes() -> int:
    """Bytes of memory that can still be had, on this machine and in this container."""
    found = [UNKNOWN_BYTES]
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        found = [1024 * int(lines["MemAvailable"].split()[0])]
        found.append(int((GROUP / "memory.max").read_text()) - int((GROUP / "memory.current").read_text()))
    except (OSError, KeyError, ValueError):  # another system, or no limit: "max"
        pass
    return max(0, min(found))
