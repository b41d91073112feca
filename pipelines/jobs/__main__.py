"""One run of a write-back job as a process of its own: it can be stopped, and gives back the memory that it took.

It reads what it is to do from stdin, a line of JSON, and ends when stdin does: with the process that started it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from datetime import datetime
from uuid import UUID

import psycopg

from pipelines.jobs import Asked, declared, job
from pipelines.jobs.keep import keep
from store.errors import GaugebookError
from store.settings import load


def main() -> int:
    """The exit code: 0 where all is written, 1 with one line on stderr where nothing is."""
    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if given["memory_mb"] is not None:
        # Memory that is written to, not addresses that are only set aside: Arrow sets aside gigabytes.
        most = given["memory_mb"] * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    name, values = given["job"], given["values"]
    asked = Asked(load(), UUID(given["run_id"]), datetime.fromisoformat(given["slot"]))
    try:
        found = job(name)(asked, **values)
        kept = keep(asked, found, keep_days=values.get("keep_days", declared(name)["keep_days"].default))
    except (GaugebookError, psycopg.Error) as error:
        print(str(error).strip().splitlines()[0], file=sys.stderr)
        return 1
    except MemoryError:
        print("it needs more memory", file=sys.stderr)
        return 1
    print(json.dumps({"rows": kept, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}))
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
