"""The guard: asks the ledger before each call, and says what happens where it cannot be asked."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from collectors import forks
from collectors.llm.budget.announce import Announcement, Webhooks
from collectors.llm.budget.call import Ask, Lease, Refusal
from collectors.llm.budget.ledger import Ledger, NoLedger, Reserved, Settled, Standing
from collectors.llm.budget.settler import Settler
from collectors.llm.budget.worst import Worst, worst
from store.settings import Settings

log = logging.getLogger(__name__)

FREE_S = 5.0  # for how long a call that no budget counts is not asked for again
MOST_FREE = 10_000
AWAY_S = 5.0  # for how long nobody asks a ledger that did not answer
LOOK_S = 10.0
EXIT_S = 3.0

_Scope = tuple[str, str, str, str | None]


class Budgets:
    """Reserves calls before they are sent and settles them when they have ended.

    One per process. Threads may share it; a forked child goes on with it under connections of its own. Neither method
    raises.

    Args:
        settings: name the database, and say with `llm_budgets` what happens where it cannot be reached.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._on = settings.llm_budgets != "off"
        self._ledger = Ledger(settings)
        self._webhooks = Webhooks()
        self._settler = Settler(
            self._ledger,
            settled=self._after,
            look=self._look,
            every_s=min(LOOK_S, settings.llm_lease_s / 2),
        )
        self.after_fork()
        forks.follow(self)
        atexit.register(self.close)

    def reserve(self, ask: Ask) -> Lease | Refusal | None:
        """Reserve the worst case of a call in every budget that counts it; waits for one round trip.

        Returns:
            A lease, which is to be settled when the call has ended, however it ends. A refusal: the call must not be
            sent. None: no budget counts it, or the settings let it go uncounted.
        """
        scope: _Scope = (ask.team, ask.project, ask.model, ask.key)
        if not self._on or self._free.get(scope, 0.0) > time.monotonic():
            return None
        try:
            at_worst = worst(ask, unsaid=self._settings.llm_max_output_tokens, fit=self._settings.llm_fit_max_tokens)
            lease_id, said = self._asked(scope, at_worst)
        except Exception as error:  # noqa: BLE001 - whatever it is, the switch says what becomes of the call
            return self._without_ledger(error)
        self._back()
        if at_worst is None:
            return self._unpriced(ask, said)
        if said.outcome == "refused":
            return self._refused(ask, at_worst, said)
        if said.granted_usd is None:
            self._remember_free(scope)
            return None
        self._hear(said.standings())
        self._settler.start()
        if said.stale:
            self._settler.look()
        self.counts["reserved"] += 1
        return Lease(lease_id, said.granted_usd, tuple(said.names or ()), at_worst.fitting(said.granted_usd))

    def settle(self, lease: Lease, cost_usd: Decimal | None) -> None:
        """Book what a call has cost; None: nobody knows, and its worst case stays booked. Returns at once.

        A call that was not carried out has cost nothing: `Decimal(0)`.
        """
        if cost_usd is not None and not (cost_usd.is_finite() and cost_usd >= 0):
            cost_usd = None
        if cost_usd is not None and cost_usd > lease.amount_usd:
            self.counts["overrun"] += 1
            log.warning(
                "a call cost $%s, and no more than $%s was reserved for it: budget %s is booked over what it allowed",
                f"{cost_usd:f}", f"{lease.amount_usd:f}", ", ".join(map(repr, lease.budgets)),
            )  # fmt: skip
        self._settler.put(lease.lease_id, cost_usd)
        self._settler.start()

    def left(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What is left (USD) and the limit (USD) of each budget that this process has met. Asks nobody."""
        now = datetime.now(UTC)
        return {
            name: (one.limit_usd if one.resets_at <= now else max(Decimal(0), one.left_usd), one.limit_usd)
            for name, one in tuple(self._standings.items())
        }

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all calls that have been settled are booked; False when `timeout_s` passes first."""
        return self._settler.flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Book what is left for at most `timeout_s`, and end. What is not booked by then expires at its worst case."""
        atexit.unregister(self.close)
        self._on = False
        if left := self._settler.close(timeout_s):
            log.warning("%d calls could not be settled, and will be booked at their worst case", left)
        self._webhooks.wait(timeout_s)
        self._ledger.close()

    def after_fork(self) -> None:
        self.counts: Counter[str] = Counter()  # reserved, refused, unguarded, unpriced, overrun
        self._free: dict[_Scope, float] = {}
        self._standings: dict[str, Standing] = {}
        self._told: set[tuple[str, datetime]] = set()
        self._away_until = 0.0
        self._away = False
        self._turning = threading.Lock()

    def _asked(self, scope: _Scope, at_worst: Worst | None) -> tuple[UUID, Reserved]:
        with self._turning:
            now = time.monotonic()
            if now < self._away_until:
                raise NoLedger("it did not answer a moment ago", away=False)
            if self._away:
                self._away_until = now + AWAY_S  # one call tries, and the others do not wait with it
        most, least = (None, None) if at_worst is None else (at_worst.most_usd, at_worst.least_usd)
        tries = 2
        while True:
            tries -= 1
            lease_id = uuid4()
            try:
                return lease_id, self._ledger.reserve(lease_id, scope, most, least, self._settings.llm_lease_s)
            except NoLedger as error:
                if error.sent:  # it may be reserved for all we know
                    self._settler.put(lease_id, Decimal(0))
                    self._settler.start()
                if not (error.again and tries):
                    raise

    def _without_ledger(self, error: Exception) -> Refusal | None:
        closed = self._settings.llm_budgets == "fail_closed"
        if not isinstance(error, NoLedger):
            log.warning("the guard of budgets stumbled", exc_info=error)
        elif error.away:
            with self._turning:
                turns, self._away = not self._away, True
                self._away_until = time.monotonic() + AWAY_S
            if turns:
                log.warning(
                    "the ledger of budgets cannot be reached, and calls are %s (llm_budgets is %s): %s",
                    "refused" if closed else "sent without it", self._settings.llm_budgets, error,
                )  # fmt: skip
        if not closed:
            self.counts["unguarded"] += 1
            return None
        self.counts["refused"] += 1
        soon = datetime.now(UTC) + timedelta(seconds=AWAY_S)
        return Refusal("", Decimal(0), Decimal(0), soon, why="no_ledger")

    def _back(self) -> None:
        if self._away:
            with self._turning:
                turns, self._away = self._away, False
                self._away_until = 0.0
            if turns:
                log.warning("the ledger of budgets answers again")

    def _unpriced(self, ask: Ask, said: Reserved) -> Refusal | None:
        if said.outcome == "none":
            self._remember_free((ask.team, ask.project, ask.model, ask.key))
            return None
        self.counts["unpriced"] += 1
        if self._settings.llm_unpriced == "allow":
            return None
        self.counts["refused"] += 1
        soon = datetime.now(UTC) + timedelta(minutes=1)
        return Refusal((said.names or [""])[0], Decimal(0), Decimal(0), soon, model=ask.model, why="unpriced")

    def _refused(self, ask: Ask, at_worst: Worst, said: Reserved) -> Refusal:
        self.counts["refused"] += 1
        (standing,) = said.standings()
        self._hear([standing])
        assert said.spent_usd is not None
        assert said.held_usd is not None
        spent_usd, held_usd = said.spent_usd[0], said.held_usd[0]
        if (standing.name, standing.resets_at) not in self._told:
            self._told.add((standing.name, standing.resets_at))
            told = Announcement(
                "refused", standing.name, spent_usd, standing.limit_usd, standing.resets_at, held_usd=held_usd
            )
            log.warning("%s", told.text)
            if said.first_refusal and said.webhook_url:
                self._webhooks.post(said.webhook_url, told)
        return Refusal(
            standing.name,
            standing.limit_usd,
            spent_usd,
            standing.resets_at,
            held_usd,
            at_worst.least_usd,
            at_worst.tokens if ask.max_output_tokens is None else None,
            ask.model,
        )

    def _remember_free(self, scope: _Scope) -> None:
        if len(self._free) >= MOST_FREE:
            self._free.clear()
        self._free[scope] = time.monotonic() + FREE_S

    def _after(self, settled: Sequence[Settled]) -> None:
        """Hear how budgets stand after a settlement, and tell of soft limits that have been reached."""
        self._hear(one.standing() for one in settled)
        for one in settled:
            if one.level is not None:
                told = Announcement("soft_limit", one.name, one.spent_usd, one.limit_usd, one.resets_at, one.level)
                log.warning("%s", told.text)
                if one.webhook_url:
                    self._webhooks.post(one.webhook_url, told)

    def _hear(self, standings: Iterable[Standing]) -> None:
        for one in standings:
            self._standings[one.name] = one

    def _look(self, stand: Callable[[Sequence[str]], list[Standing]]) -> None:
        """Ask how the budgets stand that this process has met; those that are gone are forgotten."""
        names = list(self._standings)
        found = {one.name: one for one in stand(names)} if names else {}
        for name in names:
            if name in found:
                self._standings[name] = found[name]
            else:
                self._standings.pop(name, None)
