"""Makes the teams, folders and permissions of a Grafana those of teams.toml, by its API.

    python teams.py --url https://grafana.example.com --token-file /run/secrets/grafana_token teams.toml

The token is of a service account with the role Admin. It needs nothing but Python 3.11. Run it again when the file
changes: what is as it should be stays untouched.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

LEVELS = {"view": 1, "edit": 2, "admin": 4}


class Refused(Exception):
    """What Grafana said to a request that it did not do."""


class Grafana:
    """The API of a Grafana."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token
        self.changes: list[str] = []

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer; None where there is no such thing."""
        request = urllib.request.Request(self._url + path, method=method)  # noqa: S310
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, None if body is None else json.dumps(body).encode(), 30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "GET":
                return None
            raise Refused(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:200]}") from error
        except urllib.error.URLError as error:
            raise Refused(f"{self._url} does not answer: {error.reason}") from error

    def team(self, name: str) -> int:
        """The id of a team, which is made if it is not there."""
        found = self.ask("GET", f"/api/teams/search?name={urllib.parse.quote(name)}")["teams"]
        for each in found:
            if each["name"] == name:
                return int(each["id"])
        self.changes.append(f"team {name}")
        return int(self.ask("POST", "/api/teams", {"name": name})["teamId"])

    def folder(self, uid: str, title: str) -> None:
        """A folder of this name."""
        if self.ask("GET", f"/api/folders/{uid}") is None:
            self.ask("POST", "/api/folders", {"uid": uid, "title": title})
            self.changes.append(f"folder {title}")

    def permissions(self, uid: str, wanted: dict[int, int]) -> None:
        """Let these teams, by their id, have these levels in a folder, and nobody else but administrators."""
        held = {
            (each.get("teamId", 0), each.get("userId", 0), each.get("role", "")): each["permission"]
            for each in self.ask("GET", f"/api/folders/{uid}/permissions")
            if not each.get("inherited") and each.get("role") != "Admin"
        }
        if held != {(team, 0, ""): level for team, level in wanted.items()}:
            items = [{"teamId": team, "permission": level} for team, level in wanted.items()]
            self.ask("POST", f"/api/folders/{uid}/permissions", {"items": items})
            self.changes.append(f"permissions of {uid}")

    def members(self, team: int, name: str, wanted: list[str]) -> None:
        """Let the users with these addresses be in a team, and nobody else."""
        held = {each["email"]: each["userId"] for each in self.ask("GET", f"/api/teams/{team}/members")}
        for address in sorted(set(wanted) - set(held)):
            users = self.ask("GET", "/api/org/users")
            known = [user["userId"] for user in users if address in (user["email"], user["login"])]
            if not known:
                print(f"{address} has never logged in and is not in {name} yet; run this again then", file=sys.stderr)
                continue
            self.ask("POST", f"/api/teams/{team}/members", {"userId": known[0]})
            self.changes.append(f"{address} into {name}")
        for address in sorted(set(held) - set(wanted)):
            self.ask("DELETE", f"/api/teams/{team}/members/{held[address]}")
            self.changes.append(f"{address} out of {name}")


def apply(grafana: Grafana, wanted: dict[str, Any]) -> None:
    """Make it so."""
    folders: dict[str, Any] = wanted["folders"]
    named = {name for folder in folders.values() for level in LEVELS for name in folder.get(level, [])}
    teams = {name: grafana.team(name) for name in sorted(named | set(wanted.get("members", {})))}
    for uid, folder in folders.items():
        grafana.folder(uid, folder["title"])
        levels = {teams[name]: LEVELS[level] for level in LEVELS for name in folder.get(level, [])}
        grafana.permissions(uid, levels)
    for name, members in wanted.get("members", {}).items():
        grafana.members(teams[name], name, members)


def main() -> int:
    """Read the arguments, make it so, and say what changed; 2 where Grafana refuses."""
    parser = argparse.ArgumentParser(description="Makes teams, folders and permissions of a Grafana those of a file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    given = parser.parse_args()
    grafana = Grafana(given.url, given.token_file.read_text().strip())
    try:
        apply(grafana, tomllib.loads(given.file.read_text()))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(grafana.changes) or "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
