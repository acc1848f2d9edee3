"""The work on attested rules: hear who stands for them, and tell the second line when they are loosened or gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from tocsin.act.notify.courier import Courier
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.clock import Clock
from tocsin.decide.attestation import Hearing, attested, due_notices, removal_notice, unheard_attests
from tocsin.decide.plan import Event, Notify
from tocsin.decide.situation import Outcome, Trust
from tocsin.engine.posting import Posting
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

log = structlog.get_logger()


@dataclass(slots=True)
class Attestations:
    """Everything that the work on attested rules needs."""

    clock: Clock
    store: Store
    courier: Courier
    posting: Posting
    telemetry: Telemetry
    may_send: Callable[[float], bool]
    """Whether enough of the lease is left to send a notice that has waited for so many seconds: no server guards it."""
    trust: Callable[[bool], Awaitable[tuple[Trust, datetime | None]]]
    """Whether Decisions can be trusted and since when; with True it is read anew."""
    again: Callable[[Name], None]
    _outcomes: dict[Name, dict[str, Outcome]] = field(default_factory=dict)
    """What came of notices and is not in a status yet."""

    async def heard(self, policy: EscalationPolicy, status: EscalationPolicyStatus) -> EscalationPolicyStatus:
        """The status of a policy with what there is to say of its attestation."""
        name = _name_of(policy)
        attests = self.store.attests(*name)
        trust, since = await self.trust(bool(unheard_attests(policy, attests)))
        hearing = Hearing(
            now=self.clock.now(),
            roster=self.store.responders(name.namespace),
            attests=attests,
            trust=trust,
            trusted_since=since,
            outcomes=dict(self._outcomes.get(name, {})),
        )
        return attested(policy, status, hearing)

    def tell(self, policy: EscalationPolicy, status: EscalationPolicyStatus) -> None:
        """Send what the written status intends; one that is on its way already keeps its turn."""
        name = _name_of(policy)
        done = {one.key for one in status.loosenings if one.done_time}
        known = {key: one for key, one in self._outcomes.pop(name, {}).items() if key not in done}
        if known:
            self._outcomes[name] = known
        for notify in due_notices(policy, status, self.store.responders(name.namespace), self.clock.now()):
            self._submit(notify, lambda outcome: self._note(name, outcome))

    def _note(self, name: Name, outcome: Outcome) -> None:
        self._outcomes.setdefault(name, {})[outcome.key] = outcome
        self.again(name)

    def removed(self, policy: EscalationPolicy) -> None:
        """Tell the second line that a policy is gone for which it stood: once, by whoever leads when it is seen."""
        name, now = _name_of(policy), self.clock.now()
        self._outcomes.pop(name, None)
        for one in policy.status.loosenings:
            self.courier.withdraw(one.key)
        notify = removal_notice(policy, self.store.responders(name.namespace), now)
        if notify is None:
            return
        self.posting.post("EscalationPolicy", policy.metadata, Event("Warning", "PolicyRemoved", notify.notice.text))
        log.warning("an attested policy was removed", policy=name.name, namespace=name.namespace)
        self._submit(notify, lambda outcome: self._give_up(notify, outcome))

    def _give_up(self, notify: Notify, outcome: Outcome) -> None:
        """Nobody is left to be told when the role has gone as well, for example with its namespace."""
        notice = notify.notice
        log.info("told of a removal", policy=notice.policy, namespace=notice.namespace, outcome=outcome.result)
        if self.store.responder(notice.namespace, notice.responder) is None:
            self.courier.withdraw(notify.key)

    def _submit(self, notify: Notify, report: Callable[[Outcome], None]) -> None:
        def counted(outcome: Outcome) -> None:
            self.telemetry.effect("notify", outcome.result)
            report(outcome)

        responder = self.store.responder(notify.notice.namespace, notify.notice.responder)
        self.courier.submit(notify, responder, self.may_send, counted)


def _name_of(policy: EscalationPolicy) -> Name:
    return Name(policy.metadata.namespace, policy.metadata.name)
