"""`gaugebook db backup`, `backups`, `verify` and `restore`, as an operator meets them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from store.write import write
from tests.pipelines.cli.test_database import gaugebook, refused
from tests.servers import open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a home in it, and room for another; their servers are stopped in the end."""
    with open_folder() as folder:
        yield folder
        for home in ("home", "new"):
            EmbeddedServer(folder / home).stop()


@pytest.mark.drill
def test_a_backup_from_taking_it_to_restoring_it(folder):
    settings = load(home=folder / "home")
    migrate(settings)
    with connect(settings) as connection:
        write(connection, "metrics.llm_requests", ("ts", "request_id", "source"), [(datetime.now(UTC), "r1", "test")])
    variables = {"home": str(settings.home)}

    code, out, err = gaugebook("db", "backup", **variables)
    assert code == 0, err
    assert "full" in out
    assert "verified" in out
    assert err.startswith("note: the embedded server archives its WAL from now on")
    code, out, err = gaugebook("db", "backups", **variables)
    assert code == 0, err
    header, line = out.splitlines()
    assert header.split() == ["backup", "kind", "size", "restorable", "from", "until"]
    name = line.split()[0]

    code, out, err = gaugebook("db", "verify", "--restore", **variables)
    assert code == 0, err
    assert f"backup {name}: 1 base backup" in out
    assert "llm_requests" in out

    code, out, err = gaugebook("db", "restore", "--to", str(folder / "new"), **variables)
    assert code == 0, err
    assert f"restored {name} and WAL to its last transaction" in out
    assert f"it runs: GAUGEBOOK_HOME={folder}/new gaugebook db status" in out
    with connect(load(home=folder / "new")) as connection:
        assert connection.execute("SELECT request_id FROM metrics.llm_requests").fetchall() == [("r1",)]

    assert "not a moment such as" in refused(gaugebook("db", "restore", "--to", str(folder / "x"), "--at", "noon"))
    assert "is not empty" in refused(gaugebook("db", "restore", "--to", str(folder / "new"), **variables))
    assert "no backup 'zzz'" in refused(gaugebook("db", "verify", "zzz", **variables))
