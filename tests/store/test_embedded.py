"""The embedded server: starts by itself, is shared, outlives its starter, stops cleanly."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.embedded import EmbeddedServer, _run_as
from store.errors import EmbeddedServerError
from tests.servers import open_folder


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with open_folder() as home:
        server = EmbeddedServer(home)
        yield server
        server.stop()


def postmaster(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def starter(server: EmbeddedServer, then: str = "") -> str:
    return f"from pathlib import Path; from store.embedded import EmbeddedServer; EmbeddedServer(Path({str(server.home)!r})).start(); {then}"


def test_it_starts_answers_and_stops(server):
    assert not server.stop()
    server.start()
    server.start()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
    assert server._process_id()
    assert server.stop()
    assert not server.answers()
    assert server._process_id() is None
    assert not server.stop()


def test_it_never_runs_as_root_and_listens_nowhere(server):
    server.start()
    process = postmaster(server)
    assert Path(f"/proc/{process}").stat().st_uid != 0
    inodes = {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
    listening = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    assert not [line for line in listening if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]


def test_only_its_owner_can_reach_it(server):
    server.start()
    assert server.folder.stat().st_mode & 0o077 == 0
    assert server.home.stat().st_mode & 0o022 == 0
    if os.geteuid() == 0:
        path = server.socket_folder / ".s.PGSQL.5432"
        assert _run_as(pwd.getpwnam("daemon"), ["test", "-e", str(path)])[0] == 1
        assert _run_as(None, ["test", "-S", str(path)])[0] == 0


def test_processes_at_once_start_one_server(server):
    racing = [subprocess.Popen([sys.executable, "-c", starter(server)]) for _ in range(4)]
    assert [process.wait(60) for process in racing] == [0] * 4
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_outlives_a_killed_starter(server):
    process = subprocess.Popen(
        [sys.executable, "-c", starter(server, "print('up', flush=True); input()")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_was_committed_survives_a_kill_of_the_server(server):
    server.start()
    with psycopg.connect(server.conninfo()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    os.kill(postmaster(server), signal.SIGKILL)
    while server.answers():
        time.sleep(0.01)
    server.start()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.execute("SELECT sum(n) FROM kept").fetchone() == (500500,)


@pytest.mark.drill
def test_a_number_that_is_another_programs_now_does_not_stop_it(server):
    server.start()
    server.stop()
    left = server.data / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n{server.data}\n")
    server.start()
    assert server.answers()


@pytest.mark.drill
def test_an_interrupted_installation_is_begun_anew(server):
    server.start()
    server.stop()
    server.data.rename(server.folder / "data.new")
    (server.folder / "data.new/PG_VERSION").unlink()
    server.start()
    assert server.answers()


def test_a_long_path_still_gets_a_socket():
    with open_folder() as folder:
        home = folder / ("x" * 100)
        server = EmbeddedServer(home)
        server.start()
        try:
            with psycopg.connect(server.conninfo()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            server.stop()
            server.socket_folder.rmdir()


def test_a_folder_that_cannot_be_made_says_what_to_do():
    with pytest.raises(EmbeddedServerError, match="set GAUGEBOOK_HOME"):
        EmbeddedServer(Path("/proc/gaugebook")).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user to run the server")
def test_a_folder_that_the_servers_user_cannot_reach_says_what_to_do():
    with open_folder() as folder:
        folder.chmod(0o700)
        with pytest.raises(EmbeddedServerError, match="cannot reach it; set GAUGEBOOK_HOME to an open folder"):
            EmbeddedServer(folder).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a copy of the programs")
@pytest.mark.drill
def test_programs_that_the_servers_user_cannot_reach_are_copied(server, monkeypatch):
    reaches = EmbeddedServer._reaches
    monkeypatch.setattr(
        EmbeddedServer, "_reaches", staticmethod(lambda user, path: path.parent.name != "bin" and reaches(user, path))
    )
    server.start()
    program = str(Path(f"/proc/{postmaster(server)}/exe").readlink())
    assert program.startswith(str(server.home / "binaries-"))


def test_a_full_disk_is_one_clear_line():
    """On a file system of 30 MB, made in a mount namespace of our own."""
    with open_folder() as folder:
        (folder / "small").mkdir()
        program = "from store.embedded import EmbeddedServer; from pathlib import Path; EmbeddedServer(Path('small/home')).start()"
        tried = subprocess.run(
            ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c",
             f"mount -t tmpfs -o size=30m,mode=755 none small && exec {sys.executable} -c \"{program}\""],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "unshare" in tried.stderr or "mount:" in tried.stderr:
            pytest.skip(f"no mount namespaces here: {tried.stderr.strip()}")
        assert tried.returncode == 1
        last = tried.stderr.strip().splitlines()[-1]
        assert "EmbeddedServerError" in last
        assert "No space left on device" in last
        assert "GAUGEBOOK_HOME" in last
