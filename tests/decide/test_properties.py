"""Whatever happens: does planning come to rest, do tiers only go up, and does the record stay small?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.builders import (
    HOUR,
    MIN,
    ROSTER,
    T0,
    a_decision,
    a_policy,
    a_reading,
    a_revision,
    a_target,
    an_incident,
    rolled_back,
    the_rules,
)
from tocsin.api.containment import Freeze
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident, IncidentStatus, OptionState
from tocsin.api.legalnote import NoteRef
from tocsin.decide.defaults import SignalRule
from tocsin.decide.gist import gist
from tocsin.decide.incident import plan
from tocsin.decide.options import IN_PLACE
from tocsin.decide.people import HEARD
from tocsin.decide.plan import Contain, Plan, Undo
from tocsin.decide.signals import advance
from tocsin.decide.situation import Budget, Failed, FieldChange, Memory, NoTarget, Outcome, Relative, Situation, Trust
from tocsin.decide.story import LINES
from tocsin.decide.tiers import stands_alone
from tocsin.decide.workload import PAUSED

CRD = Path(__file__).parents[2] / "crds" / "incidents.yaml"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}
POLICY = a_policy(
    models=[{"name": "fraud", "target": TARGET, "upstream": ["feature-store"]}],
    risk={"regulatory": 2, "reputation": 2},
    signals=[
        {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3", "critical": "> 0.6", "for": "2m",
         "recoverAfter": "3m", "noData": {"after": "4m", "then": "Alert"}},
        {"name": "errors", "kind": "Errors", "query": "ratio", "warn": "> 0.3", "for": "1m", "recoverAfter": "2m",
         "floor": "SEV2", "noData": {"then": "Hold"}},
    ],
    containment=[
        {"name": "hold", "type": "Pause", "verifyWithin": "2m"},
        {"name": "last-healthy", "type": "RollBack", "approval": {"failSafeAfter": "3m", "expireAfter": "20m"},
         "verifyWithin": "5m"},
        {"name": "fewer", "type": "Scale", "scale": {"replicas": 1}, "approval": {"required": 0}, "verifyWithin": "2m"},
        {"name": "stop", "type": "Scale", "scale": {"replicas": 0}, "approval": {"required": 1}},
    ],
    clocks=[{"preset": "us-bank-36h", "determineWithin": "30m"}, {"preset": "mas-1h"}, {"preset": "dora-initial"}],
)  # fmt: skip
RULES = the_rules(POLICY)
SIGNALS = tuple(SignalRule.of(signal) for signal in RULES.signals)
HALF_WAY = a_target(pause=FieldChange("/spec/paused", None, "true"), updated_replicas=1)
HELD = replace(HALF_WAY, pause=FieldChange("/spec/paused", "true", "true"), paused=PAUSED)
TARGETS = (
    a_target(),
    rolled_back("incident-uid/1/contain/last-healthy/1"),
    a_target(replicas=1, running_replicas=1, updated_replicas=1, scaled_by_us=True),
    a_target(replicas=0, running_replicas=0, updated_replicas=0, scaled_by_us=True),
    a_target(current_hash="hash-3", revisions=(a_revision(1), a_revision(2), a_revision(3))),
    a_target(current_hash=""),
    HALF_WAY,
    HELD,
    NoTarget("NotFound", "Deployment/fraud does not exist"),
    NoTarget("Unreadable", "the API server did not answer"),
)
SHARED = ("feature-store",)
KIN = (Relative("others/a", "others", "a", T0, SHARED), Relative("models/b", "models", "b", T0, SHARED))
FAMILIES: tuple[dict[str, Any], ...] = (
    {},
    {"kin": KIN},
    {"kin": KIN[1:]},
    {"kin": KIN, "parent_lives": True},
    {"kin": KIN, "children": 12, "shared": "feature-store"},
)
PEOPLE = ("alice", "carol", "erin", "mallory")
KINDS = ("Acknowledge", "Approve", "Reject", "Escalate", "Lower", "Hold", "Resume", "Resolve", "Undo", "Authorise",
         "StartClock", "DeclineClock", "MoveClock", "MarkSubmitted")  # fmt: skip
CLOCKS = {"last-healthy": ("us-bank-36h", "Determined"), "fewer": ("mas-1h", "Discovered"),
          "stop": ("dora-initial", "Aware"), "hold": ("us-bank-36h", "Determined")}  # fmt: skip
"""Which clock an act is about, by the option that was drawn, and from what it counts."""


@dataclass(frozen=True)
class Happening:
    """One thing that happens, and how much later."""

    after: timedelta
    values: tuple[Any, Any] | None = None
    target: int | None = None
    act: tuple[str, str, str, str] | None = None
    outcome: str | None = None
    hold: bool | None = None
    freeze: timedelta | None = None
    """A freeze begins, or in a while, that takes a quarter of an hour."""
    trust: Trust | None = None
    family: int | None = None
    forget: bool = False


FORGIVEN = ("Acknowledge", "Deputy")
"""What was missed before an acknowledgement that came late, and expired: whoever is asked anew has the whole time."""
VALUES = st.sampled_from([0.2, 0.5, 0.9, "Infinity", None, Failed("down")])
HAPPENINGS = st.builds(
    Happening,
    after=st.sampled_from([timedelta(), MIN, MIN, MIN, 16 * MIN, 2 * HOUR]),
    values=st.none() | st.tuples(VALUES, VALUES),
    target=st.none() | st.integers(0, len(TARGETS) - 1),
    act=st.none()
    | st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(PEOPLE),
        st.sampled_from(["hold", "last-healthy", "fewer", "stop"]),
        st.sampled_from(["SEV3", "SEV4"]),
    ),
    outcome=st.none() | st.sampled_from(["Done", "Rehearsed", "Refused", "Conflict", "Unknown", "Undelivered"]),
    hold=st.none() | st.booleans(),
    freeze=st.none() | st.sampled_from([timedelta(), 5 * MIN]),
    trust=st.none() | st.sampled_from(Trust),
    family=st.none() | st.integers(0, len(FAMILIES) - 1),
    forget=st.booleans(),
)


@dataclass
class World:
    """What is known from one happening to the next."""

    now: datetime = T0
    incident: Incident = field(default_factory=lambda: an_incident(RULES))
    memories: dict[str, Memory] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    target: Any = TARGETS[0]
    hold: str = ""
    freezes: tuple[Freeze, ...] = ()
    trust: Trust = Trust.TRUSTED
    family: int = 0
    open_keys: tuple[str, ...] = ()
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def live(self, one: Happening) -> None:
        self.now += one.after
        if one.forget:
            self.memories.clear()
        for rule, value in zip(SIGNALS, one.values or (), strict=False):
            self.memories[rule.name] = advance(self.memories.get(rule.name), rule, self.now, a_reading(value))
        if one.target is not None:
            self.target = TARGETS[one.target]
        if one.hold is not None:
            self.hold = "freeze" if one.hold else ""
        if one.freeze is not None:
            begin = self.now + one.freeze
            self.freezes = (Freeze(name="move", from_=begin, until=begin + 15 * MIN, reason="the platform moves"),)
        self.trust = one.trust or self.trust
        self.family = self.family if one.family is None else one.family
        if one.act:
            self.decisions.append(self.decision(*one.act))
        self.outcomes = {key: Outcome(key, one.outcome, self.now, "words") for key in self.open_keys if one.outcome}  # type: ignore[arg-type] # drawn from the very literals

    def decision(self, kind: str, by: str, option: str, severity: str) -> Decision:
        record = next((one for one in self.incident.status.containment if one.name == option), None)
        fields: dict[str, Any] = {"reason": "because"}
        if kind in ("Approve", "Reject", "Undo"):
            fields |= {"option": option, "digest": record and record.digest}
        if kind == "Lower":
            fields |= {"severity": severity}
        if kind in ("StartClock", "DeclineClock", "MoveClock", "MarkSubmitted"):
            clock, anchor = CLOCKS[option]
            fields |= {"clock": clock}
            if kind in ("StartClock", "MoveClock"):
                fields |= {"anchors": [{"type": anchor, "time": self.now - HOUR}]}
            if kind == "MarkSubmitted":
                fields |= {"receipt": "R-7", "submittedTime": self.now}
        if kind == "Authorise":
            fields |= {"option": option, "digest": RULES.digests[option], "expireTime": self.now + HOUR}
        return a_decision(kind, by, self.now, uid=f"decision-{len(self.decisions)}-{by}", **fields)

    def situation(self) -> Situation:
        return Situation(
            now=self.now,
            incident=self.incident,
            rules=RULES,
            mode=RULES.mode,
            signals=dict(self.memories),
            decisions=tuple(self.decisions),
            trust=self.trust,
            roster=ROSTER,
            target=self.target,
            outcomes=self.outcomes,
            namespace_hold=self.hold,
            freezes=self.freezes,
            budget=Budget.RESERVED,
            **FAMILIES[self.family],
        )

    def write(self, found: Plan) -> None:
        self.incident = self.incident.model_copy(update={"status": found.status})
        self.open_keys = tuple(effect.key for effect in found.effects)
        self.outcomes = {}


def lives(happenings: list[Happening]) -> Iterator[tuple[IncidentStatus, World, Plan]]:
    """Each step of a life: the status before, the world it was decided in, and the plan."""
    world = World()
    for one in happenings:
        world.live(one)
        before = world.incident.status
        found = plan(world.situation())
        yield before, world, found
        world.write(found)


LIFE = st.lists(HAPPENINGS, min_size=1, max_size=25)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(happenings=LIFE)
def test_planning_comes_to_rest_and_then_plans_nothing_new(happenings: list[Happening]) -> None:
    for _, world, found in lives(happenings):
        written = world.incident.model_copy(update={"status": found.status})
        for _ in range(12):
            again = plan(
                replace(
                    world.situation(),
                    incident=written,
                    outcomes={},
                    under_way=frozenset(effect.key for effect in written.status.effects),
                )
            )
            if again.status == written.status:
                break
            written = written.model_copy(update={"status": again.status})
        assert again.status is written.status
        assert again.effects == ()
        assert again.events == ()


@MANY
@given(
    approvers=st.lists(st.sampled_from(PEOPLE), max_size=3),
    spells=st.lists(st.tuples(HAPPENINGS, VALUES, VALUES, st.integers(1, 12)), max_size=8),
)
def test_an_evaluation_with_the_same_gist_changes_nothing(
    approvers: list[str], spells: list[tuple[Happening, Any, Any, int]]
) -> None:
    world = World()
    for _ in range(5):
        world.live(Happening(MIN, values=(0.9, 0.9)))
    at_rest(world)
    world.decisions += [world.decision("Approve", by, "last-healthy", "") for by in approvers]
    for one, latency, errors, times in [(Happening(timedelta()), 0.9, 0.9, 8), *spells]:
        world.live(one)
        for _ in range(times):
            found = at_rest(world)
            told = gist(RULES, world.incident.status, world.memories, None)
            world.live(Happening(after=timedelta(seconds=30), values=(latency, errors)))
            if world.incident.resolved or told != gist(RULES, world.incident.status, world.memories, None):
                continue
            if found.look_again_at is None or world.now < found.look_again_at:
                anew = plan(told_all(world))
                assert anew.status is world.incident.status
                assert (anew.effects, anew.events) == ((), ())


def at_rest(world: World) -> Plan:
    """Plan and do until nothing is left to do at once."""
    while True:
        found = plan(told_all(world))
        if found.status is world.incident.status:
            return found
        world.write(found)
        for effect in found.effects:
            world.outcomes[effect.key] = Outcome(effect.key, "Done", world.now)
            if isinstance(effect, Undo):
                world.target = TARGETS[0]
            if isinstance(effect, Contain):
                after = {"last-healthy": rolled_back(effect.key), "fewer": TARGETS[2], "stop": TARGETS[3], "hold": HELD}
                world.target = after[effect.proposal.option]


def told_all(world: World) -> Situation:
    """The situation in which every effect is under way that has no outcome yet."""
    keys = frozenset(effect.key for effect in world.incident.status.effects)
    return replace(world.situation(), under_way=keys - world.outcomes.keys())


@MANY
@given(happenings=LIFE)
def test_tiers_are_never_left_and_severity_falls_by_a_lowering_only(happenings: list[Happening]) -> None:
    for before, _, found in lives(happenings):
        after = found.status
        if after.episode == before.episode:
            kept, now = (
                [(tier.name, tier.entered_time) for tier in after.tiers],
                {tier.name: tier for tier in after.tiers},
            )
            assert all((tier.name, tier.entered_time) in kept for tier in before.tiers)
            assert stands_alone(before, after) or all(  # who is paged at last has the whole time anew
                set(tier.missed)
                <= {*now[tier.name].missed, *(FORGIVEN if now[tier.name].renewals > tier.renewals else ())}
                for tier in before.tiers
            )
        lowered = any(
            record.counted and record.type == "Lower" and record not in before.decisions for record in after.decisions
        )
        if before.severity and after.severity and not lowered:
            assert after.severity.at_least(before.severity)


@MANY
@given(happenings=LIFE)
def test_every_effect_stands_in_the_ledger_of_the_status_that_precedes_it(happenings: list[Happening]) -> None:
    for _, world, found in lives(happenings):
        keys = [record.key for record in found.status.effects]
        prefix = f"incident-uid/{found.status.episode}/"
        assert all(effect.key in keys and effect.key.startswith(prefix) for effect in found.effects)
        assert len(set(keys)) == len(keys) <= 200
        assert found.look_again_at is None or found.look_again_at > world.now


@MANY
@given(happenings=LIFE)
def test_nothing_runs_on_a_hold_nor_without_a_breach(happenings: list[Happening]) -> None:
    for before, world, found in lives(happenings):
        started = [effect for effect in found.effects if "/contain/" in effect.key]
        if started and not any(record.key == started[0].key for record in before.effects):
            assert not world.hold
            assert not any(one.from_ <= world.now < one.until for one in world.freezes)
            assert found.status.held is None
            assert any(signal.sustained for signal in found.status.signals)


@MANY
@given(happenings=LIFE)
def test_an_undo_is_one_by_a_person_and_automation_waits_for_a_person_after_it(happenings: list[Happening]) -> None:
    for before, _, found in lives(happenings):
        states = {record.name: record.state for record in before.containment}
        for record in found.status.containment:
            if record.state is OptionState.UNDOING and states.get(record.name) is not OptionState.UNDOING:
                assert record.undo is not None
                assert states[record.name] in IN_PLACE
                assert ("Undo", record.undo.by) in [
                    (one.type, one.by) for one in found.status.decisions if one.counted and one not in before.decisions
                ]
                assert found.status.held or any(one.type == "Resume" for one in found.status.decisions)


@cache
def the_validator() -> Draft202012Validator:
    """What the API server holds a status to."""
    crd = yaml.safe_load(CRD.read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return Draft202012Validator(_closed(schema["properties"]["status"]))


def _closed(schema: Any) -> Any:
    """The schema with unknown fields forbidden, as the API server would prune them."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(happenings=LIFE)
