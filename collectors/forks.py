"""Tells the objects that follow it that they are in a forked child now."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Follower(Protocol):
    """What a fork would break: locks, threads, connections, files that a child shares with its parent."""

    def after_fork(self) -> None:
        """Start anew in the child, and leave alone what the parent goes on using."""
        ...


_followers: weakref.WeakSet[Follower] = weakref.WeakSet()
_following = threading.Event()


def follow(follower: Follower) -> None:
    """Call `follower.after_fork` in every forked child, as long as something else refers to it."""
    _followers.add(follower)
    if not _following.is_set():
        _following.set()
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for follower in list(_followers):
        follower.after_fork()
