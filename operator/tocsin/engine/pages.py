"""Who was just paged? A storm pages nobody twice: what a page on its way would say again waits, and is folded into it.

Nothing is lost by it: a notice is folded only into a page that a channel has accepted. While that one is on its way the
others wait; when it will not arrive, or its incident is resolved or gone, they are decided on anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tocsin.act.notify.courier import Courier
from tocsin.api.objects import clip
from tocsin.api.responder import Responder
from tocsin.clock import Clock
from tocsin.decide.folding import FOLD, Page, covers, folded_in, is_quiet, page_in, page_of
from tocsin.decide.plan import Notify
from tocsin.decide.situation import Outcome
from tocsin.observe.cluster import Name, Store

Report = Callable[[Outcome], None]


_PRUNE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A notice that waits for what becomes of a page on its way."""

    dedup: str
    report: Report
    free: Callable[[], None]


@dataclass(slots=True)
class _Sending:
    """A page on its way, and by key what waits for it."""

    page: Page
    undelivered: str = ""
    """Why no channel has accepted it for a minute."""
    behind: dict[str, _Waiting] = field(default_factory=dict)


class Pages:
    """Between the incidents and the courier; lives as long as this replica leads."""

    def __init__(self, courier: Courier, clock: Clock, store: Store, every: timedelta = FOLD) -> None:
        """``every``: at SEV3 and SEV4 one page to a person stands for so long for those of the same cause."""
        self._courier = courier
        self._clock = clock
        self._store = store
        self._every = every
        self._told: dict[tuple[str, str], list[tuple[Page, datetime]]] = {}
        """By namespace and reader: what was accepted lately, and when."""
        self._sending: dict[tuple[str, str], dict[str, _Sending]] = {}
        """By namespace and reader, then by key."""
        self._waiting: dict[str, _Sending] = {}
        """By key of what waits."""
        self._silent: dict[str, _Sending] = {}
        """By what belongs together at a pager: the page that its own waits for."""
        self._folded: dict[str, tuple[str, datetime]] = {}
        """By what belongs together at a pager: the incident whose page stood for it, and since when."""
        self._pruned_at = clock.now()

    def seed(self) -> None:
        """Take up what the ledgers say was accepted lately: a new leader pages nobody again for it.

        And of whom no page was sent: a new leader does not tell them how it ended.
        """
        now = self._clock.now()
        for incident in self._store.incidents():
            if not incident.resolved or any(record.done_time is None for record in incident.status.effects):
                self._folded |= {dedup: (into, now) for dedup, into in folded_in(incident).items()}
            for record in incident.status.effects:
                if not incident.resolved and (found := page_in(incident, record)):
                    self._accepted(*found)

    def submit(
        self,
        policy: str,
        effect: Notify,
        responder: Responder | None,
        may_send: Callable[[float], bool],
        report: Report,
        free: Callable[[], None],
    ) -> None:
        """Send a notice, fold it, or have it wait; ``free`` is called when it waits no more and was not folded."""
        about = self._store.incident(Name(effect.notice.namespace, effect.notice.incident))
        page, key, dedup = page_of(policy, effect, about.rules if about else None), effect.key, effect.notice.dedup
        waiting = _Waiting(dedup, report, free)
        if page is None:
            if not (is_quiet(effect.notice.cause.split()) and self._goes_along(key, waiting)):
                self._courier.submit(effect, responder, may_send, report)
            return
        self._prune()
        if told := self._standing_for(page):
            self._fold(key, waiting, told)
        elif ahead := self._ahead_of(page):
            self._wait(key, waiting, ahead)
        else:
            self._folded.pop(dedup, None)
            self._sending.setdefault(_group(page), {}).setdefault(key, _Sending(page))
            self._courier.submit(effect, responder, may_send, lambda outcome: self._hear(page, outcome, report))

    def withdraw(self, key: str) -> None:
        """Give up a notice whose incident is gone."""
        if ahead := self._waiting.pop(key, None):
            del ahead.behind[key]
            return
        self._courier.withdraw(key)
        for page in [some[key].page for some in self._sending.values() if key in some]:
            self._release(page)

    def supersede(self, key: str) -> None:
        """Give up what would arrive after what follows; what waits is not on its way, and goes on waiting."""
        if key not in self._waiting:
            self._courier.supersede(key)

    def _standing_for(self, page: Page) -> Page | None:
        told = self._told.get(_group(page), ())
        return next((one for one, at in told if covers(one, at, page, self._every) and self._is_open(one)), None)

    def _ahead_of(self, page: Page) -> _Sending | None:
        some = self._sending.get(_group(page), {}).values()
        return next(
            (one for one in some if covers(one.page, None, page, self._every) and self._is_open(one.page)), None
        )

    def _is_open(self, page: Page) -> bool:
        incident = self._store.incident(Name(page.namespace, page.incident))
        return incident is not None and incident.metadata.uid == page.uid and not incident.resolved

    def _goes_along(self, key: str, waiting: _Waiting) -> bool:
        """Whether news goes the way of its incident's page: nobody hears how a thing ends that they were not told."""
        if ahead := self._silent.get(waiting.dedup):
            self._wait(key, waiting, ahead)
        elif known := self._folded.get(waiting.dedup):
            waiting.report(self._outcome(key, known[0]))
        else:
            return False
        return True

    def _wait(self, key: str, waiting: _Waiting, ahead: _Sending) -> None:
        self._waiting[key] = self._silent[waiting.dedup] = ahead
        ahead.behind[key] = waiting
        if ahead.undelivered:
            self._say_undelivered(key, waiting, ahead)

    def _say_undelivered(self, key: str, waiting: _Waiting, ahead: _Sending) -> None:
        message = clip(f"it waits for the page for incident {ahead.page.incident}: {ahead.undelivered}", 1024)
        waiting.report(Outcome(key, "Undelivered", self._clock.now(), message))

    def _hear(self, page: Page, outcome: Outcome, report: Report) -> None:
        """What came of a page, to whoever waits for it as well."""
        sending = self._sending.get(_group(page), {}).get(page.key)
        if sending and outcome.result == "Undelivered":
            sending.undelivered = outcome.message
            for key, one in sending.behind.items():
                self._say_undelivered(key, one, sending)
        elif outcome.result == "Done" and self._is_open(page):
            self._accepted(page, outcome.at)
            for key, one in self._end(page):
                self._fold(key, one, page)
        else:
            self._release(page)
        report(outcome)

    def _fold(self, key: str, waiting: _Waiting, told: Page) -> None:
        self._folded[waiting.dedup] = told.incident, self._clock.now()
        waiting.report(self._outcome(key, told.incident))

    def _outcome(self, key: str, into: str) -> Outcome:
        message = f"folded into the page for incident {into}: the same was asked of the same person"
        return Outcome(key, "Done", self._clock.now(), message, into=into)

    def _accepted(self, page: Page, at: datetime) -> None:
        if self._clock.now() - at < self._longest:
            self._told.setdefault(_group(page), []).append((page, at))

    def _release(self, page: Page) -> None:
        """Have everything that waits for a page decided on anew: whichever comes first is sent."""
        for _, waiting in self._end(page):
            waiting.free()

    def _end(self, page: Page) -> list[tuple[str, _Waiting]]:
        """A page is not on its way any more; gives what has waited for it."""
        group = _group(page)
        sending = self._sending.get(group, {}).pop(page.key, None)
        if not self._sending.get(group, {"": None}):
            del self._sending[group]
        behind = list(sending.behind.items()) if sending else []
        for key, one in behind:
            self._waiting.pop(key, None)
            self._silent.pop(one.dedup, None)
        return behind

    def _prune(self) -> None:
        """Keep nothing that stands for nothing any more."""
        now = self._clock.now()
        if now - self._pruned_at < _PRUNE_EVERY:
            return
        self._pruned_at = now
        longest = self._longest
        told = {group: [(page, at) for page, at in some if now - at < longest] for group, some in self._told.items()}
        self._told = {group: some for group, some in told.items() if some}
        self._folded = {dedup: known for dedup, known in self._folded.items() if now - known[1] < longest}

    @property
    def _longest(self) -> timedelta:
        """After so long a page stands for nothing any more."""
        return max(FOLD, self._every)


def _group(page: Page) -> tuple[str, str]:
    return page.namespace, page.reader
