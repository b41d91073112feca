"""Where calls go: an address and the format that is spoken there."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from collectors.llm.formats import find
from collectors.llm.formats.base import Format


class Target(NamedTuple):
    """An address that takes LLM calls. `netloc`: `host[:port]`; `path`: without the query; `form`: what it speaks."""

    scheme: str
    netloc: str
    path: str
    form: Format

    @property
    def url(self) -> str:
        """The address without its query."""
        return f"{self.scheme}://{self.netloc}{self.path}"


@lru_cache(maxsize=2048)  # asked for every request of the process
def target(scheme: str, netloc: str, path: str) -> Target | None:
    """The target of a POST to this address (`path` without the query); None for what is no LLM call.

    >>> target("https", "api.openai.com", "/v1/chat/completions").form.name
    'openai.chat'
    >>> target("https", "example.org", "/login")
    """
    form = find(host(netloc), path)
    return None if form is None else Target(scheme, netloc, path, form)


def host(netloc: str) -> str:
    """A `host[:port]` without its port.

    >>> host("localhost:8000"), host("[::1]:8000")
    ('localhost', '[::1]')
    """
    return netloc.rpartition("]")[0] + "]" if netloc.startswith("[") else netloc.partition(":")[0]
