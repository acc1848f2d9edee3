"""Is the second line told of a loosening and of a removal, once, whatever comes of the notice?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import T0, a_decision, a_policy, a_responder
from tests.clocks import FakeClock
from tests.engine.test_bearing import keep
from tocsin.api.objects import condition
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.decide.attestation import rules_digest
from tocsin.decide.plan import Event, Notify
from tocsin.decide.situation import Outcome, Trust
from tocsin.engine.attestations import Attestations
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

FRAUD = Name("models", "fraud")
LATENCY = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"}


def rules(warn: str = "> 0.3") -> EscalationPolicy:
    return a_policy(secondLine="risk", signals=[LATENCY | {"warn": warn}])


class FakeCourier:
    """Keeps what it is given, and reports what it is told to."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[Notify, Callable[[Outcome], None]]] = {}
        self.withdrawn: list[str] = []

    def submit(self, notify: Notify, _: Any, __: Any, report: Callable[[Outcome], None]) -> None:
        self.taken[notify.key] = notify, report

    def withdraw(self, key: str) -> None:
        self.withdrawn.append(key)

    def report(self, result: Any) -> None:
        for key, (_, report) in self.taken.items():
            report(Outcome(key, result, T0, result))


class FakePosting:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def post(self, _: str, __: Any, event: Event) -> None:
        self.events.append(event)


class Office:
    """The work on one policy that carol of the second line has attested."""

    def __init__(self) -> None:
        self.store, self.courier, self.posting = Store(), FakeCourier(), FakePosting()
        self.asked: list[Name] = []
        self.fresh: list[bool] = []
        keep(self.store, "Responder", a_responder("risk", "carol"))
        attest = a_decision("Attest", "carol", digest=rules_digest(rules()), reason="read")
        keep(self.store, "Decision", attest)
        self.status = EscalationPolicyStatus()
        self.begin()

    def begin(self) -> None:
        """A leader that remembers nothing."""
        self.courier = FakeCourier()
        courier: Any = self.courier
        posting: Any = self.posting
        self.work = Attestations(
            clock=FakeClock(),
            store=self.store,
            courier=courier,
            posting=posting,
            telemetry=Telemetry(),
            may_send=lambda _: True,
            trust=self.trust,
            again=self.asked.append,
        )

    async def trust(self, fresh: bool) -> tuple[Trust, None]:
        self.fresh.append(fresh)
        return Trust.TRUSTED, None

    def hear(self, policy: EscalationPolicy) -> EscalationPolicy:
        """Decide on the policy as it is now; the status counts as written."""
        known = policy.model_copy(update={"status": self.status})
        self.status = asyncio.run(self.work.heard(known, EscalationPolicyStatus()))
        return known.model_copy(update={"status": self.status})

    def tell(self, policy: EscalationPolicy) -> None:
        known = self.hear(policy)
        self.work.tell(known, self.status)


@pytest.fixture
def office() -> Office:
    office = Office()
    office.tell(rules())
    assert reason(office) == "Attested"
    return office


def reason(office: Office) -> str:
    found = condition(office.status.conditions, "Attested")
    assert found is not None
    return found.reason


def test_trust_is_read_anew_for_a_decision_that_was_not_heard(office: Office) -> None:
    office.tell(rules())
    assert office.fresh == [True, False]


def test_a_loosening_is_told_and_its_outcome_written_down(office: Office) -> None:
    office.tell(rules("> 0.4"))
    assert [notify.notice.responder for notify, _ in office.courier.taken.values()] == ["risk"]
    office.courier.report("Done")
    assert office.asked == [FRAUD]
    office.courier.taken.clear()
    office.tell(rules("> 0.4"))
    assert office.courier.taken == {}
    assert [one.done_time for one in office.status.loosenings] == [T0]
    assert office.work._outcomes == {}, "what is written down is remembered no more"


def test_what_was_intended_and_not_sent_is_sent_by_the_next_leader(office: Office) -> None:
    office.hear(rules("> 0.4"))
    assert office.courier.taken == {}
    office.begin()
    office.tell(rules("> 0.4"))
    assert [one.key for one in office.status.loosenings] == list(office.courier.taken)


def test_what_nobody_takes_stays_on_its_way(office: Office) -> None:
    office.tell(rules("> 0.4"))
    office.courier.report("Undelivered")
    office.tell(rules("> 0.4"))
    office.tell(rules("> 0.4"))
    assert [(one.done_time, one.message) for one in office.status.loosenings] == [(None, "Undelivered")]
    assert len(office.courier.taken) == 1


def test_a_removal_is_told_and_posted_and_takes_back_what_was_on_its_way(office: Office) -> None:
    office.tell(rules("> 0.4"))
    (before,) = office.courier.taken
    office.work.removed(office.hear(rules("> 0.4")))
    assert office.courier.withdrawn == [before]
    assert [notify.notice.cause for notify, _ in office.courier.taken.values()] == ["RulesLoosened", "PolicyRemoved"]
    assert [(event.type, event.reason) for event in office.posting.events] == [("Warning", "PolicyRemoved")]


def test_a_policy_that_nobody_attested_goes_in_silence(office: Office) -> None:
    office.work.removed(rules())
    assert (office.courier.taken, office.posting.events) == ({}, [])


@pytest.mark.parametrize(
    ("gone", "withdrawn"), [pytest.param(True, 1, id="the role is gone too"), pytest.param(False, 0, id="it is there")]
)
def test_a_removal_that_nobody_can_be_told_of_is_given_up_with_its_role(
    office: Office, gone: bool, withdrawn: int
) -> None:
    office.work.removed(office.hear(rules()))
    if gone:
        office.store.drop("Responder", Name("models", "risk"))
    office.courier.report("Undelivered")
    assert len(office.courier.withdrawn) == withdrawn
