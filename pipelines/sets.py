"""Sets of parameters that nobody types: one for each team, project, provider or model that the store knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace

import psycopg

from pipelines import ledger
from pipelines.schedule import Job

DAYS = 35  # who has made no request for longer gets no new page
MOST = 500  # sets of one entry: names come from clients, and each makes a page


def expanded(connection: psycopg.Connection, jobs: Iterable[Job]) -> tuple[Job, ...]:
    """The jobs, with one for each set in place of those that take their sets from the store.

    Raises:
        StoreError: the schema is missing.
    """
    known: dict[str, list[str]] = {}
    made: list[Job] = []
    for job in jobs:
        if job.sets_from is None:
            made.append(job)
            continue
        dimension = job.sets_from.removesuffix("s")
        if dimension not in known:
            asked = {"dimension": dimension, "days": DAYS, "most": MOST}
            known[dimension] = [name for (name,) in ledger.execute(connection, "schedule_sets", asked)]
        for name in known[dimension]:
            given = {**job.parameters, dimension: name}
            title = f"{job.title}: {name}" if job.title else None
            made.append(replace(job, name=page(job.name, name), parameters=given, sets_from=None, title=title))
    return tuple({job.name: job for job in made}.values())


def page(entry: str, name: str) -> str:
    """The name of a page for a set; what cannot stand in one is left out, and a hash of the whole tells it apart.

    >>> page("teams", "search"), page("teams", "Team Ä")
    ('teams-search', 'teams-team-f9dd56')
    """
    slug = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")
    room = 64 - len(entry) - 1
    if slug != name or len(slug) > room:
        slug = "-".join(filter(None, (slug[: room - 7].strip("-"), hashlib.sha256(name.encode()).hexdigest()[:6])))
    return f"{entry}-{slug}"
