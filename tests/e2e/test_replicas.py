"""Two replicas run: one leads, and whatever becomes of it the other goes on, with nothing done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import Cluster, ours
from tests.cluster.proxy import ApiProxy, Call, CallBefore
from tests.e2e.lives import END, Life, Street
from tests.e2e.stage import SYSTEM, Installed, OperatorProcess

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/tocsin"


@dataclass
class Replicas:
    """Two operators, each behind a proxy of its own."""

    cluster: Cluster
    replicas: dict[str, OperatorProcess]
    proxies: dict[str, ApiProxy]

    def holder(self) -> str:
        """Who holds the Lease; empty when nobody does."""
        lease = self.cluster.found(LEASE)
        return str(lease["spec"].get("holderIdentity", "")) if lease else ""

    def leader(self, other_than: str = "") -> str:
        """Wait for a leader that has begun to lead."""

        def leads() -> str:
            name = self.holder()
            return name if name in self.replicas and name != other_than and self.is_leading(name) else ""

        return self.cluster.wait(leads, 60, "a leader")

    def is_leading(self, name: str) -> bool:
        """Whether the last that the replica said of it is that it leads."""
        log = self.replicas[name].log
        return log.rfind('"event": "leading"') > max(log.rfind('"event": "lost the lease"'), log.rfind('"stopping"'))

    def settle(self) -> None:
        """Both run, and one of them leads."""
        for replica in self.replicas.values():
            if replica.process is None:
                replica.start()
        self.leader()


@dataclass
class Held:
    """Requests that do not come through until they are let go: as they are when a process is stopped in between."""

    count: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> None:
        self.count += 1
        self.gate.wait(120)


@pytest.fixture(scope="module")
def replicas(cluster: Access, installed: Installed) -> Iterator[Replicas]:
    own = ours(cluster)
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(ApiProxy(own)) for name in ("tocsin-a", "tocsin-b")}
        both = {
            name: installed.operator(name, server=proxy.url, leaseDuration="4s", budget={"containments": 1000})
            for name, proxy in proxies.items()
        }
        for replica in both.values():
            stack.callback(replica.stop)
        yield Replicas(own, both, proxies)


@pytest.fixture(scope="module")
def lives(replicas: Replicas) -> Iterator[dict[str, Life]]:
    """One for each disturbance; all are prepared at once."""
    replicas.settle()
    with closing(Street.settle(replicas.cluster)) as street:
        lives = {model: Life(street, model) for model in ("watched", "handed", "list", "post", "act", "say", "meddled")}
        street.prepare(list(lives.values()))
        yield lives


@pytest.fixture(autouse=True)
def both_run(replicas: Replicas) -> Iterator[None]:
    """What the replicas said is shown when the test fails."""
    replicas.settle()
    yield
    for name, replica in replicas.replicas.items():
        print(name, replica.log[-20_000:])  # noqa: T201 - pytest shows it with a failure
    for proxy in replicas.proxies.values():
        proxy.clear()


def often(*lives: Life) -> int:
    """How often the notice arrived that arrived most often."""
    return max(len(times) for life in lives for times in life.arrivals().values())


def test_the_leader_does_everything_once_and_the_standby_writes_nothing(
    replicas: Replicas, lives: dict[str, Life]
) -> None:
    life = lives["watched"]
    standby = next(name for name in replicas.replicas if name != replicas.leader())

    life.street.live([life], 90, Life.break_it)

    assert life.end() == END
    assert often(life) == 1
    assert [call.path for call in replicas.proxies[standby].writes if "/leases" not in call.path] == []


def test_a_leader_that_is_stopped_hands_over_at_once_and_nothing_is_told_twice(
    replicas: Replicas, lives: dict[str, Life]
) -> None:
    life, leader = lives["handed"], replicas.leader()
    replicas.cluster.sink.behave("/lives", hang=1.5)
    life.break_it()
    life.until(lambda: life.arrivals(), "a notice on its way")

    assert replicas.replicas[leader].stop() == 0

    assert replicas.holder() != leader, "the lease was given back, nobody waits for its end"
    replicas.leader(other_than=leader)
    life.street.live([life], 90)
    assert life.end() == END
    assert often(life) == 1
    replicas.cluster.sink.behave("/lives")


def test_a_leader_that_was_paused_until_another_led_does_no_harm(replicas: Replicas, lives: dict[str, Life]) -> None:
    """Its last requests arrive when the other has long finished, and then it wakes with all that it remembers."""
    disturbed = [lives[model] for model in ("list", "post", "act", "say")]
    street, leader, held = disturbed[0].street, replicas.leader(), Held()
    hold = partial(replicas.proxies[leader].rule, CallBefore(held))
    hold(methods={"GET"}, path=r"/incidents\?fieldSelector=.*model%3Dlist")
    hold(methods={"POST"}, path=r"/incidents\?", where=lambda call: b'"model": "post"' in call.body)
    hold(methods={"PATCH"}, path=r"/deployments/act\?(?!.*dryRun)")
    hold(methods={"PATCH"}, path=r"/incidents/say-[0-9a-f]+/status", where=lambda call: b"TierEntered" in call.body)
    for life in disturbed:
        life.break_it()
    disturbed[0].until(lambda: held.count == len(disturbed), "requests of the leader on their way")

    replicas.replicas[leader].pause()
    try:
        other = replicas.leader(other_than=leader)
        street.live(disturbed, 120)
        ends = [life.end() for life in disturbed]
    finally:
        held.gate.set()
        replicas.replicas[leader].resume()
    replicas.cluster.wait(lambda: not replicas.is_leading(leader), 30, "the old leader to see that it leads no more")
    street.live(disturbed, 30)

    assert ends == [END] * len(disturbed)
    assert [life.end() for life in disturbed] == ends
    assert often(*disturbed) <= 2
    assert replicas.leader() == other


def test_a_lease_that_people_meddle_with_costs_time_and_nothing_else(
    replicas: Replicas, lives: dict[str, Life]
) -> None:
    life = lives["meddled"]
    life.break_it()
    life.until(life.incidents, "an incident")
    replicas.cluster.api("DELETE", LEASE)
    life.until(lambda: replicas.holder() and "settledTime" in str(life.incidents()), "a lease, and containment")
    replicas.cluster.api("PATCH", LEASE, {"spec": {"holderIdentity": "somebody"}})

    life.street.live([life], 90)

    assert life.end() == END
    assert often(life) <= 2
    assert replicas.leader()
