"""Conflicts, outages, and people who change things in the middle: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import Cluster, ours
from tests.cluster.proxy import Answer, ApiProxy, Call, CallAfter, DropAfter, Fault, Proxy
from tests.e2e.lives import END, Life, Street
from tests.e2e.rows import BOUND, MILD, QUIET_TIERS, Rows, Scene, fact, roll_back, scale, signal
from tests.e2e.stage import ACCURACY, API, BAD, GOOD, SYSTEM, OperatorProcess, Stage

row = Rows()
CHANGES = {"POST", "PUT", "PATCH"}
WITHOUT_EVENTS = r"^(?!.*(/events|/leases))"
DATASOURCE = {"after": "3s", "responders": ["platform"]}
proxies: dict[str, Any] = {}
"""What stands between the operator and the API server, and a Prometheus of its own name."""


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """Everything goes through proxies that can be told to fail; somebody is told of a server that is down."""
    api = proxies["api"] = stack.enter_context(ApiProxy(cluster))
    metrics = proxies["metrics"] = stack.enter_context(Proxy(cluster.prometheus_service_url))
    Stage(cluster, SYSTEM).responder("platform", "ada")
    servers = {"default": {"url": cluster.prometheus_service_url}, "shaky": {"url": metrics.url, "timeout": "2s"}}
    return {"prometheus": servers, "datasource": DATASOURCE, "server": api.url}


# --- the API server refuses, is busy, or loses its answers


class EveryOther:
    """Every other try of each write of a life: the first is disturbed, the next comes through."""

    def __init__(self, life: Life) -> None:
        self._life, self._tries = life, Counter[tuple[str, str]]()

    def __call__(self, call: Call) -> bool:
        if not self._life.is_about(call):
            return False
        self._tries[call.method, call.path] += 1
        return self._tries[call.method, call.path] % 2 == 1


@row
def every_write_that_is_refused_or_lost_once_is_done_once(scene: Scene) -> None:
    assert isinstance(scene.cluster, Cluster)
    faults: dict[str, Fault] = {
        "conflicting": Answer(409),
        "failing": Answer(500),
        "busy": Answer(429, headers={"Retry-After": "1"}),
        "lost": DropAfter(),
    }
    with closing(Street.settle(scene.cluster)) as street:
        lives = [Life(street, name) for name in faults]
        rules = [
            proxies["api"].rule(
                faults[life.model], methods=CHANGES, path=WITHOUT_EVENTS, times=None, where=EveryOther(life)
            )
            for life in lives
        ]
        street.prepare(lives)
        street.live(lives, 200, Life.break_it)
        assert {life.model: life.end() for life in lives} == dict.fromkeys(faults, END)
        assert {life.model: len(times) for life in lives for times in life.arrivals().values()} == dict.fromkeys(
            faults, 1
        )
        assert all(rule.fired > 5 for rule in rules)


# --- Prometheus does not answer


@row
def prometheus_away_for_longer_than_for_neither_fires_nor_recovers_and_what_was_pending_goes_on(scene: Scene) -> None:
    scene.serve("v1", GOOD)
    watched = signal(ACCURACY, **{"for": "6s", "recoverAfter": "6s"})
    scene.guard(prometheus="shaky", signals=[watched], containment=[])
    scene.says("Measured", "HasData")
    becomes(scene, BAD)
    time.sleep(2)  # noqa: TID251 - a part of `for`
    away_at = datetime.now(UTC)  # noqa: TID251 - a real outage
    with without_prometheus():
        scene.wait(lambda: fires(incidents_of_the_server(scene)), "the incident of the server that fires")
        time.sleep(6)  # noqa: TID251 - longer than `for`, all in all
        assert scene.incidents() == [], "nothing fires on missing data"
        assert len(incidents_of_the_server(scene)) == 1

    incident = scene.until("Firing")
    since = datetime.fromisoformat(incident["status"]["signals"][0]["since"])
    assert since < away_at, "the breach did not begin anew"
    becomes(scene, GOOD)
    with without_prometheus():
        time.sleep(8)  # noqa: TID251 - longer than `recoverAfter`
        assert fact(scene.incident(), "Recovered")[0] == "False", "missing data recovers nothing"
    scene.until("Recovered")
    assert len(scene.incidents()) == 1
    told = [one.body for one in scene.cluster.sink.received("/page/platform")]
    assert [(one["model"], one["cause"]) for one in told][:1] == [("prometheus-shaky", "TierEntered")]


def becomes(scene: Scene, accuracy: float) -> None:
    """Change the model's quality, and wait until Prometheus has it."""
    scene.quality(accuracy=accuracy)
    query = f'model_quality_ratio{{namespace="{scene.namespace}",metric="accuracy"}}'
    scene.wait(lambda: scene.cluster.value(query) == accuracy, f"accuracy {accuracy} in Prometheus")


