"""TLS to the server, with certificates of the test's own making, through both drivers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from store import roles
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import Untrusted
from store.migrate import migrate
from store.read import read
from store.settings import Settings, load
from tests.servers import free_port, need, open_folder

NAME = "db.gaugebook.test"  # in the certificate; `hostaddr` says where it is
PASSWORD = "correct horse"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """A folder of authorities and of what they have signed: NAME.crt and NAME.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def authority(self, name: str) -> Path:
        self._openssl("req", "-x509", *CURVE, "-days", "2", "-subj", f"/CN={name}", *self._files(name))
        return self.folder / f"{name}.crt"

    def signed(self, by: str, subject: str, *, host: str = "") -> tuple[Path, Path]:
        """A certificate and its key; for a server with its `host`, for a client with the role as `subject`."""
        name = f"{by}-{subject}"
        self._openssl(
            *("req", *CURVE, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        (self.folder / "extension").write_text(f"subjectAltName=DNS:{host}" if host else "basicConstraints=CA:false")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial"),
            *("-days", "2", "-out", f"{name}.crt", "-extfile", "extension"),
        )
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def _files(self, name: str) -> tuple[str, ...]:
        return ("-keyout", f"{name}.key", "-out", f"{name}.crt")

    def _openssl(self, *arguments: str) -> None:
        program = need("openssl", package="openssl")
        finished = subprocess.run([program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr


class Server:
    """Debian's PostgreSQL, which takes nothing but TLS from the network; the embedded one is built without it."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        binaries = need("pg_ctl", package="postgresql-15").resolve().parent
        network = {"listen_addresses": "127.0.0.1", "port": str(self.port)}
        self.process = EmbeddedServer(home, binaries=binaries, configuration=network)

    def start(self) -> None:
        self.process.start()
        rules = self.process.data / "pg_hba.conf"
        rules.write_text(
            rules.read_text()
            + "hostssl all bare_of_password 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.own("CREATE DATABASE gaugebook")
        self.own(f"CREATE ROLE alice LOGIN SUPERUSER PASSWORD '{PASSWORD}'; CREATE ROLE bare_of_password LOGIN")

    def present(self, certificate: Path, key: Path, clients_of: Path) -> None:
        """Change over to another certificate, as a rotation does: new files and a reload."""
        owner = self.process.data.stat()
        for name, source in {"server.crt": certificate, "server.key": key, "root.crt": clients_of}.items():
            fresh = self.process.data / f"{name}.new"
            fresh.write_bytes(source.read_bytes())
            fresh.chmod(0o600)
            os.chown(fresh, owner.st_uid, owner.st_gid)
            fresh.rename(self.process.data / name)
        self.own("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
        self.offer_tls("on")

    def offer_tls(self, switch: str) -> None:
        self.own(f"ALTER SYSTEM SET ssl = {switch}")
        with psycopg.connect(self.socket(), autocommit=True) as connection:
            (before,) = connection.execute("SELECT pg_conf_load_time()").fetchone()
            connection.execute("SELECT pg_reload_conf()")
        while True:
            with psycopg.connect(self.socket()) as connection:
                if connection.execute("SELECT pg_conf_load_time()").fetchone() > (before,):
                    return
            time.sleep(0.02)

    def own(self, statement: str) -> None:
        with psycopg.connect(self.socket(), autocommit=True) as connection:
            connection.execute(statement)

    def socket(self) -> str:
        return f"host={self.process.socket_folder} port={self.port} user=gaugebook dbname=postgres"

    def settings(self, **options: object) -> Settings:
        known = {"hostaddr": "127.0.0.1", "port": self.port, "dbname": "gaugebook", "host": NAME, "user": "alice"}
        password = {} if "sslcert" in options else {"password": PASSWORD}
        return load(dsn=make_conninfo(**{**known, **password, "sslmode": "verify-full", **options}))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.authority("ours")
    made.authority("theirs")
    return made


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[Server]:
    with open_folder() as home:
        started = Server(home)
        started.start()
        try:
            started.present(*certificates.signed("ours", "server", host=NAME), certificates.folder / "ours.crt")
            migrate(started.settings(sslrootcert=certificates.folder / "ours.crt"))
            yield started
        finally:
            started.process.stop()


def by_psycopg(settings: Settings) -> int:
    with connect(settings) as connection:
        return connection.execute(
            "SELECT count(*)::int FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
        ).fetchone()[0]


def by_adbc(settings: Settings) -> int:
    return len(read(settings, "data_spans"))


DRIVERS = pytest.mark.parametrize(("reach", "answer"), [(by_psycopg, 1), (by_adbc, 3)])
Reach = Callable[[Settings], int]


@DRIVERS
def test_the_right_authority_and_the_right_name(server, certificates, reach: Reach, answer):
    assert reach(server.settings(sslrootcert=certificates.folder / "ours.crt")) == answer


@DRIVERS
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sslrootcert": "ours.crt", "host": "elsewhere.test"}, 'does not match host name "elsewhere.test"'),
        ({"sslrootcert": "theirs.crt"}, "certificate verify failed"),
        ({"sslrootcert": "system"}, "certificate verify failed"),
        ({"sslrootcert": "nowhere.crt"}, 'nowhere.crt" does not exist'),
        ({"sslmode": "disable"}, "no encryption"),
    ],
)
def test_anything_else_is_refused_in_one_line_that_says_what_to_do(
    server, certificates, reach: Reach, answer, options, says
):
    if "crt" in (file := options.get("sslrootcert", "")):
        options = {**options, "sslrootcert": certificates.folder / file}
    with pytest.raises(Untrusted) as caught:
        reach(server.settings(**options))
    message = str(caught.value)
    assert says in message
    assert "sslmode=verify-full, sslrootcert=FILE" in message
    assert "\n" not in message
    assert PASSWORD not in message
    assert message.count("127.0.0.1") <= 1  # libpq's preamble is left out


@DRIVERS
def test_a_server_without_tls_is_refused(server, certificates, reach: Reach, answer):
    server.offer_tls("off")
    try:
        with pytest.raises(Untrusted, match="server does not support SSL, but SSL was required"):
            reach(server.settings(sslrootcert=certificates.folder / "ours.crt"))
    finally:
        server.offer_tls("on")


@DRIVERS
def test_a_client_certificate_in_place_of_a_password(server, certificates, reach: Reach, answer):
    role = "bare_of_password"
    roles.ensure(server.settings(sslrootcert=certificates.folder / "ours.crt"), login=role, of="reader")
    known = {"sslrootcert": certificates.folder / "ours.crt", "user": role}
    certificate, key = certificates.signed("ours", role)
    assert reach(server.settings(**known, sslcert=certificate, sslkey=key)) == answer
    for authority, subject in (("theirs", role), ("ours", "mallory")):
        certificate, key = certificates.signed(authority, subject)
        with pytest.raises(Untrusted):
            reach(server.settings(**known, sslcert=certificate, sslkey=key))


def test_rotation_closes_no_connection(server, certificates):
    """A bundle of the old and the new authority first, then the new certificate, then the new authority alone."""
    ours, theirs = certificates.folder / "ours.crt", certificates.folder / "theirs.crt"
    both = certificates.folder / "both.crt"
    both.write_bytes(ours.read_bytes() + theirs.read_bytes())
    with connect(server.settings(sslrootcert=both)) as open_before:
        server.present(*certificates.signed("theirs", "server", host=NAME), ours)
        assert open_before.execute("SELECT 1").fetchone() == (1,)
        assert by_psycopg(server.settings(sslrootcert=both)) == by_psycopg(server.settings(sslrootcert=theirs)) == 1
        with pytest.raises(Untrusted, match="certificate verify failed"):
            by_psycopg(server.settings(sslrootcert=ours))
    server.present(*certificates.signed("ours", "server", host=NAME), ours)
