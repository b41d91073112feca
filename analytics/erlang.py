"""Erlang's formula: how long chance alone makes messages wait for one of several consumers."""

from __future__ import annotations

from math import ceil

LARGE = 100_000  # busy consumers beyond which chance adds nothing that a target in seconds would notice


def waiting_s(arriving_per_s: float, per_consumer_per_s: float, consumers: int) -> float:
    """Mean seconds that a message waits in an M/M/c queue; infinite where it is overloaded.

    Source:
        A. K. Erlang, 1917; R. B. Cooper, *Introduction to Queueing Theory*, 1981, sections 3.3 and 3.4.

    >>> waiting_s(8.0, 10.0, 1), round(waiting_s(8.0, 5.0, 2), 4), waiting_s(8.0, 4.0, 2)
    (0.4, 0.3556, inf)
    """
    offered = arriving_per_s / per_consumer_per_s
    if offered >= consumers:
        return float("inf")
    blocked = 1.0
    for count in range(1, consumers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    wait = consumers * blocked / (consumers - offered * (1 - blocked))
    return wait / (consumers * per_consumer_per_s - arriving_per_s)


def servers(arriving_per_s: float, per_consumer_per_s: float, target_s: float) -> int:
    """The fewest consumers with which the mean wait is at most `target_s`.

    >>> servers(8.0, 10.0, 1.0), servers(8.0, 10.0, 0.1), servers(0.0, 1.0, 1.0)
    (1, 2, 1)
    """
    offered = arriving_per_s / per_consumer_per_s
    fewest = max(1, ceil(offered))
    if offered > LARGE:
        return fewest + 1
    while waiting_s(arriving_per_s, per_consumer_per_s, fewest) > target_s:
        fewest += 1
    return fewest