@contextmanager
def without_prometheus() -> Iterator[None]:
    """Every query of the shaky server fails."""
    proxies["metrics"].rule(Answer(500), methods={"GET", "POST"}, times=None)
    yield
    proxies["metrics"].clear()


def incidents_of_the_server(scene: Scene) -> list[Any]:
    items = scene.cluster.api("GET", f"/apis/{API}/namespaces/{SYSTEM}/incidents")["items"]
    return [one for one in items if one["spec"]["model"] == "prometheus-shaky"]


def fires(incidents: list[Any]) -> bool:
    return [fact(one, "Firing")[:2] for one in incidents] == [("True", "Sustained")]


# --- receivers fail


@row
def a_receiver_that_fails_blocks_nobody_is_named_and_is_told_when_it_is_back(scene: Scene) -> None:
    sink = scene.cluster.sink
    failing: dict[str, dict[str, Any]] = {
        "failing": {"status": 500},
        "busy": {"status": 429, "headers": {"Retry-After": "1"}},
        "hanging": {"hang": 60},
        "closing": {"close": True},
        "gone": {"status": 410},
    }
    for name, behaviour in failing.items():
        path = f"/{scene.namespace}/{name}"
        sink.behave(path, **behaviour)
        scene.secret(f"{name}-channel", sink.url(path))
        scene.reach(name, "ada", secret=f"{name}-channel")
    tiers = [
        {
            "name": "owners",
            "severity": "SEV4",
            "accountable": "owners",
            "responsible": [*failing],
            "acknowledgeWithin": "3s",
        },
        {"name": "compliance", "severity": "SEV2", "accountable": "risk"},
    ]
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1)], tiers=tiers)

    scene.until("Contained")
    scene.until("tier.tocsin.dev/compliance")
    scene.wait(lambda: scene.pages("owners") and scene.pages("risk"), "the pages of those who can be reached")
    scene.says("Notified", "Undelivered", "owners.gone", "answered 410", plural="incidents", name=name_of(scene))

    for name in failing:
        sink.behave(f"/{scene.namespace}/{name}")
    scene.until("Notified", reason="Delivered")
    keys = [one.body["key"] for one in sink.received() if one.path == f"/{scene.namespace}/gone"]
    assert set(keys) >= {one["key"] for one in scene.status()["effects"] if "owners.gone" in one["key"]}


def name_of(scene: Scene) -> str:
    return str(scene.incident()["metadata"]["name"])


# --- people change things in the middle


@row
def an_incident_goes_on_by_the_rules_it_was_opened_with_whatever_becomes_of_the_policy(scene: Scene) -> None:
    tiers = [tier | {"acknowledgeWithin": "4s"} for tier in QUIET_TIERS]
    scene.serve("v1", BAD)
    scene.guard(ACCURACY, containment=[], tiers=tiers)
    scene.until("Firing")
    lenient = signal(ACCURACY, warn="< 0.10", critical="< 0.05")
    scene.change("escalationpolicies/credit", {"spec": {"signals": [lenient], "tiers": QUIET_TIERS[:1]}})
    scene.until("tier.tocsin.dev/compliance")
    assert fact(scene.incident(), "Firing")[0] == "True"

    scene.cluster.api("DELETE", f"/apis/{API}/namespaces/{scene.namespace}/escalationpolicies/credit")
    scene.until("tier.tocsin.dev/executives")
    scene.quality(accuracy=GOOD)
    scene.until("Recovered")
    assert len(scene.incidents()) == 1


@row
def an_incident_that_was_deleted_is_opened_anew_while_the_breach_goes_on(scene: Scene) -> None:
    scene.guard(MILD, containment=[])
    first = scene.until("Firing")
    scene.wait(lambda: scene.pages("owners"), "the page, which is withdrawn with the incident while it waits")
    scene.bind("tocsin-records", "User", "ada")
    delete = ("delete", "incident", name_of(scene), "-n", scene.namespace)
    scene.wait(lambda: "deleted" in scene.cluster.kubectl(*delete, kubeconfig=scene.people["ada"], check=False), "it")

    def anew() -> Any:
        return [one for one in scene.incidents() if one["metadata"]["uid"] != first["metadata"]["uid"]]

    scene.wait(anew, "another incident")
    scene.until("Firing")
    scene.wait(lambda: len({page["key"] for page in scene.pages("owners")}) == 2, "a page for each")


