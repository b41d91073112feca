"""The compose file: Compose takes it, all that it names exists, nothing is open, and its logins are made for real."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo
from typer.main import get_command

from pipelines.cli import app
from store.embedded import EmbeddedServer
from store.settings import Settings
from tests.fix_postgres import QUICK
from tests.servers import need, open_folder

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTMANAGER_SECRETS = {"slack_url", "smtp_password", "pagerduty_key", "program_token", "deadman_token"}
CONSOLE = Path(sys.executable).parent


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an operator, with the secrets made."""
    folder = tmp_path_factory.mktemp("deployed") / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    secrets(folder)
    return folder


def secrets(folder: Path) -> str:
    ended = subprocess.run([folder / "compose/secrets.sh"], capture_output=True, text=True, check=True)
    return ended.stderr


@pytest.fixture(scope="module")
def composed(deployed: Path) -> dict[str, Any]:
    """What Compose makes of the file: anchors, short forms and paths worked out."""
    program = need("docker-compose", package="docker-compose")
    ended = subprocess.run(
        [program, "-f", "compose.yaml", "config"], cwd=deployed, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    read: dict[str, Any] = yaml.safe_load(ended.stdout)
    return read


def test_every_service_is_bounded_watched_and_pinned(composed):
    for name, service in composed["services"].items():
        assert {"cpus", "mem_limit", "image"} <= service.keys(), name
        assert not service["image"].endswith(":latest"), name
        assert ":" in service["image"], name
        # The one that ends is waited for instead.
        assert ("healthcheck" in service) == (name != "schema"), name
        assert service["restart"] == ("no" if name == "schema" else "unless-stopped")


def test_what_is_ours_may_do_nothing_but_run(composed):
    ours = {name for name, service in composed["services"].items() if service["image"].startswith("gaugebook:")}
    assert ours == {"schema", "collect-rabbitmq", "collect-otlp", "tick"}
    for name in ours:
        service = composed["services"][name]
        assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_nothing_listens_beyond_loopback(composed):
    ports = [port for service in composed["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 5
    for port in ports:
        host = port.get("host_ip", "") if isinstance(port, dict) else port.rpartition(":")[0].partition(":")[0]
        assert host == "127.0.0.1", port
    assert composed["networks"]["inside"]["internal"] is True
    assert set(composed["services"]["store"]["networks"]) == {"inside"}


def test_no_password_stands_in_it(composed):
    for name, service in composed["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASS|SECRET|TOKEN|DSN|KEY", key):
                assert str(value).startswith("/run/secrets"), (name, key)


def test_every_file_that_it_mounts_is_there(composed, deployed):
    paths = [Path(one["file"]) for one in composed["secrets"].values()]
    for service in composed["services"].values():
        for volume in service.get("volumes", []):
            source = str(volume["source"] if isinstance(volume, dict) else volume.partition(":")[0])
            if source.startswith(("/", ".")):
                paths.append(deployed / source)
            else:
                assert source in composed["volumes"]
    assert len(paths) > 15
    assert [path for path in paths if not path.exists()] == []


def test_our_commands_and_settings_exist(composed):
    for name, service in composed["services"].items():
        if not service["image"].startswith("gaugebook:"):
            continue
        given = {key for key in service.get("environment", {}) if key.startswith("GAUGEBOOK_")}
        allowed = {f"GAUGEBOOK_{one.upper()}" for one in Settings.model_fields} | {"GAUGEBOOK_CONFIG"}
        assert given <= allowed, name
        program, *words = shlex.split(service["command"]) if isinstance(service["command"], str) else service["command"]
        if program == "gaugebook":
            command = get_command(app)
            while words and not words[0].startswith("-"):
                command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
            known = {option for each in command.params for option in each.opts}
            assert {word for word in words if word.startswith("--")} <= known


def test_secrets_are_random_closed_and_kept(deployed, tmp_path):
    folder = deployed / "compose/secrets"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    passwords = [text for name, text in before.items() if name.endswith("_password")]
    assert len(set(passwords)) == len(passwords) == 6
    assert all(re.fullmatch(rb"[\w-]{32}", one) for one in passwords)
    assert folder.stat().st_mode & 0o077 == 0
    told = secrets(deployed)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert {Path(line).name for line in told.splitlines()} == ALERTMANAGER_SECRETS
    other = tmp_path / "deploy"
    shutil.copytree(deployed, other, ignore=shutil.ignore_patterns("secrets"))
    secrets(other)
    assert (other / "compose/secrets/store_password").read_bytes() != before["store_password"]


def test_alertmanager_finds_its_templates_and_secrets(composed):
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    mounted = {str(one).split(":")[1] for one in composed["services"]["alertmanager"]["volumes"]}
    for path in re.findall(r"/etc/prometheus/\w+", text):
        assert path in mounted
    assert set(re.findall(r"/etc/prometheus/alertmanager_secrets/(\w+)", text)) == ALERTMANAGER_SECRETS


def test_prometheus_scrapes_as_the_other_file_does():
    here, there = (
        yaml.safe_load((DEPLOY / path).read_text()) for path in ("compose/prometheus.yml", "prometheus/prometheus.yml")
    )
    jobs = {one.pop("job_name"): one for one in there["scrape_configs"]}
    for one in here["scrape_configs"]:
        other = jobs[one.pop("job_name")]
        assert {**one, "static_configs": ()} == {**other, "static_configs": ()}
    promtool = need("promtool", package="prometheus")
    subprocess.run(
        [promtool, "check", "config", "--syntax-only", DEPLOY / "compose/prometheus.yml"],
        check=True,
        capture_output=True,
    )


def test_grafana_knows_the_data_sources_of_the_dashboards():
    known = {one["uid"] for one in yaml.safe_load((DEPLOY / "compose/grafana.yml").read_text())["datasources"]}
    dashboards = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    assert dashboards
    for path in dashboards:
        named = set(re.findall(r'"uid": "(gaugebook-(?:prometheus|store|alertmanager)[\w-]*)"', path.read_text()))
        assert named <= known, path.name
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/gaugebook.yml").read_text())["providers"][0]
    assert f":{provider['options']['path']}:ro" in (DEPLOY / "compose.yaml").read_text()


def test_the_image_copies_what_is_there_and_what_is_sent():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    sent = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A server that believes its owner, and asks everybody else for a password."""
    with open_folder() as home:
        made = EmbeddedServer(home, configuration=QUICK)
        made.start()
        try:
            (made.data / "pg_hba.conf").write_text("local all gaugebook trust\nlocal all all scram-sha-256\n")
            with psycopg.connect(made.conninfo(), autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
                connection.execute("CREATE DATABASE gaugebook")
            yield made
        finally:
            made.stop()


def test_schema_makes_logins_that_the_settings_open(server, deployed):
    folder = deployed / "compose/secrets"
    variables = {
        "PATH": f"{CONSOLE}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GAUGEBOOK_DSN": server.conninfo("gaugebook"),
        "SECRETS": str(folder),
    }
    for _ in range(2):  # again after an upgrade
        schema = ["sh", deployed / "compose/schema.sh"]
        ended = subprocess.run(schema, env=variables, cwd=folder, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")

    def ask(statement: str, **login: str) -> object:
        with psycopg.connect(make_conninfo(server.conninfo("gaugebook"), **login)) as connection:
            return connection.execute(statement).fetchone()

    for name, may in {"collector": "INSERT", "tick": "UPDATE"}.items():
        dsn = tomllib.loads((folder / f"{name}.toml").read_text())["dsn"]
        login = psycopg.conninfo.conninfo_to_dict(dsn)
        assert (login["host"], login["dbname"], login["user"]) == ("store", "gaugebook", name)
        question = f"SELECT has_table_privilege('metrics.llm_requests', '{may}')"
        assert ask(question, user=name, password=str(login["password"])) == (True,), name
    password = (folder / "grafana_store_password").read_text()
    assert ask("SELECT count(*) FROM metrics.llm_requests_hourly", user="grafana", password=password) == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask("SELECT 1", user="tick", password=password)


def test_versions_of_the_image_are_those_of_the_lock(tmp_path):
    (line,) = (line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if "grep -v" in line)
    command = line.removeprefix("RUN ").replace("/tmp/constraints.txt", str(tmp_path / "constraints.txt")).rstrip("\\ ")
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True)
    lines = (tmp_path / "constraints.txt").read_text().splitlines()
    locked = re.findall(r"^[\w.-]+==[\w.+!-]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert [line.partition(" ")[0] for line in lines if "==" in line] == locked
    assert all("--hash" not in line and "\\" not in line for line in lines)
