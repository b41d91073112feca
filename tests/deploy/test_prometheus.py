"""The Prometheus files that an operator copies, by Prometheus' own tool and by its servers."""

from __future__ import annotations

import re
import shlex
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.certificates import Authority
from tests.deploy.site import DEPLOY, ports, site
from tests.fix_prometheus import prometheus_program, serving
from tests.servers import need

DOCS = Path(__file__).parents[2] / "docs/operations/prometheus.md"
COLLECTOR = Path(__file__).parents[2] / "collectors/rabbitmq"
RULES = sorted((DEPLOY / "rules").glob("*.yml"))
PASSWORD = "correct horse"
HASH = "$2b$04$T.yYzOZozNTbU7Cs6PPnHezKZ9jfP95f9ZxcbxNePYOK4jwJqm886"  # of it
LEVELS = (
    "instance|node|cluster|vhost|queue|model|gateway_model|team|team_model|team_project|budget|gateway|collector|job"
    "|mountpoint"
)


LONG = re.compile("-(hours|days)$")


@pytest.mark.parametrize(
    "check",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "config", "federation.yml"),
        *(("check", "rules", f"rules/{path.name}") for path in RULES),
        *(
            # Days and hours of evaluations take seconds each.
            pytest.param(
                ("test", "rules", f"tests/{path.name}"), marks=[pytest.mark.drill] * bool(LONG.search(path.stem))
            )
            for path in sorted((DEPLOY / "tests").glob("*.yml"))
        ),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(check: tuple[str, ...]) -> None:
    ended = promtool(*check)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_yml_with_remote_write(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "rules", tmp_path / "rules")
    parts = [(DEPLOY / name).read_text() for name in ("prometheus.yml", "remote_write.yml")]
    (tmp_path / "prometheus.yml").write_text("".join(parts))
    ended = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_what_is_recorded_is_called_level_metric_operation_and_is_in_the_manual(path: Path) -> None:
    rules = [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        if "record" in rule:
            assert re.fullmatch(rf"({LEVELS}):[a-z][a-z0-9_]+:[a-z][a-z0-9_]+", rule["record"])
            assert f"`{rule['record']}`" in DOCS.read_text()


def test_the_collector_serves_what_the_rules_take_of_it() -> None:
    served = "".join((COLLECTOR / name).read_text() for name in ("families.py", "expose.py"))
    taken = re.findall(r'(\w+)\{job="gaugebook-rabbitmq"', (DEPLOY / "rules/rabbitmq.yml").read_text())
    assert [name for name in taken if f'"{name}"' not in served] == []
    assert len(set(taken)) > 20


@pytest.mark.parametrize("major", [2, 3])
def test_the_command_line_keeps_30_days_and_bounds_the_disk(major: int, tmp_path: Path) -> None:
    (line,) = re.findall(r'^ARGS="(.*)"$', (DEPLOY / "prometheus.default").read_text(), re.MULTILINE)
    ours = ("--config.file", "--storage.tsdb.path", "--web.listen-address")
    flags = [flag for flag in shlex.split(line) if not flag.startswith(ours)]
    assert len(shlex.split(line)) == len(flags) + len(ours)
    with serving(prometheus_program(major), tmp_path, *flags) as server:
        running = server.client.get("/api/v1/status/runtimeinfo").json()["data"]["storageRetention"]
        assert running == "30d or 20GiB"


@pytest.mark.parametrize("major", [2, 3])
def test_web_yml_wants_tls_and_a_password(major: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, _ = authority.sign("prometheus")
    certificate.rename(tmp_path / "prometheus.crt")
    web = (DEPLOY / "web.yml").read_text()
    (tmp_path / "web.yml").write_text(web)
    assert promtool("check", "web-config", str(tmp_path / "web.yml")).returncode == 0
    (shipped,) = re.findall(r"\$2b\$\S+", web)
    (tmp_path / "web.yml").write_text(web.replace(shipped, HASH))
    context = ssl.create_default_context(cafile=str(authority.ca))
    with site(
        major,
        tmp_path,
        ports(),
        f"--web.config.file={tmp_path}/web.yml",
        scheme="https",
        verify=context,
        auth=("gaugebook", PASSWORD),
    ) as server:
        assert server.query("vector(1)")
        for auth in (None, ("gaugebook", "wrong")):
            with httpx2.Client(verify=context, auth=auth, trust_env=False) as client:
                assert client.get(f"{server.url}/api/v1/query?query=1").status_code == httpx2.codes.UNAUTHORIZED
        with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError):
            client.get(f"{server.url}/-/ready")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need("promtool", package="prometheus"), *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