@row
def a_brake_that_is_put_on_between_decision_and_act_stops_the_act(scene: Scene) -> None:
    where = f"/api/v1/namespaces/{scene.namespace}"

    def brake(_: Call) -> None:
        scene.cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": "audit"}}})

    decided = rf"/namespaces/{scene.namespace}/incidents/.*/status"
    proxies["api"].rule(CallAfter(brake), methods={"PATCH"}, path=decided, where=lambda call: b"Executing" in call.body)
    scene.runs()
    scene.roll("v2")
    scene.guard(MILD, containment=[roll_back()])

    held = scene.until("Contained", "False", reason="Held")
    assert "audit" in fact(held, "Contained")[2]
    assert scene.version() == "v2"
    scene.cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": None}}})
    done = scene.until("Contained")
    assert scene.version() == "v1"
    acts = [one for one in done["status"]["effects"] if "/contain/" in one["key"]]
    assert [(one["key"].rsplit("/", 1)[1], one["state"]) for one in acts] == [("1", "Failed"), ("2", "Done")]


@row
def a_notice_that_nobody_takes_keeps_no_new_breach_from_being_opened(scene: Scene) -> None:
    """The resolved incident goes on to tell, past its reopen window, and the next is opened beside it."""
    sink, path = scene.cluster.sink, f"/{scene.namespace}/gone"
    sink.behave(path, status=410)
    scene.secret("gone-channel", sink.url(path))
    scene.reach("gone", "ada", secret="gone-channel")
    tiers = [{"name": "owners", "severity": "SEV4", "accountable": "gone"}]
    scene.guard(MILD, containment=[], tiers=tiers, reopenWindow="1s")
    scene.until("Notified", "False", reason="Undelivered")
    scene.decide("ada", "Resolve", reason="known")

    scene.wait(lambda: len(scene.incidents()) == 2, "another incident of the breach that goes on")


@pytest.mark.parametrize("name", row.names)
def test_beside_the_others(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


# --- everything at once, alone


@pytest.fixture
def own(cluster: Access) -> Cluster:
    return ours(cluster)


def test_an_api_server_that_is_restarted_and_killed_in_the_middle(own: Cluster, operator: OperatorProcess) -> None:
    with closing(Street.settle(own)) as street:
        street.patient = True  # a notice may wait until the server knows again who may read a channel's secret
        lives = [Life(street, name) for name in ("early", "later")]
        street.prepare(lives)
        lives[0].break_it()
        lives[0].until(lives[0].incidents, "an incident")
        own.restart_apiserver()
        lives[1].break_it()
        lives[1].until(lives[1].incidents, "an incident")
        own.restart_apiserver(kill=True)
        street.live(lives, 120)
        assert [life.end() for life in lives] == [END, END]
        assert max(len(times) for life in lives for times in life.arrivals().values()) <= 3


def test_a_breach_that_is_pending_outlives_the_operator_and_prometheus(own: Cluster, operator: OperatorProcess) -> None:
    """Neither a crash at four fifths of `for` nor one while Prometheus is away makes it fire twice or start again."""
    scenes = [Scene.made(own, {user: own.kubeconfig_for(user) for user in BOUND}) for _ in range(2)]
    spans = ("15s", "25s")
    try:
        for scene, span in zip(scenes, spans, strict=True):
            scene.serve("v1", GOOD)
            scene.guard(signals=[signal(ACCURACY, **{"for": span})], containment=[])
            scene.says("Measured", "HasData")
        for scene in scenes:
            becomes(scene, BAD)
        time.sleep(11)  # noqa: TID251 - a real breach is pending
        killed_at = datetime.now(UTC)  # noqa: TID251 - a real crash
        assert [scene.incidents() for scene in scenes] == [[], []]
        operator.kill()
        operator.start()
        first = scenes[0].until("Firing")
        assert datetime.fromisoformat(first["status"]["signals"][0]["since"]) < killed_at

        assert scenes[1].incidents() == []
        own.stop_prometheus()
        operator.kill()
        operator.start()
        time.sleep(12)  # noqa: TID251 - longer than what is left of `for`
        assert scenes[1].incidents() == []
        own.start_prometheus()
        second = scenes[1].until("Firing")
        assert datetime.fromisoformat(second["status"]["signals"][0]["since"]) < killed_at
        for scene in scenes:
            assert len({page["key"] for page in scene.pages("owners")}) == 1
            assert len(scene.incidents()) == 1
    finally:
        own.start_prometheus()
        for scene in scenes:
            own.delete_namespace(scene.namespace)
