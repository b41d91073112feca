"""Which names of models mean the same one: a call names an alias, an answer a dated snapshot, a bill a line item."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SNAPSHOT = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")


def family(name: str) -> str:
    """The name without the provider before it and the date after it.

    >>> family("gpt-4o-2024-08-06"), family("openai/gpt-4o"), family("claude-3-5-haiku-latest")
    ('gpt-4o', 'gpt-4o', 'claude-3-5-haiku')
    """
    return _SNAPSHOT.sub("", name.strip().lower().rpartition("/")[2])


def matched(metered: Iterable[str], reported: Iterable[str]) -> dict[str, str]:
    """For each name, the one under which both sides are compared.

    A family whose names are the same on both sides is compared name by name. Otherwise its names cannot be told apart:
    they are compared as a whole, under the one name that the provider has for it, else under that of the family.

    >>> matched(["gpt-4o", "o3"], ["gpt-4o-2024-08-06", "o3"])
    {'gpt-4o': 'gpt-4o-2024-08-06', 'gpt-4o-2024-08-06': 'gpt-4o-2024-08-06', 'o3': 'o3'}
    """
    ours, theirs = _families(metered), _families(reported)
    names: dict[str, str] = {}
    for key, mine in ours.items():
        other = theirs.get(key, [])
        same = not other or set(mine) <= set(other)
        label = other[0] if len(other) == 1 else key
        for name in (*mine, *other):
            names[name] = name if same else label
    for key, other in theirs.items():
        if key not in ours:
            names.update({name: name for name in other})
    return names


def _families(names: Iterable[str]) -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        families.setdefault(family(name), []).append(name)
    return families
