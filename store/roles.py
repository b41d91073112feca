"""Who may do what: the roles of Gaugebook, who is a member of them, and whose rows each may see."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from store.audit import note
from store.connect import connect
from store.errors import ParameterInvalid, StoreError, UnknownName
from store.files import sql_folder
from store.settings import Settings

KINDS = ("writer", "reader", "grafana", "admin")
ALL_TEAMS = "*"
ATTEMPTS = 5
HELD = """
    WITH groups AS (SELECT oid, rolname FROM pg_roles WHERE rolname = ANY (%(groups)s)),
    concerned AS (
        SELECT rolname FROM pg_roles AS role
        WHERE NOT rolsuper AND EXISTS (SELECT FROM groups WHERE pg_has_role(role.oid, groups.oid, 'MEMBER'))
        UNION
        SELECT role_name FROM metrics.team_grants
    )
    SELECT concerned.rolname, role.oid IS NOT NULL, coalesce(role.rolcanlogin, false),
           ARRAY(SELECT groups.rolname::text FROM groups
                 WHERE role.oid <> groups.oid AND pg_has_role(role.oid, groups.oid, 'MEMBER') ORDER BY 1),
           ARRAY(SELECT DISTINCT team
                 FROM metrics.team_grants LEFT JOIN pg_roles AS granted ON granted.rolname = role_name
                 WHERE role_name = concerned.rolname OR pg_has_role(role.oid, granted.oid, 'USAGE') ORDER BY 1)
    FROM concerned LEFT JOIN pg_roles AS role USING (rolname)
    ORDER BY 1
"""
GRANT = "INSERT INTO metrics.team_grants SELECT %(role)s, unnest(%(teams)s::text[]) ON CONFLICT DO NOTHING"
REVOKE = """
    DELETE FROM metrics.team_grants
    WHERE role_name = %(role)s AND (team = ANY (%(teams)s::text[]) OR cardinality(%(teams)s::text[]) = 0)
"""


@dataclass(frozen=True)
class Role:
    """A role that has to do with Gaugebook: the groups that it belongs to, and the teams that it sees ('*': all)."""

    name: str
    exists: bool
    logs_in: bool
    groups: tuple[str, ...]
    teams: tuple[str, ...]


def group(kind: str) -> str:
    """The role of a kind.

    >>> group("reader")
    'gaugebook_reader'
    """
    if kind not in KINDS:
        raise UnknownName("kind of role", kind, KINDS)
    return f"gaugebook_{kind}"


def ensure(settings: Settings, *, login: str | None = None, of: str = "reader") -> None:
    """Make the roles and set what each may do in this database, as `sql/roles.sql` says. Two at once take turns.

    Args:
        settings: where the store is; its schema is up to date.
        login: a role that is to log in as a member; it is made if it is not there, without a password.
        of: the kind that `login` is a member of.

    Raises:
        UnknownName: `of` is none of `KINDS`.
        StoreError: this role may not do that; says who may, and how.
    """
    member_of = group(of)
    path = sql_folder() / "roles.sql"
    text = path.read_bytes()
    with connect(settings, autocommit=True) as connection:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with connection.transaction():
                    connection.execute(text)
                    if login:
                        _make_member(connection, login, member_of)
                        connection.execute(text)  # it gives the new member its settings
                    made = {"login": login, "of": member_of} if login else {}
                    note(connection, "roles", "gaugebook_*", details=made)
                return
            except psycopg.errors.InsufficientPrivilege as error:
                note(connection, "roles", "gaugebook_*", "denied")
                raise StoreError(
                    f"the roles cannot be made: {str(error).splitlines()[0]}. Have a superuser run "
                    f"`gaugebook db roles` or `psql -1 -v ON_ERROR_STOP=1 -f {path} {connection.info.dbname}`"
                ) from error
            except psycopg.errors.InternalError_ as error:
                # Roles are the server's: another database's run may touch the same row, and PostgreSQL does not wait.
                if "concurrently" not in str(error) or attempt == ATTEMPTS:
                    raise
                time.sleep(0.1 * attempt)


def held(settings: Settings) -> list[Role]:
    """The roles of Gaugebook, all their members, and whoever has been granted a team, by name."""
    with connect(settings) as connection:
        rows = connection.execute(HELD, {"groups": [group(kind) for kind in KINDS]}).fetchall()
    return [Role(name, exists, logs_in, tuple(groups), tuple(teams)) for name, exists, logs_in, groups, teams in rows]


def grant(settings: Settings, role: str, teams: Sequence[str]) -> None:
    """Let `role` and its members see `teams`; `ALL_TEAMS` stands for all of them, those to come included.

    Raises:
        UnknownName: there is no such role.
        ParameterInvalid: no team is named, or one without a letter.
        StoreError: this role may not grant.
    """
    if not teams or not all(team.strip() for team in teams):
        raise ParameterInvalid("team", "name at least one team")
    with connect(settings, autocommit=True) as connection:
        roles = [name for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")]
        if role not in roles:
            raise UnknownName("role", role, roles)
        _change(connection, "grant", GRANT, role, teams)


def revoke(settings: Settings, role: str, teams: Sequence[str] = ()) -> int:
    """Take the sight of `teams` from `role`, or of every one that it was granted; how many it had.

    What it sees as a member of another role, it goes on seeing. The role itself need not exist any more.

    Raises:
        StoreError: this role may not revoke.
    """
    with connect(settings, autocommit=True) as connection:
        return _change(connection, "revoke", REVOKE, role, teams)


def _change(
    connection: psycopg.Connection, action: str, statement: LiteralString, role: str, teams: Sequence[str]
) -> int:
    try:
        with connection.transaction():
            changed = connection.execute(statement, {"role": role, "teams": [*teams]}).rowcount
            note(connection, action, role, details={"teams": [*teams], "changed": changed})
    except psycopg.errors.InsufficientPrivilege as error:
        note(connection, action, role, "denied", {"teams": [*teams]})
        raise StoreError(
            f"this role may not {action} teams: {str(error).splitlines()[0]}. "
            "Log in as a member of gaugebook_admin or as the owner of the database"
        ) from error
    return changed


def _make_member(connection: psycopg.Connection, login: str, member_of: str) -> None:
    name = sql.Identifier(login)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [login]).rowcount == 0:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(member_of), name))
