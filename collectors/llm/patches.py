"""Methods of other libraries that are replaced while the tap is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """A method of a transport, and what takes its place."""

    transport: type
    method: str
    original: Callable[..., Any]
    ours: Callable[..., Any]

    @classmethod
    def of(cls, transport: type, method: str, ours: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Patch:
        """The patch that puts `ours(original)` in the place of the method."""
        original = getattr(transport, method)
        return cls(transport, method, original, ours(original))

    def undo(self) -> bool:
        """Put the original back; False where somebody has wrapped ours, which stays and passes everything on."""
        if getattr(self.transport, self.method) is not self.ours:
            return False
        setattr(self.transport, self.method, self.original)
        return True


def put(patches: Sequence[Patch], there: Sequence[Patch]) -> list[Patch]:
    """Replace the methods that are not replaced yet (one library can be an alias of another); return the new ones."""
    patched = {(done.transport, done.method) for done in there}
    new = [patch for patch in patches if (patch.transport, patch.method) not in patched]
    for patch in new:
        setattr(patch.transport, patch.method, patch.ours)
    return new
