"""Do the operator's own metrics say what is so, once each, in the units that Prometheus expects?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.builders import HOUR, MIN, T0, a_decision, a_freeze, a_policy, a_responder, an_incident
from tocsin.api.objects import API_VERSION
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store
from tocsin.observe.queries import Counters

MILD = (0.2, 0.31, 0.31, 0.31, 0.31)
Labels = tuple[str, ...]


def exported(telemetry: Telemetry, sample: str) -> dict[Labels, float]:
    """The samples of that name in the exposition, by the values of their labels in order of their names."""
    families = text_string_to_metric_families(telemetry.text().decode())
    samples = [one for family in families for one in family.samples]
    return {tuple(one.labels[name] for name in sorted(one.labels)): one.value for one in samples if one.name == sample}


def keep(store: Store, kind: str, thing: Any, name: str = "", version: int = 1) -> None:
    raw = thing.dump() | {"apiVersion": API_VERSION, "kind": kind}
    raw["metadata"] |= {"namespace": "models", "resourceVersion": str(version)}
    raw["metadata"] |= {"name": name, "uid": name} if name else {}
    assert store.put(kind, raw)


# --- what the store holds


def test_incidents_are_counted_by_severity_until_they_are_resolved() -> None:
    store, telemetry = Store(), Telemetry()
    keep(store, "Incident", an_incident(severity="SEV1"), "worst")
    keep(store, "Incident", an_incident(severity="SEV3"), "mild")
    keep(store, "Incident", an_incident(severity="SEV3"), "another")
    keep(store, "Incident", an_incident(severity="SEV2", resolved_time=T0), "resolved")
    keep(store, "Incident", an_incident(), "not judged yet")

    telemetry.hold(store, T0)
    assert exported(telemetry, "tocsin_incidents") == {("SEV1",): 1, ("SEV2",): 0, ("SEV3",): 2, ("SEV4",): 0}

    keep(store, "Incident", an_incident(severity="SEV1", resolved_time=T0), "worst", version=2)
    store.drop("Incident", Name("models", "another"))
    telemetry.hold(store, T0)
    assert exported(telemetry, "tocsin_incidents") == {("SEV1",): 0, ("SEV2",): 0, ("SEV3",): 1, ("SEV4",): 0}


def test_objects_are_counted_by_kind_and_those_that_cannot_be_read_once_more() -> None:
    store, telemetry = Store(), Telemetry()
    keep(store, "EscalationPolicy", a_policy())
    keep(store, "Responder", a_responder("owners", "alice"))
    keep(store, "Responder", a_responder("board", "erin"))
    keep(store, "Decision", a_decision("Acknowledge", "alice"))
    store.put("Responder", {"metadata": {"namespace": "models", "name": "odd", "uid": "u", "resourceVersion": "1"}})

    telemetry.hold(store, T0)

    kinds = {("EscalationPolicy",): 1, ("Responder",): 3, ("Incident",): 0, ("Decision",): 1}
    kinds |= {("MessageTemplate",): 0, ("Message",): 0, ("Silence",): 0}
    assert exported(telemetry, "tocsin_objects") == kinds
    assert exported(telemetry, "tocsin_objects_unreadable") == {(): 1}


def test_a_brake_is_told_for_each_namespace_while_it_is_on() -> None:
    store, telemetry = Store(), Telemetry()
    store.holds = {"models": "freeze", "loans": "held"}
    telemetry.hold(store, T0)
    assert exported(telemetry, "tocsin_namespace_held") == {("models",): 1, ("loans",): 1}
    del store.holds["models"]
    telemetry.hold(store, T0)
    assert exported(telemetry, "tocsin_namespace_held") == {("loans",): 1}


def test_a_freeze_is_told_for_each_policy_while_it_is_in_force() -> None:
    store, telemetry = Store(), Telemetry()
    policy = a_policy()
    keep(store, "EscalationPolicy", policy, "free")
    spec = policy.spec.model_copy(update={"freezes": (a_freeze(MIN, HOUR),)})
    keep(store, "EscalationPolicy", policy.model_copy(update={"spec": spec}), "frozen")
    found = []
    for after in (timedelta(), MIN, HOUR):
        telemetry.hold(store, T0 + after)
        found.append(exported(telemetry, "tocsin_policy_frozen"))
    assert found == [{}, {("models", "frozen"): 1}, {}]


# --- what is counted


def test_requests_grow_by_what_a_server_was_asked_since_the_last_look() -> None:
    telemetry = Telemetry()
    counters = {"default": Counters(), "shaky": Counters()}
    for server, requests, failures, warnings in (("default", 3, 1, 0), ("shaky", 2, 2, 0), ("default", 2, 0, 1)):
        counters[server].requests += requests
        counters[server].failures += failures
        counters[server].warnings += warnings
        for _ in range(2):
            telemetry.asked(server, counters[server], quarantined=failures)

    assert exported(telemetry, "tocsin_prometheus_requests_total") == {("default",): 5, ("shaky",): 2}
    assert exported(telemetry, "tocsin_prometheus_request_failures_total") == {("default",): 1, ("shaky",): 2}
    assert exported(telemetry, "tocsin_prometheus_warnings_total") == {("default",): 1, ("shaky",): 0}
    assert exported(telemetry, "tocsin_prometheus_queries_quarantined") == {("default",): 0, ("shaky",): 2}


def test_effects_and_writes_are_counted_by_outcome() -> None:
    telemetry = Telemetry()
    for effect in (("notify", "Done"), ("contain", "Done"), ("notify", "Undelivered"), ("notify", "Done")):
        telemetry.effect(*effect)
    for write in (("status", "accepted"), ("incident", "accepted"), ("status", "refused"), ("status", "accepted")):
        telemetry.wrote(*write)

    assert exported(telemetry, "tocsin_effects_total") == {
        ("notify", "Done"): 2,
        ("notify", "Undelivered"): 1,
        ("contain", "Done"): 1,
    }
    assert exported(telemetry, "tocsin_writes_total") == {
        ("accepted", "status"): 2,
        ("refused", "status"): 1,
        ("accepted", "incident"): 1,
    }


def test_deadlines_missed_work_that_failed_and_events_given_up_are_counted() -> None:
    telemetry = Telemetry()
    for duty in ("acknowledge", "contain", "acknowledge"):
        telemetry.missed(duty)
    telemetry.work_failed()
    telemetry.event_dropped()
    telemetry.event_dropped()

    assert exported(telemetry, "tocsin_deadlines_missed_total") == {("acknowledge",): 2, ("contain",): 1}
    assert exported(telemetry, "tocsin_work_errors_total") == {(): 1}
    assert exported(telemetry, "tocsin_events_dropped_total") == {(): 2}


def test_rounds_and_their_lag_are_told_by_server() -> None:
    telemetry = Telemetry()
    for lag in (0.07, 0.3, 90.0):
        telemetry.round_ended("default", lag)
    telemetry.round_ended("shaky", -0.01)  # a clock that was set back

    assert exported(telemetry, "tocsin_rounds_total") == {("default",): 3, ("shaky",): 1}
    assert exported(telemetry, "tocsin_evaluation_lag_seconds_count") == {("default",): 3, ("shaky",): 1}
    assert exported(telemetry, "tocsin_evaluation_lag_seconds_sum") == {("default",): 90.37, ("shaky",): 0}
    buckets = exported(telemetry, "tocsin_evaluation_lag_seconds_bucket")
    assert {bound: count for (bound, server), count in buckets.items() if server == "default"} == {
        "0.05": 0,
        "0.1": 1,
        "0.25": 1,
        "0.5": 2,
        "1.0": 2,
        "2.5": 2,
        "5.0": 2,
        "10.0": 2,
        "30.0": 2,
        "60.0": 2,
        "+Inf": 3,
    }


# --- names

ENDS = {"counter": ("_total",), "histogram": ("_seconds", "_bytes")}
"""How the names of a type end, by the conventions of Prometheus: a total, or a base unit."""
NO_BASE_UNITS = {"ms", "milliseconds", "minutes", "hours", "days", "percent", "kilobytes", "megabytes"}


def test_every_name_has_the_prefix_and_ends_as_its_type_does() -> None:
    families = {family.name: family.type for family in Telemetry().registry.collect()}
    sampled = {f"{name}_total" if kind == "counter" else name: kind for name, kind in families.items()}
    assert len(sampled) == 20
    assert {name for name in sampled if not name.startswith("tocsin_")} == set()
    assert {name: kind for name, kind in sampled.items() if not name.endswith(ENDS.get(kind, ""))} == {}
    assert {name for name, kind in sampled.items() if kind == "gauge" and name.endswith("_total")} == set()
    assert {name for name in sampled if NO_BASE_UNITS & set(name.split("_"))} == set()
