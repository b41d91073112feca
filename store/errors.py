"""Every error a user can meet.

GaugebookError
├── InputError                what was given cannot be used
│   ├── ColumnMissing         a frame or a file lacks a column
│   ├── NoRows                nothing to work on
│   │   └── NoneYet           nothing of a kind that somebody has to make first
│   ├── TooShort              there are rows, and too few of them
│   ├── UnknownName           a name that is not one of those there are
│   ├── FileUnusable          a file cannot be read as what it should be
│   ├── PackageMissing        what was asked for needs a package that is not installed
│   └── ParameterInvalid      a parameter of a query or a notebook does not exist or has the wrong type
├── SettingsError             a key or value of the configuration is wrong
├── StoreError                the database said no
│   ├── Unreachable           it did not answer, or refused the credentials
│   │   └── Untrusted         TLS failed: it is not who it should be, or one of the two wants no plain connection
│   ├── SqlRefused            it cannot make sense of a statement, or not carry it out
│   ├── EmbeddedServerError   the embedded server cannot be installed, started or stopped
│   ├── BackupError           a backup cannot be taken, used or trusted
│   └── MigrationError        the schema cannot be brought up to date
│       ├── MigrationChanged  a file that was applied has been edited since
│       └── SchemaNewer       the database was migrated by a newer release
├── SpoolError                rows cannot be kept on local disk
│   └── SpoolFull             there is no room for them
├── SourceError               a system that is collected from did not answer as it should
│   └── QueryRefused          it cannot make sense of a query, or not carry it out
├── WriteBackError            a job of the schedule could not write what it found
└── ReportError               a report could not be made
    ├── PrintError            its PDF or the pictures of its charts could not be made
    └── DeliveryError         it could not be brought to where it is to go
        └── DeliveryRefused   and trying again is of no use
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

SourceKind = Literal["down", "denied", "slow", "wrong"]


class GaugebookError(Exception):
    """Base of all our errors: catch this one to catch them all."""


class InputError(GaugebookError):
    """What was given cannot be used."""


class ColumnMissing(InputError):
    """A frame or file lacks a column. `name` is the column, `present` what is there."""

    def __init__(self, name: str, present: Iterable[str]) -> None:
        present = tuple(present)
        super().__init__(name, present)
        self.name, self.present = name, present

    def __str__(self) -> str:
        return f"no column {self.name!r}: {_hint(self.name, self.present)}"


class NoRows(InputError):
    """Nothing to work on. `what` names the empty input."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} has no rows. Is the collector running? `gaugebook doctor` shows the last sample of each."


class NoneYet(NoRows):
    """Nothing of a kind is on record yet. `what` names it, `advice` says how it comes about."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.args = (what, advice)
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what[:1].upper()}{self.what[1:]} yet: {self.advice}"


class TooShort(InputError):
    """There are rows, and too few of them. `what` names the input, `reason` says what cannot be told from it."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def __str__(self) -> str:
        return f"{self.what} is too short: {self.reason}"


class UnknownName(InputError):
    """`name` is not one of `known`; `kind` says what it should name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(kind, name, known)
        self.kind, self.name, self.known = kind, name, known

    def __str__(self) -> str:
        return f"no {self.kind} {self.name!r}: {_hint(self.name, self.known)}"


class FileUnusable(InputError):
    """A file cannot be read as what it should be. `path` and `reason` say which and why."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class PackageMissing(InputError):
    """`what` was asked for needs `package`, which is not installed; `extra` of ours brings it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(what, package, extra)
        self.what, self.package, self.extra = what, package, extra

    def __str__(self) -> str:
        return f"{self.what} needs the package {self.package}, which is missing: pip install 'gaugebook[{self.extra}]'"


class ParameterInvalid(InputError):
    """A parameter does not exist or its value does not fit. `name` and `reason` say which and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"parameter {self.name!r}: {self.reason}"


class SettingsError(GaugebookError):
    """A key or value of the configuration is wrong. `key`, where it was found (`source`) and `reason`."""

    def __init__(self, key: str, source: str, reason: str) -> None:
        super().__init__(key, source, reason)
        self.key, self.source, self.reason = key, source, reason

    def __str__(self) -> str:
        return f"setting {self.key!r} ({self.source}): {self.reason}"


class StoreError(GaugebookError):
    """The database said no."""


