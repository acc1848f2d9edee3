"""How a message reaches the organisation's sender: tried under one key until it is known what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.act.notify.material import FakeApi, a_secret
from tests.clocks import FakeClock
from tests.letters import a_message, digest
from tocsin.act.notify.address import Address
from tocsin.act.notify.outlet import Outlet
from tocsin.act.notify.post import broadcast_body
from tocsin.apiserver import NoAnswer
from tocsin.decide.delivery import Accepted, Answer, Deferred, Lost, Refused
from tocsin.decide.message_situation import Broadcast, Sending, words_of

BROADCAST = Broadcast(
    key="message-uid/release/0123456789abcdef",
    namespace="models",
    message="fraud-1-initial",
    secret="outlet",
    audience="Customers",
    phase="Initial",
    digest=digest(a_message()),
    incident_uid="incident-uid",
    texts=words_of(a_message()),
    perhaps=False,
)
OK, NO, BUSY = Accepted("202"), Refused("answered 413"), Deferred("answered 429")
BROKEN, LOST, DOWN = Deferred("answered 500", heard=True), Lost("no answer, perhaps sent"), Deferred("no connection")


class FakeSenders:
    def __init__(self, answers: list[Answer | Exception]) -> None:
        self.answers = answers
        self.keys: list[str] = []

    async def broadcast(self, _: Address, broadcast: Broadcast) -> Answer:
        self.keys.append(broadcast.key)
        answer = self.answers.pop(0) if self.answers else BUSY
        if isinstance(answer, Exception):
            raise answer
        return answer


async def sent(
    *answers: Answer | Exception,
    api: Any = None,
    seconds: float = 30,
    may_send: Callable[[float], bool] = lambda _: True,
) -> tuple[list[tuple[str, bool, str]], FakeSenders]:
    """What is reported, and what the sender was given."""
    reports: list[Sending] = []
    clock, senders = FakeClock(), FakeSenders(list(answers))
    given: Any = api or FakeApi(outlet=a_secret("Webhook", url="https://send.bank.example"))
    outlet = Outlet(given, clock, senders)
    for _ in range(2):  # the second one is under way already
        outlet.submit(BROADCAST, may_send, reports.append)
    await clock.advance(seconds)
    await outlet.close(1)
    return [(one.state.value, one.over, one.message) for one in reports], senders


@pytest.mark.parametrize(
    ("answers", "reports", "tries"),
    [
        pytest.param([OK], [("Sent", True, "accepted (202)")], 1, id="an accepted one is sent once"),
        pytest.param([NO], [("Failed", True, "answered 413")], 1, id="a refused one has failed, for good"),
        pytest.param(
            [BUSY, BUSY, OK], [("Intended", False, "answered 429"), ("Sent", True, "accepted (202)")], 3,
            id="one that is busy is tried again",
        ),
        pytest.param(
            [DOWN, OK], [("Intended", False, "no connection"), ("Sent", True, "accepted (202)")], 2,
            id="one that is down has not got it",
        ),
        pytest.param(
            [LOST, OK], [("Perhaps", False, "no answer, perhaps sent"), ("Sent", True, "accepted (202)")], 2,
            id="a lost answer leaves a doubt until it is accepted",
        ),
        pytest.param(
            [BROKEN, BUSY, NO],
            [("Perhaps", False, "answered 500"), ("Perhaps", False, "answered 429"), ("Perhaps", True, "answered 413")],
            3,
            id="after a doubt a refusal does not say that it has failed",
        ),
        pytest.param(
            [RuntimeError("secret words"), OK],
            [("Perhaps", False, "failed with RuntimeError, perhaps sent"), ("Sent", True, "accepted (202)")], 2,
            id="what nobody foresaw leaves a doubt",
        ),
    ],
)  # fmt: skip
def test_what_became_of_it(answers: list[Answer | Exception], reports: list[tuple[str, bool, str]], tries: int) -> None:
    found, senders = asyncio.run(sent(*answers))
    assert found == reports
    assert senders.keys == [BROADCAST.key] * tries


@pytest.mark.parametrize(
    ("api", "report"),
    [
        pytest.param(
            FakeApi(), ("Failed", True, "Secret outlet does not exist: create it with --type=tocsin.dev/channel"),
            id="no Secret",
        ),
        pytest.param(
            FakeApi(outlet=NoAnswer("lost")),
            ("Intended", False, "the API server did not give Secret outlet: no answer"),
            id="no API server",
        ),
    ],
)  # fmt: skip
def test_without_an_address_nothing_is_sent(api: FakeApi, report: tuple[str, bool, str]) -> None:
    found, senders = asyncio.run(sent(api=api))
    assert (found, senders.keys) == ([report], [])


def test_without_leave_nothing_is_sent() -> None:
    found, senders = asyncio.run(sent(OK, may_send=lambda waited: waited >= 60))
    assert (found, senders.keys) == ([], [])
    found, senders = asyncio.run(sent(OK, may_send=lambda waited: waited >= 10))
    assert len(senders.keys) == 1


def test_what_the_sender_gets() -> None:
    assert broadcast_body(BROADCAST).decode() == (
        '{"version":"1","key":"message-uid/release/0123456789abcdef","message":"fraud-1-initial","namespace":"models",'
        '"audience":"Customers","phase":"Initial","texts":[{"language":"en","subject":"We are on it",'
        f'"body":"It is bad."}}],"digest":"{digest(a_message())}",'
        '"incident":"dcff27d1bf65113efc62c13b379176d4c6e5193f685d8ea74973f539a25da1cd"}'
    )
