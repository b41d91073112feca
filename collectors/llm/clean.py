"""Makes strings that came over the network fit for the database and for labels."""

from __future__ import annotations

import re

LONGEST = 200
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")


def name(value: object) -> str | None:
    r"""A printable string of at most 200 characters, or None where `value` is no string or nothing is left of it.

    PostgreSQL refuses NUL and lone surrogates, and one such row would spoil its batch.

    >>> name("gpt-4o\x00"), name("\ud800"), name(7)
    ('gpt-4o', None, None)
    """
    if not isinstance(value, str):
        return None
    if len(value) > LONGEST or not (value.isascii() and value.isprintable()):
        value = "".join(c for c in value[:LONGEST] if c.isprintable())
    return value.strip() or None


def identifier(value: object) -> str | None:
    """`value` if it is a short code such as `rate_limit_exceeded`, else None: free text may quote a prompt.

    >>> identifier("rate_limit_exceeded"), identifier("You said: hello")
    ('rate_limit_exceeded', None)
    """
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None
