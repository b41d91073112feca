"""A report that was really made, for tests of what becomes of it, and a service that notes what it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines.index import write_index
from pipelines.ledger import Run
from pipelines.publish import Made, make_report
from store.embedded import EmbeddedServer
from store.settings import Settings, load
from tests.fix_postgres import fresh_database
from tests.pipelines.reports import NOTEBOOKS


@pytest.fixture(scope="session")
def reports(
    embedded_server: EmbeddedServer, embedded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A store, and a folder of reports to come."""
    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        yield load(dsn=dsn, reports=tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="session")
def walk(reports: Settings) -> Made:
    """A report with four charts and three tables, of a team with an awkward name."""
    made = make_report(reports, "walk", {"days": "40", "team": "<b>a&b</b>"}, notebooks=NOTEBOOKS)
    write_index(reports, reports.reports)
    return made


@pytest.fixture(scope="session")
def good_run(walk: Made) -> Run:
    """Its run."""
    return walk.run


@dataclass
class Asked:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """A web service on the loopback interface: `answers` makes an answer of each request, `asked` are those so far."""

    port: int
    answers: Callable[[Asked], tuple[int, bytes]] = lambda _asked: (200, b"{}")
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def service() -> Iterator[Service]:
    """A web service that answers 200 to everything, until it is told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            made.asked.append(asked)
            status, answer = made.answers(asked)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{made.url}/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Service(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()
