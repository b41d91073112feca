"""The schedule: what is made and written back when, read from `schedule.toml` and checked before anything runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines import jobs as write_back
from pipelines.delivery.wanted import KINDS, Delivery
from pipelines.notebooks import find
from pipelines.parameters import Parameter, Value, check, declared
from store.errors import FileUnusable, GaugebookError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
SLOT = re.compile(r"\{slot(?::([^{}]+))?\}")
SAMPLE = datetime(2026, 1, 31, 12, tzinfo=UTC)  # any slot: parameters are checked with it
GRACE = timedelta(hours=1)  # a slot that has been due for longer and is not made makes what there is stale
DEFAULT = Path(__file__).with_name("schedule.toml")

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Kind = Literal["report", "write"]
SetsFrom = Literal["teams", "projects", "providers", "models"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Entry(_Strict):
    report: str | None = None
    write: str | None = None
    cron: str
    parameters: dict[str, int | float | str | bool] = Field(default_factory=dict)
    sets: dict[Name, dict[str, int | float | str | bool]] = Field(default_factory=dict)
    sets_from: SetsFrom | None = None
    parallel: int | None = Field(None, ge=1, le=256)
    engine: Literal["here", "dask"] = "here"
    scheduler: str | None = Field(None, min_length=1)
    catch_up: Literal["latest", "all"] = "latest"
    retries: int = Field(2, ge=0, le=20)
    backoff_s: float = Field(60.0, ge=0, le=86400)
    limit_s: float = Field(1200.0, ge=1, le=86400)
    memory_mb: int | None = Field(None, ge=256)
    deliver: list[Delivery] = Field(default_factory=list)
    title: str | None = None


@dataclass(frozen=True)
class Job:
    """One report with one set of parameters, or one write-back job, on a schedule.

    `name` is that of its page, `entry` that of its table in the schedule. With `sets_from` it stands for as many jobs
    as the store has teams, say: `pipelines.sets.expanded` makes them.
    """

    name: str
    report: str
    cron: str
    parameters: Mapping[str, object]
    catch_up: Literal["latest", "all"] = "latest"
    retries: int = 2
    backoff_s: float = 60.0
    limit_s: float = 1200.0
    memory_mb: int | None = None
    deliver: tuple[Delivery, ...] = ()
    title: str | None = None
    kind: Kind = "report"
    entry: str = ""
    sets_from: SetsFrom | None = None
    parallel: int | None = None
    engine: Literal["here", "dask"] = "here"
    scheduler: str | None = None

    def given(self, slot: datetime) -> dict[str, object]:
        """The parameters for a slot.

        >>> job = Job("a", "a", "@daily", {"until": "{slot}", "day": "{slot:%Y-%m-%d}"})
        >>> job.given(datetime(2026, 5, 1, tzinfo=UTC))
        {'until': '2026-05-01T00:00:00+00:00', 'day': '2026-05-01'}
        """
        return {name: _filled(value, slot) if isinstance(value, str) else value for name, value in
                self.parameters.items()}  # fmt: skip

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots after one moment and not after another, the latest first.

        >>> job = Job("a", "a", "0 6 * * *", {})
        >>> [slot.day for slot in job.slots(datetime(2026, 5, 1, 6, tzinfo=UTC), datetime(2026, 5, 4, 5, tzinfo=UTC))]
        [3, 2]
        """
        from cronsim import CronSim

        minute = until.astimezone(UTC).replace(second=0, microsecond=0)
        for slot in CronSim(self.cron, minute + timedelta(minutes=1), reverse=True):
            if slot <= after:
                return
            yield slot

    def next(self, after: datetime) -> datetime:
        """The first slot after a moment."""
        return following(self.cron, after)

    def backoff(self, failed: int) -> timedelta:
        """How long to wait once a slot has failed so many times."""
        return timedelta(seconds=self.backoff_s * 2 ** (failed - 1))


