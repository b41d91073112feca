"""Find a report's notebook and read what its text says, without running it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from store.errors import UnknownName

_CELL = re.compile(r"^# %%(?P<rest>.*)$", re.MULTILINE)
_TAGS = re.compile(r"tags=\[(?P<tags>[^\]]*)\]")


@dataclass(frozen=True)
class Cell:
    """One cell of a `py:percent` notebook: `kind` is code, markdown or raw; `line` is where its text starts, from 1."""

    kind: str
    tags: tuple[str, ...]
    text: str
    line: int


def folder() -> Path:
    """The folder of the notebooks: inside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).resolve().parent
    installed = package / "_notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"


def names(notebooks: Path | None = None) -> list[str]:
    """The reports there are, sorted. `notebooks` is the folder that holds `reports/`; by default `folder()`."""
    return sorted(path.stem for path in ((notebooks or folder()) / "reports").glob("*.py"))


def find(report: str, notebooks: Path | None = None) -> Path:
    """The file of a report's notebook.

    Raises:
        UnknownName: there is no such report; names the closest one.
    """
    known = names(notebooks)
    if report not in known:
        raise UnknownName("report", report, known)
    return (notebooks or folder()) / "reports" / f"{report}.py"


def cells(text: str) -> list[Cell]:
    r"""Split the text of a `py:percent` notebook; the header before the first `# %%` is left out.

    jupytext does this too, but takes seconds to import, and a wrong parameter should be refused at once.

    >>> [cell.kind for cell in cells("# %% [markdown]\n# # Title\n\n# %%\n1 + 1\n")]
    ['markdown', 'code']
    """
    found = list(_CELL.finditer(text))
    starts = [match.start() for match in found] + [len(text)]
    return [_cell(text, match, end) for match, end in zip(found, starts[1:], strict=True)]


def title(text: str) -> str | None:
    """The first heading of the first level, or None."""
    heading = re.search(r"^#+ # +(.+)$", _prose(text), re.MULTILINE)
    return heading[1].strip() if heading else None


def summary(text: str) -> str:
    """The first sentence after the title, or an empty string."""
    lines = [line.removeprefix("#").strip() for line in _prose(text).splitlines()]
    paragraph: list[str] = []
    for line in lines:
        if line.startswith("#") or not line:
            if paragraph:
                break
        else:
            paragraph.append(line)
    return first_sentence(" ".join(paragraph))


def first_sentence(text: str) -> str:
    """The first sentence of a paragraph.

    >>> first_sentence("What it cost. And why.")
    'What it cost.'
    """
    return re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0]


def _prose(text: str) -> str:
    return "\n".join(cell.text for cell in cells(text) if cell.kind == "markdown")


def _cell(text: str, match: re.Match[str], end: int) -> Cell:
    kind = re.search(r"\[(markdown|raw)\]", match["rest"])
    tags = _TAGS.search(match["rest"])
    return Cell(
        kind=kind[1] if kind else "code",
        tags=tuple(re.findall(r"[\"']([^\"']+)[\"']", tags["tags"])) if tags else (),
        text=text[match.end() + 1 : end],
        line=text.count("\n", 0, match.end()) + 2,
    )
