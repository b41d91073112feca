"""Secrets that an option names a file of."""

from __future__ import annotations

from pathlib import Path

from store.errors import FileUnusable


def secret_in(path: Path, what: str) -> str:
    """The first line of `path` that is not blank: `what`, such as "the admin key". It is never shown.

    Raises:
        FileUnusable: it cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(path, f"cannot be read: {type(error).__name__}; it should hold {what}") from None
    found = next((line.strip() for line in lines if line.strip()), None)
    if found is None:
        raise FileUnusable(path, f"is empty; it should hold {what}")
    return found