def read(path: Path | None = None, *, notebooks: Path | None = None) -> tuple[Job, ...]:
    """The jobs of a schedule, in its order.

    Args:
        path: a file like `schedule.toml` beside this one, which is the default.
        notebooks: the folder that holds `reports/`, by default the project's.

    Raises:
        FileUnusable: it cannot be read, or an entry is wrong: names the entry, the key and what was expected.
    """
    path = path or DEFAULT
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(path, f"cannot be read as a schedule: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise FileUnusable(path, f"is not TOML: {error}") from error
    jobs: dict[str, Job] = {}
    for name, table in tables.items():
        try:
            made = _jobs(name, table, notebooks)
        except (ValueError, GaugebookError) as error:
            raise FileUnusable(path, f"[{name}] {error}") from error
        for job in made:
            if job.name in jobs:
                raise FileUnusable(path, f"[{name}] makes the page {job.name!r}, which another entry makes too")
            jobs[job.name] = job
    return tuple(jobs.values())


def named(jobs: Iterable[Job], name: str) -> Job | None:
    """The job of that name, if there is one."""
    return next((job for job in jobs if job.name == name), None)


def following(cron: str, after: datetime) -> datetime:
    """The first slot of a cron expression after a moment.

    >>> following("0 6 * * *", datetime(2026, 5, 1, 6, tzinfo=UTC)).isoformat()
    '2026-05-02T06:00:00+00:00'
    """
    from cronsim import CronSim

    return next(CronSim(cron, after.astimezone(UTC)))


def stale_after(cron: str, good: datetime) -> datetime:
    """When what was made for the slot `good` becomes stale: its next slot has then been due for an hour.

    >>> stale_after("0 6 * * *", datetime(2026, 5, 1, 6, tzinfo=UTC)).isoformat()
    '2026-05-02T07:00:00+00:00'
    """
    return following(cron, good) + GRACE


def _jobs(name: str, table: object, notebooks: Path | None) -> list[Job]:
    if not NAME.fullmatch(name) or name == "index":
        raise ValueError("cannot name a page; use a-z, 0-9, _ and -, and not index")
    try:
        entry = _Entry.model_validate(table)
    except ValidationError as error:
        raise ValueError(_reason(error)) from None
    _check_cron(entry.cron)
    _check_together(entry)
    report = entry.write or entry.report or name
    known = write_back.declared(report) if entry.write else declared(find(report, notebooks))
    sets = entry.sets or {"": {}}
    made = [_job(f"{name}-{which}" if which else name, name, entry, more) for which, more in sets.items()]
    for job in made:
        named = {entry.sets_from.removesuffix("s"): ""} if entry.sets_from else {}
        _checked(known, replace(job, parameters={**job.parameters, **named}), SAMPLE)
    return made


def _check_together(entry: _Entry) -> None:
    """Refuse keys that exclude each other."""
    if entry.write and entry.report:
        raise ValueError("write: stands in place of report; name one of them")
    if entry.write and entry.deliver:
        raise ValueError("deliver: a job that writes into the store has no page that could be delivered")
    if entry.sets and entry.sets_from:
        raise ValueError("sets_from: stands in place of sets; name one of them")
    if entry.scheduler and entry.engine != "dask":
        raise ValueError('scheduler: is the address of a cluster, and goes with engine = "dask"')


def _job(name: str, table: str, entry: _Entry, more: Mapping[str, object]) -> Job:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is too long for the name of a page")
    return Job(
        name=name,
        report=entry.write or entry.report or table,
        cron=entry.cron,
        parameters={**entry.parameters, **more},
        catch_up=entry.catch_up,
        retries=entry.retries,
        backoff_s=entry.backoff_s,
        limit_s=entry.limit_s,
        memory_mb=entry.memory_mb,
        deliver=tuple(entry.deliver),
        title=entry.title,
        kind="write" if entry.write else "report",
        entry=table,
        sets_from=entry.sets_from,
        parallel=entry.parallel,
        engine=entry.engine,
        scheduler=entry.scheduler,
    )


def _checked(known: Mapping[str, Parameter], job: Job, slot: datetime) -> dict[str, Value]:
    return check(known, job.given(slot))


def _check_cron(text: str) -> None:
    from cronsim import CronSim, CronSimError

    fields = len(text.split())
    if fields != 5:
        raise ValueError(f"cron: has five fields, as in '15 6 * * mon'; {text!r} has {fields}")
    try:
        next(CronSim(text, SAMPLE))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"cron: {text!r} is never due: {error or 'no such day'}") from None


def _filled(text: str, slot: datetime) -> str:
    return SLOT.sub(lambda match: slot.strftime(match[1]) if match[1] else slot.isoformat(), text)


def _reason(error: ValidationError) -> str:
    """The first fault, in words: which key, and what was expected."""
    first = error.errors()[0]
    place = [str(part) for nr, part in enumerate(first["loc"]) if nr != 2 or first["loc"][0] != "deliver"]
    place = [part for part in place if part not in KINDS]
    key = ".".join(place) or "the entry"
    if first["type"] == "secret" or isinstance(first["input"], dict):  # what may hold a secret is not repeated
        return f"{key}: {first['msg'].removeprefix('Value error, ')}"
    if first["type"] == "extra_forbidden":
        close = get_close_matches(place[-1], _Entry.model_fields, n=1)
        if place[0] == "deliver":
            return f"{key}: does not exist"
        return f"{key}: does not exist; " + (
            f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_Entry.model_fields)}"
        )
    return f"{key}: {first['msg'].removeprefix('Value error, ')}, not {first['input']!r}"[:400]
