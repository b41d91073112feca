"""A folder of reports on the loopback interface: to be read, by this machine alone, with the index from the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from pipelines.index import index_page
from pipelines.pages import usable, write_assets
from store.errors import GaugebookError
from store.settings import Settings

ADDRESS = "127.0.0.1"
PORT = 8790
# What a folder of reports holds. No name begins with a dot, so no way leads out of it or to a file half written.
SHOWN = re.compile(
    r"(?:assets/|history/(?:[\w-][\w.-]*/)?)?[\w-][\w.-]*\.(html|js|ipynb|csv|parquet|pdf|png)", re.ASCII
)
KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "ipynb": "application/x-ipynb+json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LIMIT_S = 30  # for one request to arrive


@contextmanager
def server(settings: Settings, folder: Path, *, port: int = PORT) -> Iterator[ThreadingHTTPServer]:
    """A server of a folder of reports; `serve_forever` answers, and `server_port` says where. Port 0: any free one.

    Raises:
        FileUnusable: the folder is not there and cannot be made.
        GaugebookError: the port is taken.
    """
    folder = usable(folder)
    write_assets(folder / "assets")
    try:
        made = ThreadingHTTPServer((ADDRESS, port), partial(_Handler, settings, folder))
    except OSError as error:
        raise GaugebookError(f"port {port} of {ADDRESS}: {error.strerror}; name another with --port") from error
    with made:
        yield made


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Gaugebook"
    sys_version = ""
    timeout = LIMIT_S

    def __init__(self, settings: Settings, folder: Path, *given: object) -> None:
        self._settings, self._folder = settings, folder
        super().__init__(*given)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_given: object) -> None:
        """Nothing is logged: it is for one person's own eyes."""

    def _answer(self) -> None:
        # A page elsewhere that has its name lead here must read nothing.
        if not _ours(self.headers.get("Host", "")):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "this server is for localhost alone")
            return
        path = unquote(urlsplit(self.path).path).removeprefix("/")
        if path in ("", "index.html"):
            self._index()
            return
        file = self._folder / path
        kind = SHOWN.fullmatch(path)
        # A link in the folder may lead out of it.
        if kind is None or not file.is_file() or not file.resolve().is_relative_to(self._folder):
            self._say(HTTPStatus.NOT_FOUND, "there is no such report")
            return
        self._send(HTTPStatus.OK, KINDS[kind[1]], file.read_bytes(), download=kind[1] in ("ipynb", "csv", "parquet"))

    def _index(self) -> None:
        try:
            page = index_page(self._settings, self._folder).encode()
        except (GaugebookError, psycopg.Error):  # the last one that was written is better than none
            written = self._folder / "index.html"
            if not written.is_file():
                self._say(HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer, and no index has been written")
                return
            page = written.read_bytes()
        self._send(HTTPStatus.OK, KINDS["html"], page)

    def _say(self, status: HTTPStatus, words: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{words}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes, *, download: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            if name != "Content-Security-Policy" or kind != KINDS["pdf"]:  # the browser's viewer is a page of its own
                self.send_header(name, value)
        if download:
            self.send_header("Content-Disposition", "attachment")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _ours(host: str) -> bool:
    """Whether a Host header names the loopback interface.

    >>> _ours("localhost:8790"), _ours("127.0.0.1"), _ours("evil.example:8790")
    (True, True, False)
    """
    return re.sub(r":\d+$", "", host) in ("localhost", "127.0.0.1", "[::1]")
