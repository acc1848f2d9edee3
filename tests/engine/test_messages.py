"""Is a message written before it goes out; does an edit that races its release win or lose cleanly; who sends again?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.rows import merged
from tests.builders import T0
from tests.clocks import FakeClock
from tests.engine.test_attestations import FakeCourier, FakePosting
from tests.engine.test_bearing import keep
from tests.letters import ROLES, a_message, a_template, digest, edited, judged
from tocsin.api.message import Message, MessageState, PartState
from tocsin.apiserver import ApiError, NoAnswer
from tocsin.decide.message_situation import Broadcast, Sending
from tocsin.decide.situation import Trust
from tocsin.engine.incidents import Unlucky
from tocsin.engine.messages import Messages
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

HERE = Name("models", "fraud-1-initial")


class FakeServer:
    """Keeps one message, and refuses what rests on an older version of it."""

    def __init__(self, message: Message) -> None:
        self.raw = message.dump() | {"status": message.status.dump()}
        self.version = 1
        self.before: Callable[[], None] = lambda: None
        """What happens right before a write arrives."""
        self.answers: list[Exception] = []

    @property
    def now(self) -> Any:
        metadata = self.raw["metadata"] | {"resourceVersion": str(self.version)}
        return self.raw | {"metadata": metadata}

    @property
    def message(self) -> Message:
        return Message.model_validate(self.now)

    def edit(self, words: str, by: str) -> None:
        self.raw |= {"spec": edited(self.message, words, by).spec.dump()}
        self.version += 1

    async def merge(self, _: str, body: Any) -> Any:
        self.before()
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "it was changed")
        if self.answers:
            raise self.answers.pop(0)
        self.raw = merged(self.raw, {"status": body["status"]})
        self.version += 1
        return self.now

    async def get(self, _: str) -> Any:
        return self.now


class FakeOutlet:
    def __init__(self) -> None:
        self.taken: list[tuple[Broadcast, Callable[[Sending], None]]] = []

    def submit(self, broadcast: Broadcast, _: Any, report: Callable[[Sending], None]) -> None:
        if broadcast.key not in [one.key for one, _ in self.taken]:
            self.taken.append((broadcast, report))

    def answer(self, state: PartState, *, over: bool = False) -> None:
        for broadcast, report in self.taken:
            report(Sending(broadcast.key, state, T0, "answered", over))


class Room:
    """The work on one message."""

    def __init__(self, message: Message | None = None) -> None:
        self.server = FakeServer(message or a_message())
        self.store = Store()
        for role in ROLES.values():
            keep(self.store, "Responder", role)
        self.decided = 0
        self.begin()

    def begin(self) -> None:
        """A leader that remembers nothing but what the cluster does."""
        self.courier, self.outlet, self.posting = FakeCourier(), FakeOutlet(), FakePosting()
        self.asked: list[Name] = []
        self.told: list[Message] = []
        given: dict[str, Any] = {"courier": self.courier, "outlet": self.outlet, "posting": self.posting}
        self.leads = True
        server: Any = self.server
        self.work = Messages(
            api=server,
            clock=FakeClock(T0),
            store=self.store,
            telemetry=Telemetry(),
            namespace="tocsin-system",
            leads=lambda _: self.leads,
            may_send=lambda _: True,
            trust=self.trust,
            again=self.asked.append,
            tell=self.told.append,
            **given,
        )

    async def trust(self, _: bool) -> tuple[Trust, Any]:
        return Trust.TRUSTED, None

    def decide(self, kind: str, by: str) -> None:
        self.decided += 1
        decision = judged(kind, by, self.server.message, T0, uid=f"d{self.decided}")
        named = decision.metadata.model_copy(update={"name": f"d{self.decided}"})
        keep(self.store, "Decision", decision.model_copy(update={"metadata": named}))

    def go(self) -> Message:
        self.store.put("Message", self.server.now)
        asyncio.run(self.work.work(HERE))
        return self.server.message

    def approved(self) -> Message:
        for by in ("paula", "lena"):
            self.decide("ApproveMessage", by)
        return self.go()


def test_who_must_approve_is_asked_once_whatever_comes_of_it() -> None:
    room = Room()
    assert room.go().status.state == "Draft"
    assert list(room.courier.taken) == ["message-uid/ask/comms/1", "message-uid/ask/legal/1"]
    room.courier.report("Done")
    room.go()
    room.begin()
    room.go()
    assert room.courier.taken == {}
    assert [event.reason for event in room.posting.events] == []


def test_its_incident_hears_of_whatever_was_written_though_it_comes_back_as_no_news() -> None:
    room = Room()
    room.go()
    room.approved()
    room.go()
    assert [one.status.state for one in room.told] == ["Draft", "Approved"]
    room.decide("ReleaseMessage", "max")
    room.server.answers = [NoAnswer("lost")]
    with pytest.raises(NoAnswer):
        room.go()
    assert room.told[-1].status == room.server.message.status


def test_those_who_were_asked_in_vain_are_asked_no_more() -> None:
    room = Room()
    room.go()
    room.approved()
    assert set(room.courier.withdrawn) == {"message-uid/ask/comms/1", "message-uid/ask/legal/1"}


def test_the_intent_is_written_before_anything_goes_out() -> None:
    room = Room()
    room.approved()
    room.decide("ReleaseMessage", "max")
    room.server.answers = [NoAnswer("lost")]
    with pytest.raises(NoAnswer):
        room.go()
    assert room.outlet.taken == []
    message = room.go()
    (sent,) = [one for one, _ in room.outlet.taken]
    assert message.status.release
    assert (sent.key, sent.perhaps) == (message.status.release.parts[0].key, False)
    room.outlet.answer(PartState.SENT, over=True)
    assert room.asked == [HERE]
    message = room.go()
    assert (message.status.state, message.status.release and message.status.release.done_time) == ("Released", T0)
    room.go()
    room.begin()
    room.go()
    assert room.outlet.taken == [], "what was accepted is not sent again"


def test_an_edit_that_comes_before_the_release_voids_it() -> None:
    room = Room()
    room.approved()
    room.decide("ReleaseMessage", "max")
    room.server.before = lambda: room.server.edit("It is very bad.", "paula")
    with pytest.raises(ApiError, match="409"):
        room.go()
    room.server.before = lambda: None
    message = room.go()
    assert (message.status.state, message.status.approvals) == ("Draft", ())
    assert room.outlet.taken == []
    assert message.status.decisions[-1].message.startswith("these are not the words any more")


def test_who_takes_over_from_one_that_died_does_not_know_whether_it_was_sent() -> None:
    room = Room()
    room.approved()
    room.decide("ReleaseMessage", "max")
    before = room.go()
    room.begin()  # killed between the intent and the outcome
    room.go()
    ((sent, _),) = room.outlet.taken
    assert before.status.release
    assert (sent.key, sent.perhaps) == (before.status.release.parts[0].key, True)
    room.outlet.answer(PartState.PERHAPS, over=True)
    assert room.go().status.state == "PerhapsReleased"


def test_one_that_was_refused_goes_out_again_when_a_person_says_so() -> None:
    room = Room()
    room.approved()
    room.decide("ReleaseMessage", "max")
    room.go()
    room.outlet.answer(PartState.FAILED, over=True)
    assert room.go().status.state == "Failed"
    room.outlet.taken.clear()
    assert room.go().status.state == "Failed"
    assert room.outlet.taken == []
    room.decide("ReleaseMessage", "max")
    assert room.go().status.state == "Releasing"
    assert len(room.outlet.taken) == 1


def test_a_leader_that_has_lost_its_lease_writes_nothing() -> None:
    room = Room()
    room.leads = False
    with pytest.raises(Unlucky):
        room.go()
    assert (room.server.version, room.courier.taken) == (1, {})


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        pytest.param(MessageState.DRAFT, True, id="a draft has people to be told"),
        pytest.param(MessageState.RELEASING, True, id="one on its way"),
        pytest.param(MessageState.RELEASED, False, id="one that is over"),
    ],
)
def test_what_a_new_leader_looks_at(state: MessageState, waits: bool) -> None:
    room = Room()
    message = a_message(status={"state": state, "digest": digest(a_message())})
    assert room.work.waits(message) is waits
    room.decide("RejectMessage", "paula")
    assert room.work.waits(message)


@pytest.mark.parametrize(
    ("namespace", "flaw"),
    [
        pytest.param("models", "", id="its own"),
        pytest.param("tocsin-system", "", id="the operator's"),
        pytest.param("mallory", "its template is not there: have it drafted anew", id="any other"),
    ],
)
def test_whose_template_a_person_may_have_a_message_drafted_from(namespace: str, flaw: str) -> None:
    message = a_message(key="person/u/1", editedBy=["max"])
    reference = message.spec.template_ref.model_copy(update={"namespace": namespace})
    room = Room(message.model_copy(update={"spec": message.spec.model_copy(update={"template_ref": reference})}))
    template = a_template().dump()
    template["metadata"] |= {"namespace": namespace, "resourceVersion": "1"}
    room.store.put("MessageTemplate", template)
    assert room.go().status.flaw == flaw


def test_a_message_that_is_gone_is_told_to_nobody() -> None:
    room = Room()
    room.go()
    room.store.drop("Message", HERE)
    asyncio.run(room.work.work(HERE))
    assert set(room.courier.withdrawn) == {"message-uid/ask/comms/1", "message-uid/ask/legal/1"}
