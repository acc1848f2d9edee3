"""Does an undo bring back what was there, once and as a whole, and only while it is as the containment left it?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from tests.act import deployments as d
from tests.act.test_containment import ROLLING, SCALING
from tests.act.test_containment_faults import REAL, rolled_back_by_somebody, without_controllers
from tests.clocks import HastyClock
from tests.cluster.access import Access
from tests.cluster.proxy import Answer, ApiProxy, DropAfter, DropBefore
from tocsin.act.containment import carry_out
from tocsin.api.containment import Option
from tocsin.decide.plan import Contain, Undo
from tocsin.decide.workload import is_scaled_by

ALL = pytest.mark.parametrize("option", [d.PREVIOUS, d.STOP, d.to(1)], ids=["rollback", "stop", "scale to one"])


def contained(cluster: Access, namespace: str, option: Option) -> tuple[Contain, Undo]:
    """Contain the target as it is; the effect, and the undo of it."""
    effect = d.planned(cluster, namespace, option)
    outcome = d.contained(cluster, namespace, effect)
    assert outcome.result == "Done", outcome
    d.taken_up(cluster, namespace)
    return effect, d.undo_of(cluster, namespace, effect)


def annotations(cluster: Access, namespace: str) -> dict[str, str]:
    found: dict[str, str] = d.live(cluster, namespace)["metadata"]["annotations"]
    return {name: value for name, value in found.items() if not name.startswith("deployment.kubernetes.io/")}


def replicas(cluster: Access, namespace: str) -> int:
    return int(d.live(cluster, namespace)["spec"]["replicas"])


# --- what comes back


def test_a_rollback_is_rolled_forward_and_the_marks_say_so(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace, annotations={"team": "a"}))
    d.set_version(cluster, namespace, "v2", annotations={"team": "b"})
    before = d.live(cluster, namespace)["spec"]["template"]
    _, undo = contained(cluster, namespace, d.PREVIOUS)

    outcome = d.contained(cluster, namespace, undo)

    d.taken_up(cluster, namespace)
    assert (outcome.result, outcome.message) == (
        "Done",
        f"read back: Deployment/fraud has the template {undo.proposal.to}",
    )
    assert d.live(cluster, namespace)["spec"]["template"] == before
    assert d.numbers(cluster, namespace) == {"fraud:v1": "3", "fraud:v2": "4"}
    assert annotations(cluster, namespace) == {"team": "b", "tocsin.dev/undone-by": undo.key}


def test_a_containment_after_an_undo_is_one_again(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    _, undo = contained(cluster, namespace, d.PREVIOUS)
    d.contained(cluster, namespace, undo)
    d.taken_up(cluster, namespace)

    effect, _ = contained(cluster, namespace, d.PREVIOUS)

    assert annotations(cluster, namespace) == {"tocsin.dev/contained-by": effect.key}
    assert d.image(cluster, namespace) == "fraud:v1"


def test_the_number_that_is_put_back_is_not_one_that_contains(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    _, undo = contained(cluster, namespace, d.STOP)

    outcome = d.contained(cluster, namespace, undo)

    assert (outcome.result, outcome.message) == ("Done", "read back: Deployment/fraud has replicas: 3")
    live = d.live(cluster, namespace)
    assert live["spec"]["replicas"] == 3
    assert (is_scaled_by(live, "tocsin"), is_scaled_by(live, "tocsin-undo")) == (False, True)


NO_UP = {"scaleUp": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]}}


@pytest.mark.parametrize(
    ("option", "least", "behavior"),
    [
        pytest.param(d.to(1), 2, None, id="minimum and maximum"),
        pytest.param(d.STOP, 0, None, id="no behavior"),
        pytest.param(d.STOP, 0, NO_UP, id="a behavior of its own"),
        pytest.param(d.STOP, 1, None, id="one that disabled itself"),
    ],
)
def test_the_autoscaler_gets_back_exactly_what_it_had_after_the_number(
    cluster: Access, namespace: str, proxy: ApiProxy, option: Option, least: int, behavior: Any
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    body = d.autoscaler(namespace, least, 9)
    body["spec"] |= {"behavior": behavior} if behavior else {}
    d.scaled_by(cluster, namespace, body)
    before = d.autoscaler_spec(cluster, namespace)
    with without_controllers(cluster):  # an autoscaler that cannot measure moves the number
        effect = d.planned(cluster, namespace, option)
        d.contained(cluster, namespace, effect)
        pinned = d.autoscaler_spec(cluster, namespace) != before
        undo = d.undo_of(cluster, namespace, effect)
        proxy.clear()
        outcome = d.through(proxy, namespace, undo)
        number = replicas(cluster, namespace)

    assert outcome.result == "Done"
    assert (d.autoscaler_spec(cluster, namespace), number) == (before, 3)
    written = [call.path.split("?")[0].split("/")[-1] for call in proxy.writes if "dryRun" not in call.path]
    assert written == ["scale", "fraud"] if pinned else ["scale"]


@ALL
def test_the_second_call_finds_it_done_and_writes_nothing(
    cluster: Access, namespace: str, proxy: ApiProxy, option: Option
) -> None:
    d.rolled_out_bad(cluster, namespace)
    _, undo = contained(cluster, namespace, option)
    first = d.through(proxy, namespace, undo)
    proxy.clear()

    assert d.through(proxy, namespace, undo) == first
    assert proxy.writes == []


@pytest.mark.parametrize(("option", "rights"), [(d.PREVIOUS, ROLLING), (d.to(1), SCALING)], ids=["rollback", "scale"])
def test_an_undo_needs_no_more_rights_than_the_containment(
    cluster: Access, namespace: str, option: Option, rights: d.Rights
) -> None:
    d.rolled_out_bad(cluster, namespace)
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))
    _, undo = contained(cluster, namespace, option)
    kubeconfig = d.granted(cluster, namespace, rights)

    outcome = d.ask(kubeconfig, lambda api: carry_out(api, namespace, undo, HastyClock()))

    assert outcome.result == "Done", outcome


# --- others have written since


def recreated(cluster: Access, namespace: str) -> None:
    cluster.kubectl("delete", "deploy", d.NAME, "-n", namespace, "--cascade=foreground")
    d.rolled_out_bad(cluster, namespace, replicas=0)


def forward(cluster: Access, namespace: str) -> None:
    d.set_version(cluster, namespace, "v3")


def pruned(cluster: Access, namespace: str) -> None:
    cluster.kubectl("delete", "rs", d.replica_sets(cluster, namespace)["fraud:v2"]["metadata"]["name"], "-n", namespace)


def marked_by_another(cluster: Access, namespace: str) -> None:
    mark = "tocsin.dev/contained-by=other/1/contain/a/1"
    cluster.kubectl("annotate", "deploy/fraud", mark, "--overwrite", "-n", namespace)


def scaled_to(number: int) -> Callable[[Access, str], None]:
    def scale(cluster: Access, namespace: str) -> None:
        cluster.kubectl("scale", "deploy/fraud", "--replicas=9", "-n", namespace)
        cluster.kubectl("scale", "deploy/fraud", f"--replicas={number}", "-n", namespace)

    return scale


@pytest.mark.parametrize(
    ("option", "meanwhile", "words"),
    [
        pytest.param(d.PREVIOUS, forward, "has another template by now", id="a further rollout"),
        pytest.param(d.PREVIOUS, rolled_back_by_somebody, "has another template by now", id="undone by somebody else"),
        pytest.param(d.PREVIOUS, recreated, "was deleted and made anew", id="made anew"),
        pytest.param(d.PREVIOUS, d.paused, "is paused", id="paused"),
        pytest.param(d.PREVIOUS, pruned, "no longer keeps the revision", id="the revision was pruned"),
        pytest.param(d.PREVIOUS, marked_by_another, "not by this incident any more", id="another incident's by now"),
        pytest.param(d.STOP, scaled_to(2), "has replicas: 2, no longer 0", id="scaled to another number"),
        pytest.param(d.STOP, scaled_to(3), "has replicas: 3, no longer 0", id="scaled back by somebody else"),
        pytest.param(d.to(1), scaled_to(1), "was scaled to 1 by somebody else", id="scaled to the same number"),
    ],
)
def test_what_somebody_has_changed_is_left_alone(
    cluster: Access, namespace: str, option: Option, meanwhile: Callable[[Access, str], None], words: str
) -> None:
    d.rolled_out_bad(cluster, namespace)
    _, undo = contained(cluster, namespace, option)
    meanwhile(cluster, namespace)
    before = d.live(cluster, namespace)

    outcome = d.contained(cluster, namespace, undo)

    assert outcome.result == "Conflict"
    assert words in outcome.message
    after = d.live(cluster, namespace)
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])


def test_an_autoscaler_that_somebody_has_changed_is_left_alone(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 2, 9))
    _, undo = contained(cluster, namespace, d.to(1))
    cluster.api("PATCH", d.autoscalers(namespace, d.NAME), {"spec": {"maxReplicas": 4}})

    outcome = d.contained(cluster, namespace, undo)

    assert outcome.result == "Conflict"
    assert outcome.message == "the autoscaler of Deployment/fraud is not as we left it"
    assert d.autoscaler_spec(cluster, namespace)["maxReplicas"] == 4


# --- lost on the way


@pytest.mark.parametrize("fault", [DropBefore(), DropAfter()], ids=["before the server", "after the server"])
@ALL
def test_it_ends_the_same_wherever_a_request_is_lost(
    cluster: Access, namespace: str, proxy: ApiProxy, option: Option, fault: DropBefore | DropAfter
) -> None:
    """Every request of one undo is lost in turn; the call after it brings the same end."""
    d.rolled_out_bad(cluster, namespace)
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 0, 9))
    spec = d.autoscaler_spec(cluster, namespace)
    undisturbed, number = 99, 0
    # The autoscaler sleeps from the first round to the last: between two it would scale by what it last saw, the pin.
    with without_controllers(cluster) if option.type == "Scale" else nullcontext():
        while number < undisturbed:
            number += 1
            if option.type == "RollBack":
                effect, _ = contained(cluster, namespace, option)
                undo = d.undo_of(cluster, namespace, effect, number)
                rule, first, second = _disturbed(proxy, namespace, undo, fault, number)
                d.taken_up(cluster, namespace)
                assert d.image(cluster, namespace) == "fraud:v2", number
                assert annotations(cluster, namespace) == {"tocsin.dev/undone-by": undo.key}
            else:
                effect = d.planned(cluster, namespace, option)
                d.contained(cluster, namespace, effect)
                undo = d.undo_of(cluster, namespace, effect, number)
                rule, first, second = _disturbed(proxy, namespace, undo, fault, number)
                assert (replicas(cluster, namespace), d.autoscaler_spec(cluster, namespace)) == (3, spec), number
            assert first.result in {"Done", "Unknown"}, (number, first)
            assert second.result == "Done", (number, second)
            if not rule.fired:
                undisturbed = number
    assert number > 4


def _disturbed(proxy: ApiProxy, namespace: str, undo: Undo, fault: Any, number: int) -> tuple[Any, Any, Any]:
    proxy.clear()
    rule = proxy.rule(fault, methods={"GET", "POST", "PATCH"}, first=number)
    return rule, d.through(proxy, namespace, undo), d.through(proxy, namespace, undo)


def half_done(cluster: Access, namespace: str, proxy: ApiProxy, fault: Any, times: int | None = 1) -> Undo:
    """An undo of which the number was written, and the autoscaler was not."""
    effect = d.planned(cluster, namespace, d.to(1))
    d.contained(cluster, namespace, effect)
    undo = d.undo_of(cluster, namespace, effect)
    rule = proxy.rule(fault, path=f"{REAL}.*horizontalpodautoscalers", times=times)
    first = d.through(proxy, namespace, undo)
    assert rule.fired
    assert first.result == "Unknown", first
    assert (replicas(cluster, namespace), d.autoscaler_spec(cluster, namespace)["maxReplicas"]) == (3, 1)
    proxy.lift(rule)
    return undo


@pytest.mark.parametrize("number", [3, 1], ids=["as it was written", "brought down again by the pinned autoscaler"])
def test_an_undo_that_was_killed_in_between_goes_on(
    cluster: Access, namespace: str, proxy: ApiProxy, number: int
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 2, 9))
    with without_controllers(cluster):
        undo = half_done(cluster, namespace, proxy, DropBefore())
        cluster.kubectl("scale", "deploy/fraud", f"--replicas={number}", "-n", namespace)

        assert d.contained(cluster, namespace, undo).result == "Done"

        spec = d.autoscaler_spec(cluster, namespace)
        assert (replicas(cluster, namespace), spec["minReplicas"], spec["maxReplicas"]) == (3, 2, 9)


def test_an_undo_that_is_half_done_is_not_called_a_conflict(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 2, 9))
    with without_controllers(cluster):
        undo = half_done(cluster, namespace, proxy, Answer(409), times=None)

        assert d.through(proxy, namespace, undo).result == "Done"
