"""What is wrong is named with the field and the fix, and everything beside it goes on."""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.exporter import exporting
from tests.e2e.rows import (
    MILD,
    PATIENT_LEASE,
    QUIET_TIERS,
    Rows,
    Scene,
    constant,
    fact,
    signal,
)
from tests.e2e.stage import API
from tests.observe.faulty import FaultyServer, Reply

row = Rows()
HTML = Reply(b"<html><body>Please log in</body></html>", headers={"Content-Type": "text/html"})
POISON = f"{constant(1)} * on () ({constant(1)} or {constant(1, 'other')})"
"""It parses, and fails whenever it is evaluated: many-to-many."""


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """Beside the usual Prometheus one that is only a login page, and the usual one as a server of one tenant."""
    page = stack.enter_context(FaultyServer())
    page.answer = lambda _: HTML
    url = cluster.prometheus_service_url
    servers = {"default": {"url": url}, "page": {"url": page.url}, "single": {"url": url, "tenancy": "Single"}}
    return {"prometheus": servers, "leaseDuration": PATIENT_LEASE}


def watch(scene: Scene, query: str, **changes: Any) -> None:
    """A policy that only watches: what it names besides its query is all there."""
    scene.guard(query, **{"models": [{"name": "credit"}], "containment": []} | changes)


def beside(scene: Scene) -> None:
    """Another policy of the namespace finds its breach: nothing of what is wrong has reached it."""
    scene.guard(constant(0.5, "beside"), "beside", models=[{"name": "beside"}], containment=[])

    def found() -> list[Any]:
        return [one for one in scene.incidents() if one["spec"]["policyRef"]["name"] == "beside"]

    scene.wait(found, "its neighbour's incident")


# --- queries


@row
def a_query_that_cannot_be_parsed_is_named_with_the_words_of_prometheus(scene: Scene) -> None:
    watch(scene, "avg by (model (up)")
    scene.says("Ready", "InvalidQuery", "signals[accuracy].query: the query is refused", "parse error")
    scene.says("Measured", "QueryFailed", "accuracy: the query is refused", "parse error")
    beside(scene)


@row
def each_of_a_policys_queries_is_named_by_its_own_field(scene: Scene) -> None:
    broken = {"query": "up{"}
    guards = {"samples": broken | {"min": 5}, "reportedAt": broken}
    watch(scene, "up", signals=[signal(MILD, **guards)], risk={"affected": broken})
    fields = ("signals[accuracy].samples.query", "signals[accuracy].reportedAt.query", "risk.affected.query")
    scene.says("Ready", "InvalidQuery", *fields)
    beside(scene)


@row
def a_query_that_gives_a_text_or_a_range_says_what_to_do(scene: Scene) -> None:
    watch(scene, '"a text"')
    scene.says("Ready", "InvalidQuery", "signals[accuracy].query", "gives a text, not a number")
    watch(scene, "up[5m]", name="range")
    scene.says("Ready", "InvalidQuery", "put a function around it", name="range")


@row
def a_query_that_returns_nothing_is_missing_data_and_says_which_labels_it_lacks(scene: Scene) -> None:
    watch(scene, 'model_quality_ratio{metric="no_such_metric"}')
    scene.says("Measured", "NoData", "accuracy: the query returned nothing", "model=credit")
    beside(scene)


@row
def nan_is_missing_data_and_never_health_nor_a_breach(scene: Scene) -> None:
    watch(scene, constant("NaN"))
    scene.says("Measured", "NoData", "accuracy: the query returned NaN")
    beside(scene)
    assert fact(scene.fetch("escalationpolicies", "credit"), "Measured")[1] == "NoData"
    assert [one["spec"]["model"] for one in scene.incidents()] == ["beside"]


@row
def infinity_is_a_value_and_breaches(scene: Scene) -> None:
    lines = {"warn": "> 0.3", "critical": "> 0.6"}
    watch(scene, constant("Inf"), signals=[signal(constant("Inf"), kind="Latency", name="latency", **lines)])
    incident = scene.until("Firing")
    assert "+Inf (model=credit) breaches" in fact(incident, "Firing")[2]
    terms = {term["name"]: term["value"] for term in incident["status"]["score"]["terms"]}
    assert terms["signals"] == "35"


