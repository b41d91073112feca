"""`gaugebook doctor`: what is up, what is missing, what to do."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from pipelines.cli.common import console
from pipelines.doctor import examine
from store.settings import load


def doctor() -> None:
    """Look at everything Gaugebook needs and say what is up, what is missing and what to do.

    It changes nothing: no server is started, no schema migrated. Exit code 1 if something is broken.

    Example: `gaugebook doctor`
    """
    marks = {"ok": "[green]✓[/]", "absent": "[yellow]-[/]", "broken": "[red]✗[/]"}
    table = Table(show_header=False, box=None, padding=(0, 1))
    findings = examine(load())
    for finding in findings:
        table.add_row(marks[finding.state], finding.what, Text(finding.found), Text(finding.advice, style="dim"))
    console.print(table)
    if any(finding.state == "broken" for finding in findings):
        raise SystemExit(1)