def test_what_is_written_is_what_the_api_server_takes(happenings: list[Happening]) -> None:
    for _, _, found in lives(happenings):
        status = json.loads(json.dumps(found.status.dump()))
        the_validator().validate(status)
        assert IncidentStatus.model_validate(status) == found.status


def test_the_longest_life_fits_into_64_kib() -> None:
    """Hours in which something always happens, with people who write a lot."""
    world = World()
    for number in range(200):
        bad, episode = number % 40 < 30, number // 40
        world.live(
            Happening(MIN, values=(0.9, 0.9) if bad else (0.2, 0.2), target=(0, 1, 2, 4)[number % 4],
                      outcome=("Done", "Conflict", "Undelivered")[number % 3])
        )  # fmt: skip
        kinds = ("Hold", "Resume", "Acknowledge", "Escalate", "Approve", "Reject", "Lower", "Undo")
        kind = kinds[number % len(kinds)]
        decision = world.decision(kind, PEOPLE[episode % 3], ("last-healthy", "fewer", "stop")[number % 3], "SEV4")
        note = NoteRef(name="note-x7k2p", digest=f"sha256:{'a' * 64}")
        reason = decision.spec.model_copy(update={"reason": "because of this and that, " * 39, "note": note})
        world.decisions.append(decision.model_copy(update={"spec": reason}))
        world.write(plan(world.situation()))

    status = world.incident.status
    size = len(json.dumps(status.dump(), ensure_ascii=False).encode())
    assert status.episode > 2
    assert (len(status.decisions), len(status.timeline)) == (HEARD, LINES)
    assert size <= 64 * 1024, {name: len(json.dumps(part)) for name, part in status.dump().items()}
