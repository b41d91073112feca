"""Requests to services: the standard library's client, for it writes no address, which may be a secret, into a log."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from store.errors import DeliveryError

LIMIT_S = 30.0
MOST = 1 << 20  # bytes of an answer that are read


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoRedirect(HTTPRedirectHandler):
    """A signed body and a token are for the address that was named."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str) -> None:
        del req, fp, code, msg, headers, newurl


def post(url: str, body: bytes, headers: Mapping[str, str], *, limit_s: float = LIMIT_S) -> Answer:
    """The answer to a POST, whatever its status; redirects are not followed.

    Raises:
        DeliveryError: nobody answers, not in time, or without a certificate that is valid.
    """
    if not url.startswith(("https://", "http://")):
        raise DeliveryError("the address must begin with https:// or http://")
    try:
        request = Request(url, body, {"User-Agent": "Gaugebook", **headers}, method="POST")  # noqa: S310  # checked
        opener = build_opener(_NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
        with opener.open(request, timeout=limit_s) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read(MOST))
    except HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read(MOST))
    except URLError as error:
        raise DeliveryError(f"no connection: {error.reason}") from None
    except TimeoutError:
        raise DeliveryError(f"no answer within {limit_s:g} s") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(f"{type(error).__name__}: {error}") from None


def refused(answer: Answer) -> DeliveryError:
    """What an answer that is none of success means."""
    said = " ".join(answer.body[:200].decode("utf-8", "replace").split())
    wait = answer.headers.get("Retry-After")
    again = f"; it asks to wait {wait} s" if wait else ""
    return DeliveryError(f"it answers {answer.status}{f': {said}' if said else ''}{again}")
