"""`gaugebook db roles` and `gaugebook db grant`: who may do what, and whose rows each may see."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from pipelines.cli.common import console
from store.errors import ParameterInvalid
from store.migrate import migrate
from store.roles import ALL_TEAMS, Role, ensure, held
from store.roles import grant as grant_teams
from store.roles import revoke as revoke_teams
from store.settings import load


class Kind(StrEnum):
    """What a login may become a member of."""

    WRITER = "writer"
    READER = "reader"
    GRAFANA = "grafana"
    ADMIN = "admin"


def roles(
    *,
    login: Annotated[
        str | None, typer.Option(metavar="NAME", help="a role that is to log in; made if it is not there")
    ] = None,
    of: Annotated[Kind, typer.Option(help="the kind of role that --login becomes a member of")] = Kind.READER,
) -> None:
    """Make or update the roles gaugebook_writer, _reader, _grafana and _admin, and show who is a member of which.

    Run it after each upgrade. It needs a superuser the first time, and the owner of the database after that.

    Example: `gaugebook db roles`

    Example: `gaugebook db roles --login alice --of reader`
    """
    settings = load()
    migrate(settings)
    ensure(settings, login=login, of=of.value)
    _show(held(settings))
    if login:
        console.print(f"no password was set; in psql: \\password {login}", markup=False, highlight=False)


def grant(
    role: Annotated[str, typer.Argument(help="a role that logs in, or one that others are members of")],
    *,
    team: Annotated[list[str] | None, typer.Option(help="a team whose rows it may see; may be repeated")] = None,
    all_teams: Annotated[
        bool, typer.Option("--all-teams", help="every team, those to come included, and what has no team")
    ] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="take it away; without a team: all of them")] = False,
) -> None:
    """Let a role see the rows of some teams, or no longer. It holds from its next query on.

    Example: `gaugebook db grant alice --team payments --team search`

    Example: `gaugebook db grant alice --revoke`
    """
    settings = load()
    migrate(settings)
    teams = [*(team or []), *([ALL_TEAMS] if all_teams else [])]
    if ALL_TEAMS in (team or []):
        raise ParameterInvalid("team", "a star names no team; for all of them: --all-teams")
    if revoke:
        revoke_teams(settings, role, teams)
    else:
        grant_teams(settings, role, teams)
    shown = [each for each in held(settings) if each.name == role]
    _show(shown)
    if not revoke and not any(each.groups for each in shown):
        advice = f"{role} is no reader yet: GRANT gaugebook_reader TO {role}, then `gaugebook db roles`"
        console.print(advice, markup=False, highlight=False, soft_wrap=True)


def _show(known: list[Role]) -> None:
    table = Table("role", "member of", "sees the teams", box=None)
    for role in known:
        teams = "all" if ALL_TEAMS in role.teams or _administers(role) else ", ".join(role.teams) or "-"
        name = role.name if role.exists else f"{role.name} (no such role)"
        table.add_row(name, ", ".join(role.groups) or "-", teams)
    console.print(table, markup=False, highlight=False)


def _administers(role: Role) -> bool:
    return "gaugebook_admin" in (role.name, *role.groups)
