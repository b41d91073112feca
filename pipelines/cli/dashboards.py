"""`gaugebook dashboards`: build, check and draw the dashboards for Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipelines.cli.common import console, progress
from store.errors import FileUnusable, GaugebookError, ParameterInvalid
from store.settings import load as settings_of

if TYPE_CHECKING:
    from pipelines.dashboards.check import Finding

app = typer.Typer(help="Build, check and draw the dashboards for Grafana.", no_args_is_help=True)
FOLDER = Path("deploy/grafana/dashboards")
SLOW_MS = 300

In = Annotated[Path, typer.Option("--from", help="Folder of the dashboards' JSON.")]
Prometheus = Annotated[
    list[str] | None,
    typer.Option(help="Address of a Prometheus that panels ask; NAME=ADDRESS, and again, to compare several."),
]
Ask = Annotated[bool, typer.Option("--store/--no-store", help="Ask the store that the settings name, too.")]


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="Where to; files that are the same stay as they are.")] = FOLDER,
    *,
    reports: Annotated[str, typer.Option(help="Where the folder of reports is shown.")] = "",
    runbooks: Annotated[str, typer.Option(help="Where docs/runbooks is shown.")] = "",
) -> None:
    """Write the dashboards as JSON for Grafana's provisioning.

    Example: `gaugebook dashboards build /var/lib/grafana/dashboards --reports https://reports.example.com`
    """
    _need_sdk()
    from pipelines.dashboards.board import REPORTS, RUNBOOKS, Places
    from pipelines.dashboards.build import write

    try:
        changed = write(folder, Places(reports.rstrip("/") or REPORTS, runbooks.rstrip("/") or RUNBOOKS))
    except OSError as error:
        raise FileUnusable(folder, f"cannot hold dashboards: {error.strerror}") from error
    for path in changed:
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if not changed:
        console.print(f"{folder} is up to date", markup=False, highlight=False)


@app.command()
def check(
    *,
    folder: In = FOLDER,
    prometheus: Prometheus = None,
    store: Ask = False,
    matrix: Annotated[Path | None, typer.Option(help="Write which panel has data on what into this file.")] = None,
) -> None:
    """Check form, queries and data: exit code 1 if a panel is wrong, or is empty without a known reason.

    Without a server it looks at the form alone, and has promtool parse what panels ask.

    Example: `gaugebook dashboards check --prometheus http://127.0.0.1:9090 --store`
    """
    _need_sdk()
    from pipelines.dashboards.ask import Asker
    from pipelines.dashboards.build import load
    from pipelines.dashboards.check import check as ask
    from pipelines.dashboards.check import parse
    from pipelines.dashboards.lint import panels, problems
    from pipelines.dashboards.matrix import matrix as table_of

    boards = load(_there(folder))
    wrong = [f"{board['uid']}: {problem}" for board in boards for problem in problems(board, boards)]
    parsed = parse(boards)
    wrong += parsed or []
    found: dict[str, list[Finding]] = {}
    targets = [(name, Asker(prometheus=url)) for name, url in _servers(prometheus)]
    if store:
        targets.append(("store", Asker(store=settings_of())))
    with progress() as bar:
        for name, asker in targets:
            task = bar.add_task(name, total=sum(len(panels(board)) for board in boards))
            found[name] = ask(boards, asker, on=name, step=lambda task=task: bar.advance(task))  # type: ignore[misc]
            asker.close()
    for name, findings in found.items():
        wrong += [
            f"{name}: {one.board} · {one.panel} · {one.ref}: {one.said or 'no data'}" for one in findings if one.bad
        ]
    if matrix is not None:
        matrix.write_text(table_of(boards, found), encoding="utf-8")
    for line in wrong:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    _conclude(len(boards), sum(len(panels(board)) for board in boards), found, unparsed=parsed is None)
    if wrong:
        raise typer.Exit(1)


@app.command()
def preview(
    folder: Annotated[Path, typer.Argument(help="Where to write a page for each dashboard.")],
    *,
    of: In = FOLDER,
    prometheus: Prometheus = None,
    store: Ask = True,
) -> None:
    """Draw the panels from their own queries, without a Grafana: one HTML page a dashboard.

    Example: `gaugebook dashboards preview previews --prometheus http://127.0.0.1:9090`
    """
    _need_sdk()
    from pipelines.dashboards.ask import Asker
    from pipelines.dashboards.build import load
    from pipelines.dashboards.lint import panels
    from pipelines.dashboards.preview import preview as draw

    servers = _servers(prometheus)
    if len(servers) > 1:
        raise ParameterInvalid("prometheus", "a preview is of one server")
    boards = load(_there(of))
    asker = Asker(prometheus=servers[0][1] if servers else "", store=settings_of() if store else None)
    with progress() as bar:
        task = bar.add_task("panels", total=sum(len(panels(board)) for board in boards))
        pages = draw(boards, asker, folder, step=lambda: bar.advance(task))
    asker.close()
    for page in pages:
        console.print(str(page), markup=False, highlight=False, soft_wrap=True)


def _conclude(boards: int, panels: int, found: dict[str, list[Finding]], *, unparsed: bool) -> None:
    if found:
        table = Table("asked", "queries", "data", "empty, with a reason", "wrong", "slowest ms", box=None)
        for name, findings in found.items():
            asked = [one for one in findings if one.outcome != "not asked"]
            counts = [sum(one.outcome == outcome for one in asked) for outcome in ("data", "excused")]
            slowest = max(asked, key=lambda one: one.took_ms, default=None)
            slow = f"{slowest.took_ms:.0f} ({slowest.panel})" if slowest else "-"
            table.add_row(name, f"{len(asked)}", *map(str, counts), f"{sum(one.bad for one in asked)}", slow)
        console.print(table)
    console.print(f"{boards} dashboards, {panels} panels" + ("; no promtool to parse PromQL" if unparsed else ""))


def _there(folder: Path) -> Path:
    if not any(folder.glob("*.json")):
        raise FileUnusable(folder, "holds no dashboards; `gaugebook dashboards build` writes them")
    return folder


def _servers(given: list[str] | None) -> list[tuple[str, str]]:
    servers = []
    for each in given or []:
        name, equals, url = each.partition("=")
        if equals and "://" not in name:
            servers.append((name, url))
        else:
            servers.append(("Prometheus", each))
    return servers


def _need_sdk() -> None:
    try:
        import grafana_foundation_sdk  # noqa: F401
    except ModuleNotFoundError as error:
        raise GaugebookError("dashboards need Grafana's SDK: pip install 'gaugebook[dashboards]'") from error
