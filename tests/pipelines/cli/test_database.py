"""`gaugebook db` and `gaugebook doctor`, and what a database that cannot be used says: one line, exit code 2."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipelines import doctor
from store.connect import connect
from store.embedded import EmbeddedServer
from tests.servers import free_port, open_folder


def gaugebook(*words: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the real command, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        env={**os.environ, **{f"GAUGEBOOK_{name.upper()}": value for name, value in variables.items()}, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def refused(ended: tuple[int, str, str]) -> str:
    """The one line of a command that refused."""
    code, out, err = ended
    assert code == 2, out + err
    assert out == ""
    assert "Traceback" not in err
    (line,) = err.splitlines()
    return line


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder whose server is stopped in the end."""
    with open_folder() as folder:
        yield folder
        EmbeddedServer(folder).stop()


def test_the_embedded_server_from_start_to_stop(home):
    variables = {"home": str(home)}
    assert gaugebook("db", "stop", **variables) == (0, "did not run\n", "")
    code, out, _ = gaugebook("doctor", **variables, rabbitmq_url="http://127.0.0.1:9")
    assert code == 0
    assert "starts on first use" in out
    assert re.search(r"✓ +PDF and pictures +by /.*(chrom|edge)", out)
    assert not EmbeddedServer(home).answers()  # looking changes nothing
    code, out, _ = gaugebook("db", "start", **variables)
    assert code == 0
    assert f"{home}/postgres/run" in out
    assert gaugebook("db", "migrate", **variables)[1] == "up to date\n"
    code, out, _ = gaugebook("db", "status", **variables)
    assert code == 0
    assert "PostgreSQL 18" in out
    assert "llm_requests" in out
    dsn = gaugebook("db", "dsn", **variables)[1].strip()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone() == (0,)
    assert gaugebook("db", "refresh", **variables)[0] == 0
    code, out, _ = gaugebook("doctor", **variables, rabbitmq_url="http://127.0.0.1:9")
    assert code == 0
    assert "gaugebook import llm FILE" in out
    assert gaugebook("db", "stop", **variables) == (0, "stopped\n", "")


def test_what_lacks_a_browser_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = doctor._browser()
    assert (found.what, found.state) == ("PDF and pictures", "absent")
    assert found.found.startswith("none of chromium, ")
    assert "apt-get install chromium" in found.advice


def test_the_connection_string_shows_no_password():
    assert (
        gaugebook("db", "dsn", dsn="postgresql://me:geheim@db.example/x")[1].strip()
        == "user=me connect_timeout=10 dbname=x host=db.example application_name=gaugebook"
    )


@pytest.mark.parametrize(
    "words",
    [("db", "migrate"), ("forecast",), ("report", "run", "llm_cost"), ("import", "llm", __file__)],
    ids=" ".join,
)
def test_an_unreachable_server(words):
    line = refused(gaugebook(*words, dsn="postgresql://me:geheim@127.0.0.1:1/x"))
    assert "cannot reach the database at me@127.0.0.1:1/x" in line
    assert "refused" in line
    assert "GAUGEBOOK_DSN" in line
    assert "geheim" not in line


def test_a_dsn_that_is_none():
    line = refused(gaugebook("db", "migrate", dsn="nonsense"))
    assert "'dsn' (GAUGEBOOK_DSN)" in line


def test_a_wrong_password(home):
    port = free_port()
    server = EmbeddedServer(home, configuration={"listen_addresses": "127.0.0.1", "port": str(port)})
    EmbeddedServer(home).start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE ROLE me LOGIN PASSWORD 'right'")
    server.stop()
    with (server.data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 127.0.0.1/32 scram-sha-256\n")
    # The socket is named after the port; the launcher only needs it to see whether the server answers.
    server._prepare()
    server._launch()
    line = refused(gaugebook("db", "status", dsn=f"postgresql://me:geheim@127.0.0.1:{port}/postgres"))
    assert 'password authentication failed for user "me"' in line
    assert "geheim" not in line


def test_a_database_newer_than_the_code(store):
    with connect(store) as connection:
        connection.execute(
            "INSERT INTO audit.schema_migrations (number, file, checksum, back_end) VALUES (9000, 'common/9000_tomorrow.sql', '', 'postgres')"
        )
    line = refused(gaugebook("db", "migrate", dsn=store.dsn.get_secret_value()))
    assert "9000_tomorrow.sql" in line
    assert "Upgrade gaugebook" in line
    assert "broken" not in gaugebook("doctor", dsn=store.dsn.get_secret_value())[1]
    assert gaugebook("doctor", dsn=store.dsn.get_secret_value(), rabbitmq_url="http://127.0.0.1:9")[0] == 1


@pytest.mark.drill
def test_a_full_disk_under_the_server():
    """On a file system that fills up: one line; with room again, what was acknowledged is there and nothing else."""
    header = "ts,model,request_id,input_tokens,output_tokens\n"
    rows = [f"2026-01-01T00:00:{n % 60:02d}Z,{'m' * 150},r{n},1,1\n" for n in range(200_000)]
    with open_folder() as folder:
        (folder / "small").mkdir()
        (folder / "few.csv").write_text(header + "".join(rows[:1000]))
        (folder / "many.csv").write_text(header + "".join(rows))
        script = f"""
            mount -t tmpfs -o size=95m,mode=755 none small || exit 77
            export GAUGEBOOK_HOME=$PWD/small/home
            run="{sys.executable} -m pipelines.cli"
            $run import llm few.csv || exit 78
            $run import llm many.csv; echo "exit $?"
            mount -o remount,size=400m small
            $run db status; echo "exit $?"
            $run db stop
        """
        ended = subprocess.run(
            ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c", script],
            cwd=folder, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip(f"no mount namespaces here: {ended.stderr.strip()}")
    first, full, *status, again, stopped = ended.stdout.splitlines()
    assert "1000 imported" in first
    assert (full, again, stopped) == ("exit 2", "exit 0", "stopped"), ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    (kept,) = [int(row.split()[1].replace(",", "")) for row in status if re.match(r" *llm_requests +[\d,]+ ", row)]
    assert kept >= 1000
    assert kept % 1000 == 0  # whole batches, as they were acknowledged
    print(line)
