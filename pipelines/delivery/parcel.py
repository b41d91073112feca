"""What is delivered: a good run with its page, and on demand its pictures and its PDF."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from html import unescape
from pathlib import Path

from pipelines import prints
from pipelines.delivery.secret import Secrets
from pipelines.ledger import Run
from pipelines.pages import head


@dataclass
class Parcel:
    """A good run on its way to one place. `secrets` reads what the place asks for, and hides it in what is told."""

    run: Run
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def folder(self) -> Path:
        """The folder of reports."""
        return Path(self.run.output).parent

    @property
    def page(self) -> Path:
        """The page of this very run."""
        return self.folder / self.run.page

    @property
    def name(self) -> str:
        """The name of the page in its folder, such as `llm_cost.html`."""
        return Path(self.run.output).name

    @cached_property
    def title(self) -> str:
        """The title of the page."""
        return self._said(r"<title>(.*?)</title>") or self.run.report

    @cached_property
    def summary(self) -> str:
        """Its first sentence."""
        return self._said(r'name="description" content="(.*?)"')

    @property
    def subject(self) -> str:
        """One line: the title, and what it stands for."""
        when = self.run.slot if self.run.job else self.run.started_at
        return f"{self.title}, {when:%Y-%m-%d %H:%M} UTC"

    def link(self, base: str | None) -> str | None:
        """The address of the page, where the folder of reports is served at `base`."""
        return f"{base.rstrip('/')}/{self.name}" if base else None

    def key(self, place: str) -> str:
        """What tells this delivery from every other, and is the same when it is tried again."""
        return sha256(f"{self.run.run_id} {place}".encode()).hexdigest()[:32]

    def prints(self) -> prints.Prints:
        """Its PDF and the pictures of its charts.

        Raises:
            PrintError: they are not there and cannot be made.
        """
        return prints.prints(self.run)

    def _said(self, pattern: str) -> str:
        found = re.search(pattern, head(self.page), re.DOTALL)
        return " ".join(unescape(found[1]).split()) if found else ""
