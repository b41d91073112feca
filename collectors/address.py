"""An address with credentials in it, taken apart: what is shown and logged has none."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from store.errors import ParameterInvalid


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
