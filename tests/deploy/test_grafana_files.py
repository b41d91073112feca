"""What an operator copies for Grafana: its files hold together, hold no secret, and teams.py makes an API so."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.dashboards.lint import SOURCES

FOLDER = Path(__file__).parents[2] / "deploy/grafana"
FILES = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".yml", ".ini", ".toml"))
SECRET = re.compile(
    r"(?i)^[\s;#-]*(\w*(?:password|secret|token|key|url)\w*)\s*[:=]\s*(.+?)\s*(?:[#;].*)?$", re.MULTILINE
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_stands_in_a_file(path: Path) -> None:
    for name, value in SECRET.findall(path.read_text()):
        if not re.search("(?i)api_url|auth_url|root_url|token_url|attribute|refresh", name):
            assert value.strip("\"'").startswith("$"), f"{name} = {value}"


def test_there_is_a_data_source_for_each_variable_of_the_dashboards() -> None:
    given = yaml.safe_load((FOLDER / "provisioning/datasources/gaugebook.yml").read_text())["datasources"]
    assert set(SOURCES.values()) <= {source["type"] for source in given}
    assert len({source["uid"] for source in given}) == len(given)
    stores = [source for source in given if source["type"] == "grafana-postgresql-datasource"]
    assert all(source["jsonData"]["sslmode"] == "verify-full" for source in stores)
    assert not any(source["editable"] for source in given)


def test_the_folder_of_the_provider_is_the_one_that_teams_have_rights_in() -> None:
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/gaugebook.yml").read_text())["providers"]
    teams = tomllib.loads((FOLDER / "teams.toml").read_text())
    assert teams["folders"][provider["folderUid"]]["title"] == provider["folder"]
    assert provider["allowUiUpdates"] is False


def test_every_policy_leads_to_a_contact_point() -> None:
    given = yaml.safe_load((FOLDER / "provisioning/alerting/contact_points.yml").read_text())
    points = {point["name"] for point in given["contactPoints"]}
    (policy,) = given["policies"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} <= points
    kinds = {receiver["type"] for point in given["contactPoints"] for receiver in point["receivers"]}
    assert kinds == {"pagerduty", "slack", "email"}


def test_nobody_gets_in_without_a_group() -> None:
    ini = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    ini.read(FOLDER / "grafana.ini")
    assert ini["auth.anonymous"]["enabled"] == "false"
    assert ini["users"]["allow_sign_up"] == "false"
    assert ini["auth.generic_oauth"]["role_attribute_strict"] == "true"
    groups = set(re.findall(r"groups\[\*\], '([\w-]+)'\) && '(\w+)'", ini["auth.generic_oauth"]["role_attribute_path"]))
    (server,) = tomllib.loads((FOLDER / "ldap.toml").read_text())["servers"]
    assert groups == {(each["group_dn"], each["org_role"]) for each in server["group_mappings"]}
    assert server["ssl_skip_verify"] is False


class Api:
    """The part of Grafana's API that teams.py speaks to, as its documentation has it."""

    def __init__(self) -> None:
        self.teams: dict[int, str] = {}
        self.members: dict[int, list[int]] = {}
        self.folders: dict[str, str] = {}
        self.permissions: dict[str, list[dict[str, Any]]] = {}
        self.users = {7: "ann@example.com", 8: "eve@example.com"}
        self.changes = 0

    def answer(self, method: str, path: str, query: str, body: Any) -> tuple[int, Any]:
        self.changes += method != "GET"
        for pattern, do in (
            (r"/api/teams/search", self._search),
            (r"/api/teams", self._team),
            (r"/api/org/users", self._users),
            (r"/api/folders(?:/(\w+))?", self._folder),
            (r"/api/folders/(\w+)/permissions", self._permissions),
            (r"/api/teams/(\d+)/members(?:/(\d+))?", self._members),
        ):
            if found := re.fullmatch(pattern, path):
                return do(method, query, body, *found.groups())
        return 500, {"message": f"{method} {path}"}

    def _search(self, _method: str, query: str, _body: Any) -> tuple[int, Any]:
        name = query.removeprefix("name=")
        return 200, {"teams": [{"id": id_, "name": each} for id_, each in self.teams.items() if name in each]}

    def _team(self, _method: str, _query: str, body: Any) -> tuple[int, Any]:
        number = len(self.teams) + 1
        self.teams[number], self.members[number] = body["name"], []
        return 200, {"teamId": number}

    def _users(self, *_: Any) -> tuple[int, Any]:
        return 200, [{"userId": id_, "email": mail, "login": mail} for id_, mail in self.users.items()]

    def _folder(self, method: str, _query: str, body: Any, uid: str | None) -> tuple[int, Any]:
        if method == "POST":
            self.folders[body["uid"]] = body["title"]
            # What Grafana grants in a new folder: its two roles.
            self.permissions[body["uid"]] = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
        return (200, {}) if method == "POST" or uid in self.folders else (404, {"message": "folder not found"})

    def _permissions(self, method: str, _query: str, body: Any, uid: str) -> tuple[int, Any]:
        if method == "POST":
            self.permissions[uid] = body["items"]
        return 200, self.permissions[uid]

    def _members(self, method: str, _query: str, body: Any, team: str, user: str | None) -> tuple[int, Any]:
        members = self.members[int(team)]
        if method == "POST":
            members.append(body["userId"])
        elif method == "DELETE":
            members.remove(int(user or 0))
        return 200, [{"userId": id_, "email": self.users[id_]} for id_ in members]


@contextmanager
def served(api: Api) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path, _, query = self.path.partition("?")
            right = self.headers["authorization"] == "Bearer glsa_test"
            status, answer = (
                api.answer(self.command, path, query, body) if right else (401, {"message": "Unauthorized"})
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = _do

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def run(url: str, token: Path, file: Path = FOLDER / "teams.toml") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "teams.py"), "--url", url, "--token-file", str(token), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("glsa_test\n")
    return path


def test_teams_are_made_so_and_the_second_time_nothing_is_to_do(token: Path) -> None:
    api = Api()
    with served(api) as url:
        first = run(url, token)
        assert (first.returncode, first.stderr) == (0, "")
        ids = {name: id_ for id_, name in api.teams.items()}
        held = {(each["teamId"], each["permission"]) for each in api.permissions["gaugebook"]}
        wanted = {("payments", 1), ("search", 1), ("operations", 2), ("operations-leads", 4)}
        assert held == {(ids[name], level) for name, level in wanted}
        assert api.members[ids["operations"]] == [7]
        changes = api.changes
        assert run(url, token).stdout == "nothing to change\n"
        assert api.changes == changes


def test_who_is_not_named_any_more_goes_and_who_never_came_is_told(token: Path, tmp_path: Path) -> None:
    api = Api()
    with served(api) as url:
        run(url, token)
        (operations,) = [id_ for id_, name in api.teams.items() if name == "operations"]
        api.members[operations].append(8)
        file = tmp_path / "teams.toml"
        file.write_text(
            (FOLDER / "teams.toml").read_text().replace('operations = ["ann', 'operations = ["new@x.org", "ann')
        )
        told = run(url, token, file)
    assert "eve@example.com out of operations" in told.stdout
    assert "new@x.org has never logged in" in told.stderr
    assert api.members[operations] == [7]


def test_a_refusal_is_one_line(token: Path) -> None:
    token.write_text("wrong")
    with served(Api()) as url:
        told = run(url, token)
    assert (told.returncode, told.stdout) == (2, "")
    assert "401" in told.stderr
    assert run("http://127.0.0.1:9", token).returncode == 2