class Unreachable(StoreError):
    """The database did not answer, or refused the credentials. `where` never holds a password."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        advice = "Check GAUGEBOOK_DSN, or unset it to use the embedded server."
        return f"cannot reach the database at {self.where}: {self.reason}. {advice}"


class Untrusted(Unreachable):
    """TLS failed: the server is not who it should be, or one of the two wants no plain connection."""

    def __str__(self) -> str:
        advice = "The DSN needs sslmode=verify-full, sslrootcert=FILE of its CA, and a host that its certificate names."
        return f"no trusted connection to the database at {self.where}: {self.reason}. {advice}"


class SqlRefused(StoreError):
    """The database refuses a statement. `reason`, and `shown`: the statement with the place of the fault, or empty."""

    def __init__(self, reason: str, shown: str = "") -> None:
        super().__init__(reason, shown)
        self.reason, self.shown = reason, shown

    def __str__(self) -> str:
        return f"{self.reason}\n{self.shown}" if self.shown else self.reason


class EmbeddedServerError(StoreError):
    """The embedded server cannot be installed, started or stopped. `folder` is its data, `reason` why."""

    def __init__(self, folder: object, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder, self.reason = folder, reason

    def __str__(self) -> str:
        return f"the embedded server in {self.folder}: {self.reason}"


class BackupError(StoreError):
    """A backup cannot be taken, used or trusted. `what` is the backup, folder or moment, `reason` why."""

    def __init__(self, what: object, reason: str) -> None:
        super().__init__(what, reason)
        self.what, self.reason = what, reason

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


class MigrationError(StoreError):
    """The schema cannot be brought up to date. `file` is the migration, `reason` why."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"migration {self.file}: {self.reason}"


class MigrationChanged(MigrationError):
    """A file that was applied has been edited since."""

    def __init__(self, file: str) -> None:
        MigrationError.__init__(
            self, file, "was applied and has been edited since; restore it and put the change into a new file"
        )
        self.args = (file,)


class SchemaNewer(MigrationError):
    """The database was migrated by a newer release. `file` is the newest migration that is not known here."""

    def __init__(self, file: str) -> None:
        MigrationError.__init__(
            self,
            file,
            "is in the database and unknown here: the database is newer than this release. Upgrade gaugebook",
        )
        self.args = (file,)


class SpoolError(GaugebookError):
    """Rows cannot be kept on local disk. `folder` and `reason` say where and why."""

    def __init__(self, folder: object, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder, self.reason = folder, reason

    def __str__(self) -> str:
        return f"the spool in {self.folder}: {self.reason}; set GAUGEBOOK_SPOOL to a folder of your own with room"


class SpoolFull(SpoolError):
    """There is no room for more rows."""


class SourceError(GaugebookError):
    """A system that is collected from did not answer as it should. `where` and `reason`.

    `kind` tells causes apart: `down` (nobody answers, or TLS fails), `denied` (these credentials, or this user's
    rights, are not enough), `slow` (no answer in time) and `wrong` (an answer that makes no sense).
    """

    def __init__(self, where: str, reason: str, kind: SourceKind = "wrong") -> None:
        super().__init__(where, reason, kind)
        self.where, self.reason, self.kind = where, reason, kind

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class QueryRefused(SourceError):
    """A server refuses a query. `query`, `reason`, and `shown`: the query with the place of the fault marked."""

    def __init__(self, where: str, query: str, reason: str, shown: str) -> None:
        SourceError.__init__(self, where, reason)
        self.args = (where, query, reason, shown)
        self.query, self.shown = query, shown

    def __str__(self) -> str:
        return f"{self.where} refuses the query: {self.reason}\n{self.shown}"


class WriteBackError(GaugebookError):
    """A write-back job could not be done. `job` and `reason`."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(job, reason)
        self.job, self.reason = job, reason

    def __str__(self) -> str:
        return f"write-back job {self.job!r}: {self.reason}"


class ReportError(GaugebookError):
    """A report could not be made. `report` and `reason`."""

    def __init__(self, report: str, reason: str) -> None:
        super().__init__(report, reason)
        self.report, self.reason = report, reason

    def __str__(self) -> str:
        return f"report {self.report!r}: {self.reason}"


class PrintError(ReportError):
    """The PDF of a report or the pictures of its charts could not be made. `reason` says why and what to do."""

    def __init__(self, reason: str) -> None:
        ReportError.__init__(self, "", reason)
        self.args = (reason,)

    def __str__(self) -> str:
        return self.reason


class DeliveryError(ReportError):
    """A report could not be brought to where it is to go. `reason` says why."""

    def __init__(self, reason: str) -> None:
        ReportError.__init__(self, "", reason)
        self.args = (reason,)

    def __str__(self) -> str:
        return self.reason


class DeliveryRefused(DeliveryError):
    """It never will be: trying again is of no use."""


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, known)) or 'none'}"
