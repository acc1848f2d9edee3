"""Does a containment stay right when others write too, answers get lost, and the server fails?"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.act import deployments as d
from tests.clocks import FakeClock
from tests.cluster.access import Access
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Answer, ApiProxy, CallBefore, DropAfter, DropBefore
from tocsin.act.containment import carry_out
from tocsin.api.containment import Option
from tocsin.decide.situation import Outcome

REAL = r"^(?!.*dryRun)"
"""Matches the path of a request that is no rehearsal."""

# --- others write too


def test_an_edit_between_reading_and_writing_is_kept(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)

    def edit(_: object) -> None:
        cluster.api("PATCH", d.where(namespace), {"metadata": {"labels": {"edited": "meanwhile"}}})

    conflict = proxy.rule(CallBefore(edit), path=REAL)
    outcome = d.through(proxy, namespace, effect)

    assert (conflict.fired, outcome.result) == (1, "Done")
    assert [call.status for call in proxy.writes] == [200, 409, 200]
    assert d.live(cluster, namespace)["metadata"]["labels"]["edited"] == "meanwhile"


def test_a_conflict_on_every_write_is_a_conflict_and_writes_nothing(
    cluster: Access, namespace: str, proxy: ApiProxy
) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    proxy.rule(Answer(409), times=None)

    outcome = d.through(proxy, namespace, effect)

    assert outcome.result == "Conflict"
    assert outcome.message == "changed by others during each of 8 tries: injected by a test"
    assert d.image(cluster, namespace) == "fraud:v2"


def test_a_storm_of_edits_does_not_keep_it_from_being_contained(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    stop, edits = threading.Event(), []

    def storm() -> None:
        while not stop.is_set():
            edits.append(secrets.token_hex(4))
            cluster.api("PATCH", d.where(namespace), {"metadata": {"labels": {"storm": edits[-1]}}})
            stop.wait(0.04)  # a real writer, of about twenty edits a second

    writer = threading.Thread(target=storm)
    writer.start()
    try:
        cluster.wait(lambda: len(edits) > 5, 10, "the storm")
        outcome = d.contained(cluster, namespace, effect)
    finally:
        stop.set()
        writer.join()

    assert outcome.result == "Done"
    assert d.image(cluster, namespace) == "fraud:v1"
    assert d.live(cluster, namespace)["metadata"]["labels"]["storm"] == edits[-1]


def recreated(cluster: Access, namespace: str) -> None:
    cluster.kubectl("delete", "deploy", d.NAME, "-n", namespace, "--cascade=foreground")
    d.rolled_out_bad(cluster, namespace, replicas=0)


def rolled_back_by_somebody(cluster: Access, namespace: str) -> None:
    cluster.kubectl("rollout", "undo", "deploy/fraud", "-n", namespace)
    d.taken_up(cluster, namespace)


def pruned(cluster: Access, namespace: str) -> None:
    cluster.kubectl("delete", "rs", d.replica_sets(cluster, namespace)["fraud:v1"]["metadata"]["name"], "-n", namespace)


def deleted(cluster: Access, namespace: str) -> None:
    cluster.kubectl("delete", "deploy", d.NAME, "-n", namespace)


@pytest.mark.parametrize(
    ("meanwhile", "result", "words"),
    [
        pytest.param(deleted, "Refused", "not found", id="a deleted target is refused"),
        pytest.param(recreated, "Refused", "made anew", id="a target of the same name that was made anew is refused"),
        pytest.param(
            rolled_back_by_somebody, "Conflict", "but not by this effect", id="a rollback by somebody else is not ours"
        ),
        pytest.param(
            lambda cluster, namespace: d.set_version(cluster, namespace, "v3"),
            "Conflict",
            "no longer",
            id="a further rollout must be decided anew",
        ),
        pytest.param(d.paused, "Conflict", "paused", id="a paused target must be decided anew"),
        pytest.param(pruned, "Conflict", "no longer keeps", id="a revision that was pruned must be decided anew"),
    ],
)
def test_what_changed_since_the_proposal_is_left_alone(
    cluster: Access, namespace: str, meanwhile: Callable[[Access, str], None], result: str, words: str
) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    meanwhile(cluster, namespace)
    before = cluster.found(d.where(namespace))

    outcome = d.contained(cluster, namespace, effect)

    assert outcome.result == result
    assert words in outcome.message
    assert _spec(cluster.found(d.where(namespace))) == _spec(before)


def _spec(found: Any) -> Any:
    return found and found["spec"]


# --- lost answers


def test_a_lost_answer_is_read_back(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    lost = proxy.rule(DropAfter(), path=REAL)

    outcome = d.through(proxy, namespace, effect)

    assert (lost.fired, outcome.result) == (1, "Done")
    d.taken_up(cluster, namespace)
    assert d.numbers(cluster, namespace) == {"fraud:v1": "3", "fraud:v2": "2"}


def test_a_lost_request_is_unknown_and_carried_out_by_the_next_call(
    cluster: Access, namespace: str, proxy: ApiProxy
) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    proxy.rule(DropBefore(), path=REAL)

    first, second = (d.through(proxy, namespace, effect) for _ in range(2))

    assert (first.result, second.result) == ("Unknown", "Done")
    assert "does not show the write" in first.message


@pytest.mark.parametrize("fault", [DropBefore(), DropAfter()], ids=["before the server", "after the server"])
@pytest.mark.parametrize("option", [d.PREVIOUS, d.STOP, d.to(1)], ids=["rollback", "stop", "scale to one"])
def test_it_ends_the_same_wherever_a_request_is_lost(
    cluster: Access, namespace: str, proxy: ApiProxy, option: Option, fault: DropBefore | DropAfter
) -> None:
    """Every request of one containment is lost in turn; the call after it brings the same end."""
    requests = {"GET", "POST", "PATCH"}
    d.rolled_out_bad(cluster, namespace)
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 0, 9))
    undisturbed, number = 99, 0
    while number < undisturbed:
        number += 1
        if option.type == "RollBack":
            d.set_version(cluster, namespace, "v1")
            d.set_version(cluster, namespace, "v2")
        with without_controllers(cluster):
            if option.type == "Scale":
                _scale_up(cluster, namespace)
            effect = replace(d.planned(cluster, namespace, option), key=f"uid/1/contain/{option.name}/{number}")
            before = _written(cluster, namespace, option)
            proxy.clear()
            rule = proxy.rule(fault, methods=requests, first=number)
            first = d.through(proxy, namespace, effect)
            second = d.through(proxy, namespace, effect)
        assert first.result in {"Done", "Unknown"}, (number, first)
        assert second.result == "Done", (number, second)
        d.taken_up(cluster, namespace)
        assert _written(cluster, namespace, option) - before == 1, number
        if not rule.fired:
            undisturbed = number
    assert number > 4


@contextmanager
def without_controllers(cluster: Access) -> Iterator[None]:
    """An autoscaler that has not seen the last change yet would scale in between."""
    assert isinstance(cluster, Cluster)
    cluster.signal_component("controllers", signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.signal_component("controllers", signal.SIGCONT)


def _scale_up(cluster: Access, namespace: str) -> None:
    unpinned = {"minReplicas": 0, "maxReplicas": 9, "behavior": None}
    cluster.api("PATCH", d.autoscalers(namespace, d.NAME), {"spec": unpinned})
    cluster.api("PATCH", d.where(namespace, "scale"), {"spec": {"replicas": 3}})


def _written(cluster: Access, namespace: str, option: Option) -> int:
    """How often it was written: the newest revision for a rollback, the generation for scaling."""
    if option.type == "RollBack":
        return max(int(number) for number in d.numbers(cluster, namespace).values())
    return int(d.live(cluster, namespace)["metadata"]["generation"])


# --- the server fails


def test_a_server_that_changes_the_restored_template_is_not_trusted(
    cluster: Access, namespace: str, proxy: ApiProxy
) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    changed = json.dumps(d.live(cluster, namespace))
    proxy.rule(Answer(200, changed))

    outcome = d.through(proxy, namespace, effect)

    assert outcome.result == "Refused"
    assert "would change the template" in outcome.message
    assert d.image(cluster, namespace) == "fraud:v2"


def test_a_busy_server_is_given_the_time_it_asks_for(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    proxy.rule(Answer(429, headers={"Retry-After": "2"}))

    async def run() -> tuple[bool, Outcome]:
        clock = FakeClock()
        async with d.connected(proxy.kubeconfig()) as api:
            working = asyncio.create_task(carry_out(api, namespace, effect, clock))
            await clock.until_asleep()
            await clock.advance(1.9)
            early = working.done() or not clock.sleepers
            await clock.advance(0.1)
            return early, await working

    early, outcome = asyncio.run(run())
    assert (early, outcome.result) == (False, "Done")


@pytest.mark.parametrize(
    ("times", "result", "image"),
    [
        pytest.param(3, "Done", "fraud:v1", id="a server that does not know its roles yet is asked again"),
        pytest.param(None, "Refused", "fraud:v2", id="a webhook that denies is not asked for ever"),
    ],
)
def test_what_is_forbidden_is_tried_for_some_seconds(
    cluster: Access, namespace: str, proxy: ApiProxy, times: int | None, result: str, image: str
) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    rule = proxy.rule(Answer(403), times=times)

    outcome = d.through(proxy, namespace, effect)
    assert (outcome.result, d.image(cluster, namespace)) == (result, image)
    assert rule.fired == (times or 8)


def test_a_failing_server_leaves_it_unknown(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    proxy.rule(Answer(500), times=None)

    outcome = d.through(proxy, namespace, effect)

    assert (outcome.result, d.image(cluster, namespace)) == ("Unknown", "fraud:v2")