@row
def minus_infinity_is_a_value_and_breaches(scene: Scene) -> None:
    watch(scene, constant("-Inf"))
    assert "-Inf (model=credit) breaches" in fact(scene.until("Firing"), "Firing")[2]


@row
def a_page_of_html_with_200_is_a_failed_query_that_asks_for_the_address(scene: Scene) -> None:
    watch(scene, MILD, prometheus="page")
    scene.says("Measured", "QueryFailed", "accuracy: ", "is the address really a Prometheus server's?")
    beside(scene)


@row
def a_scalar_is_nobodys_where_tenants_share_a_server(scene: Scene) -> None:
    watch(scene, "0.5")
    scene.says("Measured", "NoData", "model=credit")


@row
def a_scalar_is_a_value_of_the_only_model_on_a_server_of_one_tenant(scene: Scene) -> None:
    watch(scene, "0.5", prometheus="single")
    assert "0.5 breaches" in fact(scene.until("Firing"), "Firing")[2]


@row
def of_500_series_the_worst_counts_and_its_labels_are_told(scene: Scene) -> None:
    lines = [f'fit{{model="credit",slice="{n}"}} {0.61 if n == 417 else 0.95}' for n in range(500)]
    scene.cluster.apply(exporting("credit", scene.namespace, *lines))
    watch(scene, "fit")
    message = fact(scene.until("Firing"), "Firing")[2]
    assert message.startswith("accuracy: 0.61 (model=credit, namespace=")
    assert "slice=417" in message


@row
def one_poisonous_signal_of_32_is_told_and_the_other_31_go_on(scene: Scene) -> None:
    fine = [signal(constant(f"0.95{n}"), name=f"fine-{n}") for n in range(30)]
    watch(scene, "up", signals=[*fine, signal(POISON, name="poison"), signal(MILD, name="breach")])
    incident = scene.until("Firing")
    assert fact(incident, "Firing")[2].startswith("breach: 0.85 (model=credit) breaches")
    states = {one["name"]: one["state"] for one in incident["status"]["signals"]}
    assert states.pop("breach") == "Firing"
    assert states.pop("poison") in ("Unknown", "Error")
    assert set(states.values()) == {"Good"}
    scene.says("Measured", "QueryFailed", "poison: ", "many-to-many")


@row
def an_unknown_prometheus_is_told_with_those_there_are(scene: Scene) -> None:
    watch(scene, MILD, prometheus="elsewhere")
    scene.says("Ready", "UnknownPrometheus", "spec.prometheus", "use default, page, single")


@row
def rules_too_large_for_an_incident_are_told_with_their_size(scene: Scene) -> None:
    long = [signal(f"{constant(0.5)} + {' + '.join(['0'] * 900)}", name=f"s{n}") for n in range(8)]
    watch(scene, "up", signals=long)
    scene.says("Ready", "RulesTooLarge", "model credit", "at most 16384", "split the policy")
    beside(scene)


# --- people


def escalates_past(scene: Scene, responder: str) -> str:
    """Nobody of the first tier can be told: the second is entered and told; gives what the incident says of it."""
    first = {"name": "owners", "severity": "SEV3", "accountable": responder, "acknowledgeWithin": "2s"}
    watch(scene, MILD, tiers=[first, *QUIET_TIERS[1:]])
    scene.until("tier.tocsin.dev/compliance")
    scene.wait(lambda: scene.pages("risk"), "the second tier's page")
    return fact(scene.until("Notified", "False", reason="Undelivered"), "Notified")[2]


@row
def a_responder_without_channels_is_told_and_passed_over(scene: Scene) -> None:
    scene.ours("Responder", "mute", {"members": [{"name": "Ada", "user": "ada"}]})
    assert "responder mute has no channels: add one to spec.channels" in escalates_past(scene, "mute")
    scene.says("Ready", "NoChannels", "spec.channels", plural="responders", name="mute")
    scene.says("Ready", "ResponderMissing", "tier owners: Responder mute has no channels")


@row
def an_owner_that_is_not_there_is_told_until_it_is(scene: Scene) -> None:
    scene.guard(models=[{"name": "credit", "owners": {"data": "ghost"}}], containment=[])
    scene.says("Ready", "ResponderMissing", "model credit: Responder ghost, which owns its data, does not exist")
    scene.reach("ghost", "ada")
    scene.says("Ready", "Accepted")


