"""Asks a RabbitMQ broker's management API."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import httpx2
from httpx2 import codes

from store.errors import ParameterInvalid, SourceError

T = TypeVar("T")

# A full /api/queues takes twelve times as long as this at 10,000 queues.
QUEUE_COLUMNS = (
    "name,vhost,node,type,state,policy,durable,exclusive,auto_delete,messages,messages_ready,messages_unacknowledged,"
    "message_bytes,memory,consumers,consumer_utilisation,consumer_capacity,head_message_timestamp,"
    "message_stats.publish,message_stats.deliver_get,message_stats.ack,message_stats.redeliver"
)
NODE_COLUMNS = (
    "name,running,mem_used,mem_limit,mem_alarm,disk_free,disk_free_limit,disk_free_alarm,fd_used,fd_total,"
    "sockets_used,sockets_total,proc_used,proc_total,run_queue,uptime,partitions"
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the three endpoints said, as parsed JSON."""

    overview: dict[str, Any]
    nodes: list[dict[str, Any]]
    queues: list[dict[str, Any]]


class Management:
    """The management API at `url`, such as `http://user:password@host:15672`. The password is never shown.

    Raises:
        ParameterInvalid: `url` is not an http or https address.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        base, auth = split_credentials(url)
        self.where = base
        # No proxy and no .netrc: a broker is near, and its credentials are those of its address.
        self._client = httpx2.Client(base_url=base, auth=auth, timeout=timeout_s, trust_env=False)

    def ask(self) -> Answers:
        """One round of questions.

        Raises:
            SourceError: the broker does not answer, refuses the credentials or says something that is not JSON.
        """
        overview = self._get("/api/overview", dict)
        nodes = self._get(f"/api/nodes?columns={NODE_COLUMNS}", list)
        queues = self._get(f"/api/queues?columns={QUEUE_COLUMNS}", list)
        return Answers(overview, _objects(nodes), _objects(queues))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str, kind: type[T]) -> T:
        try:
            response = self._client.get(path)
        except httpx2.TimeoutException as error:
            raise SourceError(self.where, "does not answer in time") from error
        except httpx2.HTTPError as error:
            raise SourceError(self.where, f"does not answer: {error}") from error
        if response.status_code == codes.UNAUTHORIZED:
            raise SourceError(
                self.where, "refuses the user name or the password; the user also needs the tag 'monitoring'"
            )
        if response.status_code != codes.OK:
            raise SourceError(self.where, f"answers {path.partition('?')[0]} with status {response.status_code}")
        try:
            body = response.json()
        except ValueError as error:
            raise SourceError(self.where, "does not answer with JSON. Is it the management API?") from error
        if not isinstance(body, kind):
            raise SourceError(
                self.where, f"answers {path.partition('?')[0]} with a {type(body).__name__}, not a {kind.__name__}"
            )
        return body


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """The address without its credentials, and the credentials.

    Raises:
        ParameterInvalid: `url` is not an http or https address.

    >>> split_credentials("http://me:p%40ss@broker:15672/")
    ('http://broker:15672', ('me', 'p@ss'))
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ParameterInvalid(
            "url", "must look like http://user:password@host:15672, special characters percent-encoded"
        )
    if ":" in host:
        host = f"[{host}]"
    base = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
    auth = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return base, auth


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]
