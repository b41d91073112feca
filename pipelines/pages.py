"""The pages of a folder of reports: each shows the good run of the latest slot that the ledger knows.

The page of every good run stays in `history/`; putting one in place copies it, so it can be done again at any time.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from uuid import UUID

from pipelines import ledger
from pipelines.ledger import Run
from pipelines.lock import wait_for_turn
from pipelines.render import TEMPLATES
from store.connect import connect
from store.errors import FileUnusable
from store.settings import Settings

HEAD = 4000  # characters of a page that hold its title, its description and its run
_RUN = re.compile(r'<meta name="gaugebook-run" content="([0-9a-f-]{36})">')
# What `render` writes into a page of `history/`, and what it is one folder above.
_PLACES = (
    ('src="../assets/', 'src="assets/'),
    ('<a href="../index.html">', '<a href="index.html">'),
    (' href="../history/', ' href="history/'),
)


def put_in_place(settings: Settings, output: Path) -> Run | None:
    """Make the page `output` show the run that it is to show, if it does not, and if that run's page is here.

    Two that do so at once take turns; the run that it shows then, or None where there is none or its page is elsewhere.
    """
    with connect(settings) as connection:
        wait_for_turn(connection, output)
        run = ledger.good(connection, str(output))
        if run is None:
            return None
        made = output.parent / run.page
        if not made.is_file():
            return None
        if shown(output) != str(run.run_id):
            write_assets(output.parent / "assets")
            replace(output, moved_up(made.read_text(encoding="utf-8")).encode())
        return run


def shown(page: Path) -> str | None:
    """The id of the run that a page shows; None for one that is not there."""
    found = _RUN.search(head(page))
    return found[1] if found else None


def lists(folder: Path, run_id: str) -> bool:
    """Whether the index of a folder knows of a good run."""
    try:
        return f'data-good="{run_id}"' in (folder / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def kept(folder: Path, run_id: UUID) -> bool:
    """Whether the page of a run is in the `history/` of this host."""
    return any((folder / "history").glob(f"*-{run_id.hex[:8]}.html"))


def head(page: Path) -> str:
    """The beginning of a page; empty for one that is not there."""
    try:
        with page.open(encoding="utf-8") as file:
            return file.read(HEAD)
    except FileNotFoundError:
        return ""


def files(run: Run) -> str:
    """The folder of a run's other files, its numbers, pictures and PDF, relative to that of its page."""
    return run.page.removesuffix(".html")


def moved_up(text: str) -> str:
    """A page of `history/` as it is one folder above."""
    for below, above in _PLACES:
        text = text.replace(below, above)
    return text


def write_assets(folder: Path) -> None:
    """Write what all pages of a folder share, where it is not there or of another release."""
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("plotly.min.js", get_plotlyjs().encode()),
        ("report.js", (TEMPLATES / "report.js").read_bytes()),
    ):
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            replace(path, content)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        written.write_bytes(content)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def usable(folder: Path) -> Path:
    """The folder, absolute, made if it is not there.

    Raises:
        FileUnusable: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(folder, f"cannot be a folder of reports: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise FileUnusable(folder, "cannot be written to")
    return folder.resolve()
