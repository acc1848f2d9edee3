"""Is there one leader at a time, does it give up before another begins, and is nothing waited for after a release?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tests.clocks import FakeClock
from tests.cluster.access import Access
from tests.connecting import connected
from tocsin.apiserver import ApiServer, path
from tocsin.engine.leader import API, Leader, WentBack

DURATION = 5.0


def play(
    cluster: Access, namespace: str, scene: Callable[[ApiServer, FakeClock, Leader, Leader], Awaitable[None]]
) -> None:
    """Two candidates for one Lease of the real API server, on a clock that the test moves."""

    async def body() -> None:
        clock = FakeClock()
        async with connected(cluster.kubeconfig) as api:
            candidates = [Leader(api, clock, namespace, name, duration=DURATION) for name in ("one", "two")]
            await scene(api, clock, *candidates)

    asyncio.run(body())


async def holder(api: ApiServer, namespace: str) -> str:
    lease = await api.get(path(API, "leases", namespace, "tocsin"))
    return str(lease["spec"].get("holderIdentity", ""))


def test_the_first_leads_and_the_second_does_not(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        assert not await two.attempt()
        assert (one.holds(), two.holds()) == (True, False)
        assert await holder(api, namespace) == "one"

    play(cluster, namespace, scene)


def test_a_silent_holder_gives_up_before_another_takes_over(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        assert not await two.attempt()
        await clock.advance(DURATION - 0.1)
        assert one.holds()
        assert not await two.attempt(), "not before the whole duration, from when it was first seen"
        await clock.advance(0.1)
        assert not one.holds()
        assert await two.attempt()
        assert not await one.attempt(), "whoever was late is not the leader any more"
        assert await holder(api, namespace) == "two"

    play(cluster, namespace, scene)


def test_a_holder_that_renews_is_never_taken_over(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        for _ in range(5):
            assert not await two.attempt()
            await clock.advance(DURATION * 0.8)
            assert await one.attempt()
        assert one.holds()

    play(cluster, namespace, scene)


def test_a_released_lease_is_taken_at_once(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        await one.release()
        assert not one.holds()
        assert await two.attempt()

    play(cluster, namespace, scene)


def test_both_at_once_leave_one_leader(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        won = await asyncio.gather(one.attempt(), two.attempt())
        assert sorted(won) == [False, True]
        assert one.holds() is won[0]

    play(cluster, namespace, scene)


def test_a_lease_that_was_deleted_by_hand_is_made_anew(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        await api.call("DELETE", path(API, "leases", namespace, "tocsin"))
        assert await one.attempt()
        assert await holder(api, namespace) == "one"

    play(cluster, namespace, scene)


def test_a_lease_that_was_deleted_is_left_to_who_held_it_for_as_long_as_it_may_believe_in_it(
    cluster: Access, namespace: str
) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        assert not await two.attempt()
        await api.call("DELETE", path(API, "leases", namespace, "tocsin"))
        assert not await two.attempt()
        await clock.advance(DURATION - 0.1)
        assert one.holds()
        assert not await two.attempt()
        await clock.advance(0.1)
        assert not one.holds()
        assert await two.attempt()

    play(cluster, namespace, scene)


def test_a_lease_that_somebody_else_holds_is_given_up_at_once(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        await api.merge(path(API, "leases", namespace, "tocsin"), {"spec": {"holderIdentity": "two"}})
        assert not await one.attempt()
        assert not one.holds()

    play(cluster, namespace, scene)


@pytest.mark.parametrize("margin", [0.0, 2.0, 4.9])
def test_the_margin_is_what_must_be_left(cluster: Access, namespace: str, margin: float) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        await clock.advance(DURATION - margin - 0.05)
        assert one.holds(margin)
        await clock.advance(0.1)
        assert not one.holds(margin)

    play(cluster, namespace, scene)


@dataclass
class Term:
    """What a leader does: nothing, until it is cancelled."""

    leader: Leader
    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    held: bool | None = None
    """Whether the Lease was still held in the end."""

    async def lead(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.held = self.leader.holds()
            self.ended.set()


def test_leading_is_cancelled_when_the_lease_is_lost(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        term = Term(one)
        running = asyncio.create_task(one.run(term.lead))
        await term.began.wait()
        lease = path(API, "leases", namespace, "tocsin")
        await api.merge(lease, {"spec": {"holderIdentity": "thief"}})
        while not term.ended.is_set():
            await clock.until_asleep()
            await clock.advance(DURATION / 4)
        assert term.held is False
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(cluster, namespace, scene)


def test_whoever_sees_an_older_lease_ends_and_acts_no_more(cluster: Access, namespace: str) -> None:
    """As after a restore of etcd; tests/faults plays that."""

    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        term = Term(one)
        running = asyncio.create_task(one.run(term.lead))
        await term.began.wait()
        one._newest += 1_000_000
        await clock.until_asleep()
        await clock.advance(DURATION / 4)
        await term.ended.wait()
        with pytest.raises(WentBack, match="was etcd restored"):
            await running
        assert term.held is False
        assert await holder(api, namespace) == "one", "what is not trusted is not written to"

        assert not await two.attempt()
        two._newest += 1_000_000
        with pytest.raises(WentBack):
            await two.attempt()

    play(cluster, namespace, scene)


def test_a_release_after_a_restore_stops_no_orderly_end(cluster: Access, namespace: str) -> None:
    async def scene(api: ApiServer, clock: FakeClock, one: Leader, two: Leader) -> None:
        assert await one.attempt()
        one._newest += 1_000_000
        await one.release()
        assert not one.holds()

    play(cluster, namespace, scene)
