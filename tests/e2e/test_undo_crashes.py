"""The operator is killed before and after every write of an undo, and the model is undone as a whole all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.cluster.proxy import ApiProxy, Call, CallAfter, CallBefore, DropBefore
from tests.e2e.forks import Forks
from tests.e2e.rows import BOUND, MILD, Scene, scale
from tests.e2e.stage import Installed
from tests.e2e.supervisor import Supervisor

CHANGES = frozenset({"POST", "PUT", "PATCH"})
OURS = re.compile(r"/(incidents|deployments|horizontalpodautoscalers)/")
STEPS = (
    "Undoing",
    "rehearsed deployments",
    "rehearsed horizontalpodautoscalers",
    "deployments",
    "horizontalpodautoscalers",
    "Undone",
)
"""The writes of an undo, in this order; each is interrupted before and after."""
GAPS = [(step, side) for step in STEPS for side in ("before", "after")]
AUTOSCALERS = "/apis/autoscaling/v2"
METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
REACH = {"minReplicas": 2, "maxReplicas": 5}


def step(call: Call) -> str:
    """Which write of an undo this is; empty when it is another."""
    if "/status" not in call.path:
        rehearsed = "rehearsed " if "dryRun=All" in call.path else ""
        return rehearsed + call.path.split("?")[0].split("/")[6]
    states = [one["state"] for one in json.loads(call.body)["status"].get("containment", [])]
    return next((state for state in states if state in STEPS), "")


@dataclass
class Model:
    """A model that is contained, with an autoscaler that was pinned for that."""

    scene: Scene
    before: Any
    """The autoscaler's spec before it was pinned."""

    @classmethod
    def contained(cls, cluster: Access, people: dict[str, Any]) -> Model:
        scene = Scene.made(cluster, people)
        scene.runs(replicas=3)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit"}
        spec = {"scaleTargetRef": target, **REACH, "metrics": [METRIC]}
        made = scene.post(AUTOSCALERS, "horizontalpodautoscalers", {"metadata": {"name": "credit"}, "spec": spec})
        scene.guard(MILD, containment=[scale(1)])
        scene.until("Contained")
        model = cls(scene, made["spec"])
        assert model.reach() == (1, 1, 1)
        return model

    def autoscaler(self) -> Any:
        where = f"{AUTOSCALERS}/namespaces/{self.scene.namespace}/horizontalpodautoscalers/credit"
        return self.scene.cluster.api("GET", where)["spec"]

    def reach(self) -> tuple[int, int, int]:
        """The number of replicas, and what the autoscaler allows."""
        spec = self.autoscaler()
        return self.scene.deployment()["spec"]["replicas"], spec["minReplicas"], spec["maxReplicas"]

    def is_about(self, call: Call) -> bool:
        return f"/namespaces/{self.scene.namespace}/" in call.path

    def undo(self) -> None:
        option = self.scene.option("stop", "Executed", "CannotTell")
        self.scene.decide("ben", "Undo", option="stop", digest=option["digest"], reason="it is needed again")

    def ended(self) -> dict[str, Any]:
        """What is there in the end."""
        record = self.scene.option("stop", "Undone")
        status = self.scene.status()
        undos = [one for one in status["effects"] if "/undo/" in one["key"]]
        causes = [cause for one in status["effects"] for cause in one.get("causes", []) if "Undone" in cause]
        return {
            "scaled up": self.reach()[0] > 1,
            "autoscaler": self.autoscaler() == self.before,
            "attempt": record["undo"]["attempt"],
            "undos": [(one["key"].split("/", 1)[1], one["state"]) for one in undos],
            "held": status["held"]["by"],
            "causes": set(causes),
            "decisions": [(one["type"], one["counted"]) for one in status["decisions"]],
        }


END: dict[str, Any] = {
    "scaled up": True,
    "autoscaler": True,
    "attempt": 1,
    "undos": [("1/undo/stop/1", "Done")],
    "held": "ben",
    "causes": {"Undone"},
    "decisions": [("Undo", True)],
}
"""The autoscaler may have moved the number in between: it is only where it begins again."""


@pytest.fixture(scope="module")
def proxy(cluster: Access) -> Iterator[ApiProxy]:
    """It stands in front of an API server of ours only."""
    with ApiProxy(cluster) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def supervisor(cluster: Access, installed: Installed, proxy: ApiProxy) -> Iterator[Supervisor]:
    """An operator that comes back; what it said is shown when a test fails."""
    operator = installed.operator("tocsin-undoing", server=proxy.url, leaseDuration="4s")
    with Forks(cluster, operator.kubeconfig) as forks:
        supervisor = Supervisor(forks, operator)
        supervisor.start()
        yield supervisor
        forks.kill(supervisor.pid)


@pytest.fixture(scope="module")
def models(cluster: Access, supervisor: Supervisor) -> Iterator[list[Model]]:
    """One for each gap, and one that nobody disturbs: all are contained before the first kill."""
    people = {user: cluster.kubeconfig_for(user) for user in BOUND}
    with ThreadPoolExecutor(7) as pool:
        models = list(pool.map(lambda _: Model.contained(cluster, people), range(len(GAPS) + 1)))
    yield models
    for model in models:
        cluster.delete_namespace(model.scene.namespace)


def test_an_undo_that_nobody_disturbs_has_these_writes(models: list[Model], proxy: ApiProxy) -> None:
    model = models[-1]
    proxy.clear()

    model.undo()

    assert model.ended() == END
    mine = [one for one in proxy.calls if one.method in CHANGES and model.is_about(one) and OURS.search(one.path)]
    found = [step(one) for one in mine]
    assert tuple(dict.fromkeys(one for one in found if one in STEPS)) == STEPS


def test_a_containment_that_was_killed_between_autoscaler_and_number_is_one_and_can_be_undone(
    models: list[Model], cluster: Access, proxy: ApiProxy, supervisor: Supervisor
) -> None:
    people = models[0].scene.people
    killing = proxy.rule(
        CallAfter(supervisor.crash),
        methods=CHANGES,
        path="/horizontalpodautoscalers/",
        where=lambda one: step(one) == "horizontalpodautoscalers",
    )

    model = Model.contained(cluster, people)
    assert (killing.fired, model.scene.option("stop", "Executed")["attempt"]) == (1, 1)
    model.undo()

    print(supervisor.log)  # noqa: T201 - pytest shows it with a failure
    assert model.ended() == END
    cluster.delete_namespace(model.scene.namespace)


@pytest.mark.parametrize(("place", "gap"), list(enumerate(GAPS)), ids=[f"{side} {step}" for step, side in GAPS])
def test_it_is_undone_as_a_whole_wherever_the_operator_is_killed(
    models: list[Model], proxy: ApiProxy, supervisor: Supervisor, place: int, gap: tuple[str, str]
) -> None:
    model, (wanted, side), kills = models[place], gap, len(supervisor.kills)
    proxy.clear()
    rule = partial(
        proxy.rule, methods=CHANGES, path=OURS.pattern, where=lambda one: model.is_about(one) and step(one) == wanted
    )
    killing = rule(CallBefore(supervisor.crash)) if side == "before" else rule(CallAfter(supervisor.crash))
    if side == "before":
        rule(DropBefore())

    model.undo()

    print(supervisor.log)  # noqa: T201 - pytest shows it with a failure
    assert model.ended() == END
    assert (killing.fired, len(supervisor.kills)) == (1, kills + 1)
