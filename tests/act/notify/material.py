"""Notices, roles and Secrets to deliver with, and stand-ins for what answers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.clocks import T0, FakeClock
from tocsin.act.notify.address import SECRET_TYPE, Address
from tocsin.api.objects import Metadata
from tocsin.api.responder import Channel, Member, Responder, ResponderSpec, SecretRef
from tocsin.apiserver import ApiError
from tocsin.decide.delivery import Accepted, Answer
from tocsin.decide.plan import Notice, Notify

NOTICE = Notice(
    key="uid-1/1/notify/owners.credit-owners.TierEntered/1",
    namespace="models",
    incident="credit-scoring-7c9f2",
    model="credit-scoring",
    severity="SEV2",
    responder="credit-owners",
    cause="TierEntered",
    subject="SEV2 credit-scoring: accuracy 0.81 < 0.88",
    text="Accuracy has been 0.81 for 10m; the limit is 0.88.",
    command="kubectl tocsin ack inc/credit-scoring-7c9f2 -n models",
    dedup="uid-1/1/owners.credit-owners",
)


def a_notify(number: int = 1, **changes: Any) -> Notify:
    notice = replace(NOTICE, key=f"uid-1/1/notify/owners.credit-owners.TierEntered/{number}", **changes)
    return Notify(notice.key, notice, T0)


def a_role(*channels: str) -> Responder:
    """A role whose channels are named like their Secrets."""
    return Responder(
        metadata=Metadata(name="credit-owners", namespace="models"),
        spec=ResponderSpec(
            members=(Member(name="Ann", user="ann"),),
            channels=tuple(Channel(name=name, secret_ref=SecretRef(name=name)) for name in channels),
        ),
    )


def a_secret(kind: str | None = None, secret_type: str = SECRET_TYPE, **data: str) -> dict[str, Any]:
    """As the API server gives it; `kind` is the value of its key `type`."""
    given = data | ({"type": kind} if kind else {})
    return {"type": secret_type, "data": {key: base64.b64encode(text.encode()).decode() for key, text in given.items()}}


class FakeApi:
    """Objects by path; an absent one is a 404, an exception is raised."""

    def __init__(self, **secrets: Any) -> None:
        self.objects: dict[str, Any] = {
            f"/api/v1/namespaces/models/secrets/{name}": one for name, one in secrets.items()
        }

    def put(self, secret: str, value: Any) -> None:
        self.objects[f"/api/v1/namespaces/models/secrets/{secret}"] = value

    def put_role(self, role: Responder) -> None:
        self.objects["/apis/tocsin.dev/v1alpha1/namespaces/models/responders/credit-owners"] = role.dump()

    async def get(self, where: str, **params: str) -> Any:
        found = self.objects.get(where)
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise ApiError(404, "NotFound", "not found")
        return found


@dataclass
class FakeSender:
    """Answers as told, by the address it is sent to; takes `takes` seconds of the clock for each."""

    clock: FakeClock
    answer: Callable[[str, int], Answer] = lambda url, nth: Accepted("202")
    takes: Callable[[str], float] = lambda url: 0.0
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    """When, where and which key."""
    at_once: int = 0
    most_at_once: int = 0

    async def send(self, address: Address, notice: Notice) -> Answer:
        url = address.url
        self.sent.append((self.clock.monotonic(), url.rpartition("/")[2], notice.key.rpartition("/")[2]))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.clock.sleep(self.takes(url))
        finally:
            self.at_once -= 1
        return self.answer(url, sum(one[1] == url.rpartition("/")[2] for one in self.sent))

    async def close(self) -> None:
        return