@row
def a_missing_responder_is_told_passed_over_and_reached_as_soon_as_it_is_there(scene: Scene) -> None:
    assert "responder ghost does not exist: create it" in escalates_past(scene, "ghost")
    scene.says("Ready", "ResponderMissing", "tier owners: Responder ghost does not exist")
    scene.reach("ghost", "ada")
    scene.wait(lambda: scene.pages("ghost"), "the page of who came late")
    scene.until("Notified")


@row
def a_channel_that_never_works_does_not_keep_the_next_incident_from_opening(scene: Scene) -> None:
    scene.ours("Responder", "mute", {"members": [{"name": "Ada", "user": "ada"}]})
    tiers = [{"name": "owners", "severity": "SEV3", "accountable": "mute"}]
    watch(scene, MILD, tiers=tiers, reopenWindow="3s")
    scene.until("Notified", "False", reason="Undelivered")
    scene.decide("ada", "Resolve", reason="we know")

    def anew() -> bool:
        first, *others = sorted(scene.incidents(), key=lambda one: str(one["metadata"]["creationTimestamp"]))
        return bool(others) and others[0]["spec"]["previous"] == first["metadata"]["uid"]

    scene.wait(anew, "the next incident")


@row
def a_missing_channel_secret_is_told_with_the_command_that_makes_it(scene: Scene) -> None:
    scene.reach("lost", "ada", secret="no-such-secret")
    assert "Secret no-such-secret does not exist: create it with --type=tocsin.dev/channel" in escalates_past(
        scene, "lost"
    )


@row
def a_channel_secret_of_another_type_is_not_used_and_its_content_is_told_nobody(scene: Scene) -> None:
    scene.secret("password", scene.cluster.sink.url("/hunter2"), kind="Opaque")
    scene.reach("wrong", "ada", secret="password")
    assert "Secret password is not of type tocsin.dev/channel" in escalates_past(scene, "wrong")
    assert "hunter2" not in json.dumps(scene.incident())
    assert scene.pages("wrong") == []


# --- decisions and reports


@row
def a_decision_for_an_incident_that_is_gone_changes_nothing(scene: Scene) -> None:
    scene.decide("ada", "Acknowledge", incidentRef={"name": "credit-00000000", "uid": "no-such-uid"})
    watch(scene, MILD)
    first = scene.until("Firing")["metadata"]
    scene.wait(lambda: scene.status().get("tiers"), "the first tier")
    assert scene.told("ada", "Acknowledge")[0]
    scene.cluster.api("DELETE", f"/apis/{API}/namespaces/{scene.namespace}/incidents/{first['name']}")
    scene.wait(
        lambda: (scene.incidents() or [{"metadata": first}])[0]["metadata"]["uid"] != first["uid"], "another one"
    )
    second = scene.until("Firing")["metadata"]
    assert second["name"] == first["name"], "the name follows from what was before"
    heard = scene.wait(lambda: scene.status().get("decisions"), "word on the old Decision")
    assert [(one["counted"], one["message"].startswith("void: it")) for one in heard] == [(False, True)]
    late = scene.told("ada", "Acknowledge", incidentRef={"name": second["name"], "uid": first["uid"]})
    assert late == (False, f"void: its incidentRef.uid {first['uid']} is not this incident's")
    scene.until("Acknowledged", "False")


@row
def a_report_on_a_policy_that_does_not_exist_says_so_and_waits_for_it(scene: Scene) -> None:
    scene.report("ada")
    said = fact(scene.until("Firing", "Unknown", reason="PolicyNotFound"), "Firing")[2]
    assert said == "policy credit with model credit does not exist in this namespace: apply it"
    watch(scene, constant(0.99))
    incident = scene.until("Firing", "False", reason="Reported")
    assert incident["status"]["severity"] == "SEV3"
    scene.wait(lambda: scene.pages("owners"), "the page")


@row
def an_object_that_cannot_be_read_is_logged_with_the_reason_and_the_others_go_on(scene: Scene) -> None:
    scene.runs()
    scene.guard(constant(0.99))
    name = scene.authorise("ben", "last-healthy", expireTime="0000-01-01T00:00:00Z")

    def logged() -> list[str]:
        return [line for line in scene.operator.log.splitlines() if name in line and "cannot be read" in line]

    assert "expireTime" in scene.wait(logged, "a line of the log")[0]
    beside(scene)


@pytest.mark.parametrize("name", row.names)
def test_bad_input(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
