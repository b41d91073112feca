"""`gaugebook report serve`: read-only, this machine alone, nothing outside the folder."""

import http.client
import threading

import pytest

from pipelines import serve
from pipelines.index import write_index
from store.errors import GaugebookError
from store.settings import load


@pytest.fixture(scope="module")
def port(reports, walk):
    (reports.reports / ".secret.html").write_text("hidden")
    (reports.reports / "notes.txt").write_text("of no kind that is shown")
    (reports.reports / "out.html").symlink_to("/etc/hostname")
    with serve.server(reports, reports.reports, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"localhost:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_a_browser_reads_index_and_report(port, walk, browser):
    for path, plots in (("", 0), (f"history/{walk.notebook.stem}.html", 4)):
        visit = browser.open(f"http://127.0.0.1:{port}/{path}")
        assert (visit.plots, visit.failed, visit.console) == (plots, [], [])
        assert all(url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:")) for url in visit.requests)


def test_what_is_sent_is_safe(port, walk):
    answer, content = ask(port, "/walk.html")
    assert answer.status == 200
    assert content == walk.html.read_bytes()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for name, value in serve.HEADERS.items():
        assert answer.headers[name] == value
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"].strip() == "Gaugebook"
    answer, content = ask(port, f"/history/{walk.notebook.name}")
    assert answer.headers["Content-Disposition"] == "attachment"
    answer, content = ask(port, "/walk.html", "HEAD")
    assert (answer.status, content) == (200, b"")
    assert int(answer.headers["Content-Length"]) == walk.html.stat().st_size


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd", "/history/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/.secret.html",
        "/notes.txt", "/out.html", "/history/", "/history", "/assets/", "/walk.html%00.js", "/history/..%2f..%2fx.html", "/nothing.html", "/walk.html/",
    ],
)  # fmt: skip
def test_nothing_else_is_there(port, path):
    answer, content = ask(port, path)
    assert (answer.status, content) == (404, b"there is no such report\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_only_reads(port, method):
    assert ask(port, "/walk.html", method)[0].status == 501


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_name_that_leads_here_from_elsewhere_reads_nothing(port, host):
    answer, content = ask(port, "/", host=host)
    assert (answer.status, b"Reports" in content) == (421, False)


def test_it_listens_on_the_loopback_interface_alone(reports):
    with serve.server(reports, reports.reports, port=0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken(port, reports):
    with (
        pytest.raises(GaugebookError, match=f"port {port} of 127.0.0.1: .*in use; name another"),
        serve.server(reports, reports.reports, port=port),
    ):
        pass


def test_without_the_database_the_last_index_is_shown(reports, walk):
    written = write_index(reports, reports.reports).read_bytes()
    away = load(dsn="postgresql://nobody@127.0.0.1:1/none")
    with serve.server(away, reports.reports, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert ask(server.server_port, "/")[1] == written
        server.shutdown()
