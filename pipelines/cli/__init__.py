"""The `gaugebook` command."""

from __future__ import annotations

import sys
from typing import Any

import psycopg
import typer
from rich.markup import escape
from typer.core import TyperGroup

from pipelines.cli import (
    analysis,
    billing,
    budget,
    collect,
    dashboards,
    database,
    demo,
    doctor,
    export,
    forecast,
    imports,
    lab,
    prices,
    queues,
    report,
    run,
    scrape,
    serve,
    tick,
    verdicts,
)
from pipelines.cli.common import errors
from store.errors import GaugebookError


class _Commands(TyperGroup):
    """Commands that people call by more than one name."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, {"reports": "report"}.get(cmd_name, cmd_name))


app = typer.Typer(
    name="gaugebook",
    cls=_Commands,
    help="Analytics and forecasts for RabbitMQ queues and LLM spend. Start with `gaugebook demo`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command(context_settings=run.SETTINGS)(run.run)
imports.app.command()(billing.billing)
app.add_typer(imports.app, name="import")
collect.app.command("llm-gateway")(scrape.llm_gateway)
app.add_typer(collect.app, name="collect")
app.command()(serve.serve)
app.add_typer(serve.keys, name="key")
app.command()(export.export)
app.command()(forecast.forecast)
app.command()(analysis.anomalies)
app.command()(analysis.changepoints)
app.add_typer(verdicts.app, name="verdict")
app.command()(queues.queues)
app.command()(billing.reconcile)
app.add_typer(prices.app, name="prices")
app.add_typer(budget.app, name="budget")
app.add_typer(report.app, name="report")
app.command()(tick.tick)
app.command()(lab.lab)
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(database.app, name="db")

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


def main() -> None:
    """Run the command; an error that a user can meet is one line on stderr and exit code 2."""
    try:
        app()
    except GaugebookError as error:
        _fail(str(error))
    except psycopg.Error as error:
        _fail(f"the database said: {str(error).splitlines()[0]}")
    except ModuleNotFoundError as error:
        _fail(f"this needs the package {error.name}, which a collector does not; pip install 'gaugebook[lab]'")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            errors.print("stopped", style="yellow")
        raise


def _fail(message: str) -> None:
    errors.print(f"[bold red]error[/]: {escape(message)}", soft_wrap=True, highlight=False)
    sys.exit(2)
