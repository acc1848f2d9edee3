"""Does an undo put back what was there, only while what we wrote is there, and is nothing contained again behind it?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    HOUR,
    MIN,
    T0,
    a_decision,
    a_freeze,
    a_policy,
    a_revision,
    a_situation,
    a_target,
    an_incident,
    latency,
    rolled_back,
    the_rules,
)
from tests.decide.test_containment import (
    AUTOMATIC,
    KEY,
    ROLL_BACK,
    STOP,
    UNREADABLE,
    a_record,
    only,
    rules_of,
    step,
    the_status,
)
from tocsin.api.decision import Decision
from tocsin.api.incident import (
    EffectState,
    Incident,
    IncidentStatus,
    OptionRecord,
    OptionState,
    PinnedAutoscaler,
    UndoStatus,
)
from tocsin.api.policy import Rules
from tocsin.decide.incident import plan
from tocsin.decide.options import IN_PLACE
from tocsin.decide.plan import Contain, Notify, Plan, Undo
from tocsin.decide.proposal import pinning
from tocsin.decide.restoring import inverse, objection, pinned_by, unpinning, what_comes_back
from tocsin.decide.situation import Autoscaler, Budget, NoTarget, Outcome, Proposal, Refusal
from tocsin.decide.undoing import MOST_UNDOS, PATIENCE
from tocsin.decide.workload import PAUSED

UNDO_KEY = "incident-uid/1/undo/last-healthy/1"
AFTER = T0 + MIN
HELD = rolled_back(KEY)
REASON = "the old version is worse"
BY_ALICE = {"held": {"by": "alice", "time": AFTER, "reason": f"undo of last-healthy: {REASON}"}}
ALL = (ROLL_BACK | AUTOMATIC, STOP)


def done(state: OptionState = OptionState.EXECUTED, **changes: Any) -> OptionRecord:
    """The rollback, carried out and settled, and not judged yet."""
    times = {"executed_time": T0, "settled_time": T0, "verify_time": T0 + 15 * MIN, "attempt": 1}
    return a_record(state, **times | {"against": ("latency",)} | changes)


def scaled(state: OptionState = OptionState.EXECUTED, **changes: Any) -> OptionRecord:
    """The stop, carried out and settled."""
    fields = {"name": "stop", "type": "Scale", "class": "C", "from": "4", "to": "0"}
    return OptionRecord.model_validate(done(state).dump() | fields | changes)


def an_undo(by: str = "alice", option: str = "last-healthy", **fields: Any) -> Decision:
    digest = fields.pop("digest", done().digest)
    return a_decision("Undo", by, AFTER, option=option, digest=digest, reason=REASON, **fields)


def an_undoing(state: OptionState = OptionState.EXECUTED, **changes: Any) -> OptionRecord:
    """The rollback whose undo is on record."""
    begun = UndoStatus(by="alice", time=AFTER, reason=REASON, attempt=1, was=state)
    return done(OptionState.UNDOING, undo=begun.dump(), **changes)


def incident_with(*records: OptionRecord, rules: Rules | None = None, **status: Any) -> Incident:
    being_undone = any(record.state is OptionState.UNDOING for record in records)
    return an_incident(rules or rules_of(*ALL), **the_status(*records, **BY_ALICE if being_undone else {}, **status))


def planned(incident: Incident, *decisions: Decision, **s: Any) -> Plan:
    now = s.pop("now", AFTER)
    return plan(a_situation(incident, now=now, decisions=decisions, **{"target": HELD} | s))


def undos(found: Plan) -> list[Undo]:
    return [effect for effect in found.effects if isinstance(effect, Undo)]


def first(found: Plan) -> OptionRecord:
    return found.status.containment[0]


def verdict(found: Plan) -> tuple[bool, str]:
    record = found.status.decisions[-1]
    return record.counted, record.message


# --- the Decision


@pytest.mark.parametrize("state", IN_PLACE)
def test_an_undo_turns_the_containment_round_and_holds_automation(state: OptionState) -> None:
    found = planned(incident_with(done(state)), an_undo())

    (effect,) = undos(found)
    assert (effect.key, effect.marks) == (UNDO_KEY, "incident-uid/1/")
    assert (effect.proposal.from_, effect.proposal.to, effect.proposal.revision_uid) == ("hash-1", "hash-2", "rs-2")
    assert (first(found).state, first(found).undo) == (
        OptionState.UNDOING,
        UndoStatus(by="alice", time=AFTER, reason=REASON, attempt=1, was=state),
    )
    held = found.status.held
    assert held is not None
    assert (held.by, held.reason) == ("alice", f"undo of last-healthy: {REASON}")
    assert verdict(found) == (
        True,
        "automation is on hold until Resume; undoing last-healthy: "
        "bring Deployment/fraud from the template hash-1 back to hash-2",
    )
    (intent,) = [one for one in found.status.effects if one.key == UNDO_KEY]
    assert intent.state is EffectState.INTENDED


@pytest.mark.parametrize(
    "s",
    [
        pytest.param({"namespace_hold": "freeze"}, id="the brake of the namespace"),
        pytest.param({"freezes": (a_freeze(),)}, id="a freeze of the policy"),
        pytest.param({"mode": "Observe"}, id="a policy that only observes by now"),
        pytest.param({}, id="a hold on the incident"),
    ],
)
def test_no_brake_on_automation_stops_a_person(s: dict[str, Any]) -> None:
    held = {"held": {"by": "bob", "time": T0, "reason": "look first"}}

    assert [effect.key for effect in undos(planned(incident_with(done(), **held), an_undo(), **s))] == [UNDO_KEY]


FULL = tuple(
    {"key": f"incident-uid/1/undo/stop/{number}", "state": "Failed", "intended_time": T0}
    for number in range(MOST_UNDOS)
)
CHANGED = "Deployment/fraud has another template by now, no longer hash-1"
BY_HAND = "by hand: kubectl rollout undo deployment/fraud -n models --to-revision=2"

NOT_COUNTED = (
    pytest.param((done(),), {"by": "mallory"}, {}, "mallory is a member of no Responder", id="a stranger"),
    pytest.param((), {}, {}, "option last-healthy was not tried in this episode", id="nothing was done"),
    pytest.param(
        (done(OptionState.OBSERVED),),
        {},
        {"mode": "Observe"},
        "option last-healthy is Observed: only what was carried out",
        id="a rehearsal wrote nothing",
    ),
    pytest.param(
        (done(OptionState.REVERTED),), {}, {}, "option last-healthy is Reverted", id="somebody has changed it already"
    ),
    pytest.param((an_undoing(),), {}, {}, "option last-healthy is Undoing", id="it is being undone"),
    pytest.param(
        (done(),),
        {"digest": "sha256:" + "0" * 64},
        {},
        "something else was done: look again, and use the digest sha256:",
        id="another digest",
    ),
    pytest.param((done(),), {}, {"target": a_target()}, f"{CHANGED}; {BY_HAND}", id="somebody rolled forward"),
    pytest.param(
        (done(),),
        {},
        {"target": rolled_back("other-uid/1/contain/last-healthy/1")},
        "Deployment/fraud has the template hash-1, but not by this incident any more",
        id="another incident rolled back since",
    ),
    pytest.param((done(),), {}, {"target": rolled_back(KEY, uid="new")}, "Deployment/fraud was deleted and", id="anew"),
    pytest.param((done(),), {}, {"target": rolled_back(KEY, paused=PAUSED)}, "Deployment/fraud is paused", id="paused"),
    pytest.param(
        (done(),),
        {},
        {"target": rolled_back(KEY, revisions=(a_revision(1, number=3),))},
        "Deployment/fraud no longer keeps the revision hash-2; by hand: apply the manifest from before",
        id="the revision was pruned",
    ),
    pytest.param(
        (done(),),
        {},
        {"target": rolled_back(KEY, may_roll_back=False, lacking=("patch deployments.apps",))},
        "Tocsin may not change Deployment/fraud: it lacks the right to patch deployments.apps",
        id="the right was withdrawn",
    ),
    pytest.param(
        (done(),), {}, {"target": NoTarget("NotFound", "gone")}, "there is nothing to undo it on: gone", id="no target"
    ),
)


@pytest.mark.parametrize(("records", "act", "s", "words"), NOT_COUNTED)
def test_an_undo_that_does_not_count_says_why_and_what_to_do(
    records: tuple[OptionRecord, ...], act: dict[str, Any], s: dict[str, Any], words: str
) -> None:
    found, without = planned(incident_with(*records), an_undo(**act), **s), planned(incident_with(*records), **s)

    counted, message = verdict(found)
    assert not counted
    assert message.startswith(words), message
    assert (found.status.containment, found.status.held) == (without.status.containment, without.status.held)
    assert undos(found) == undos(without)


def test_no_more_undos_are_begun_than_the_ledger_has_room_for() -> None:
    assert verdict(planned(incident_with(done(), effects=FULL), an_undo())) == (
        False,
        f"{MOST_UNDOS} undos were begun already; {BY_HAND}",
    )


def test_a_resolved_incident_says_what_to_do_by_hand() -> None:
    incident = incident_with(done(OptionState.HELPED), resolved_time=T0, phase="Resolved")

    found = planned(incident, an_undo(), target=None, signals=latency(0.2, at=AFTER))

    assert verdict(found) == (
        False,
        "the incident is resolved; by hand: kubectl rollout undo deployment/fraud -n models "
        "--to-revision=<the revision before>",
    )


def test_what_was_carried_out_last_is_undone_first() -> None:
    rules = rules_of(ROLL_BACK, {"name": "fewer", "type": "Scale", "scale": {"replicas": 2}}, STOP)
    fewer = scaled(OptionState.DID_NOT_HELP, name="fewer", to="2")
    stopped = scaled(OptionState.EXECUTED, **{"from": "2"})
    target = a_target(replicas=0, running_replicas=0, updated_replicas=0, scaled_by_us=True)
    incident = incident_with(done(OptionState.FAILED), fewer, stopped, rules=rules)

    early = planned(incident, an_undo(option="fewer"), target=target)
    in_order = planned(incident, an_undo(option="stop"), target=target)

    assert verdict(early) == (False, "undo stop first: it was carried out after fewer")
    assert [effect.key for effect in undos(in_order)] == ["incident-uid/1/undo/stop/1"]


def test_of_two_rollbacks_the_first_can_be_undone_after_the_second() -> None:
    again = a_record(OptionState.UNDONE, **{"name": "again", "from": "hash-1", "to": "hash-0"})
    target = rolled_back("", undone_by="incident-uid/1/undo/again/1")
    rules = rules_of(ROLL_BACK, {"name": "again", "type": "RollBack"})

    found = planned(incident_with(done(OptionState.DID_NOT_HELP), again, rules=rules), an_undo(), target=target)

    assert [effect.key for effect in undos(found)] == [UNDO_KEY]


# --- what becomes of it


def outcome(result: Any) -> dict[str, Any]:
    return {"outcomes": {UNDO_KEY: Outcome(UNDO_KEY, result, AFTER, "words")}}


UNDONE = f"undone by alice: {REASON}; words"
NOT_UNDONE = f"not undone: words; {BY_HAND}"
LOST = f"not undone: for 10m it could not be found out whether it was done: words; {BY_HAND}"
LATE = {"now": AFTER + PATIENCE}
BUSY = rolled_back(KEY, may_roll_back=False, lacking=("patch",), lately_denied=True)

BECOMES = (
    pytest.param(outcome("Done"), OptionState.UNDONE, UNDONE, False, id="done"),
    pytest.param(outcome("Refused"), OptionState.HELPED, NOT_UNDONE, False, id="refused"),
    pytest.param(outcome("Conflict"), OptionState.HELPED, NOT_UNDONE, False, id="somebody has changed it"),
    pytest.param({}, OptionState.UNDOING, "", True, id="after a crash it is sent again"),
    pytest.param(LATE, OptionState.UNDOING, "", True, id="after a crash of an hour too"),
    pytest.param(outcome("Unknown"), OptionState.UNDOING, "", True, id="the answer was lost: it is sent again"),
    pytest.param(outcome("Unknown") | LATE, OptionState.HELPED, LOST, False, id="the answer is lost all the time"),
    pytest.param({"under_way": frozenset({UNDO_KEY})}, OptionState.UNDOING, "", False, id="it is under way"),
    pytest.param({"target": UNREADABLE}, OptionState.UNDOING, "", False, id="it cannot be read now"),
    pytest.param({"target": BUSY}, OptionState.UNDOING, "", False, id="an API server that knows no role yet"),
    pytest.param(
        {"target": a_target(undone_by=UNDO_KEY)}, OptionState.UNDOING, "", True, id="done before a crash: it is read"
    ),
    pytest.param(
        {"target": NoTarget("NotFound", "words")},
        OptionState.HELPED,
        "not undone: words; by hand: kubectl rollout undo deployment/fraud -n models "
        "--to-revision=<the revision before>",
        False,
        id="the target is gone",
    ),
    pytest.param(
        {"target": rolled_back(KEY, revisions=(a_revision(1, number=3),))},
        OptionState.HELPED,
        "not undone: Deployment/fraud no longer keeps the revision hash-2; "
        "by hand: apply the manifest from before; no revision hash-2 is kept",
        False,
        id="the revision was pruned",
    ),
)


@pytest.mark.parametrize(("s", "state", "message", "sent"), BECOMES)
def test_an_undo_on_record(s: dict[str, Any], state: OptionState, message: str, sent: bool) -> None:
    found = planned(incident_with(an_undoing(OptionState.HELPED)), **s)

    assert (first(found).state, first(found).message) == (state, message)
    assert [effect.key for effect in undos(found)] == ([UNDO_KEY] if sent else [])


def test_a_further_undo_has_a_key_of_its_own() -> None:
    failed = planned(incident_with(an_undoing()), **outcome("Conflict")).status

    again = planned(an_incident(rules_of(*ALL)).model_copy(update={"status": failed}), an_undo())

    assert [effect.key for effect in undos(again)] == ["incident-uid/1/undo/last-healthy/2"]


def test_an_intent_that_is_given_up_is_closed() -> None:
    intent = {"key": UNDO_KEY, "state": "Intended", "intended_time": T0}
    incident = incident_with(an_undoing(), effects=(intent,))

    def ledger(**s: Any) -> list[tuple[EffectState, str]]:
        effects = planned(incident, **s).status.effects
        return [(one.state, one.message) for one in effects if one.key == UNDO_KEY]

    assert ledger() == [(EffectState.INTENDED, "")]
    assert ledger(**outcome("Unknown"), **LATE) == [(EffectState.FAILED, LOST)]
    assert ledger(**outcome("Done")) == [(EffectState.DONE, "words")]


CAUSES = (
    pytest.param("Done", {"Undone"}, "the containment was undone", id="done"),
    pytest.param("Conflict", {"NotUndone"}, "the containment could not be undone: a person must", id="in conflict"),
)


@pytest.mark.parametrize(("result", "causes", "headline"), CAUSES)
@pytest.mark.parametrize("state", IN_PLACE)
def test_the_people_of_the_tiers_hear_of_it(state: OptionState, result: str, causes: set[str], headline: str) -> None:
    entered = {"name": "owners", "entered_time": T0, "reason": "severity", "acknowledged_time": T0}

    found = planned(incident_with(an_undoing(state), tiers=(entered,)), **outcome(result))

    (notice,) = [one.notice for one in found.effects if isinstance(one, Notify) and "/owners.owners/" in one.key]
    assert set(notice.cause.split()) == causes
    assert notice.subject.endswith(f" fraud: {headline}")
    assert REASON in notice.text if result == "Done" else BY_HAND in notice.text


# --- afterwards


def an_undone(**changes: Any) -> OptionRecord:
    begun = UndoStatus(by="alice", time=AFTER, reason=REASON, attempt=1, was=OptionState.HELPED, **changes)
    return done(OptionState.UNDONE, undo=begun.dump(), message=UNDONE)


FORWARD = a_target(undone_by=UNDO_KEY)


def test_nothing_is_contained_behind_the_persons_back() -> None:
    rules = rules_of(ROLL_BACK | AUTOMATIC, STOP | AUTOMATIC)

    held = planned(incident_with(an_undone(), rules=rules, **BY_ALICE), target=FORWARD)

    assert (held.status.containment, undos(held)) == ((first(held),), [])
    assert first(held).state is OptionState.UNDONE
    contained = next(one for one in held.status.conditions if one.type == "Contained")
    assert (contained.status, contained.reason, contained.message) == ("False", "Undone", f"last-healthy: {UNDONE}")


def test_after_resume_the_next_option_asks_whatever_the_policy_says() -> None:
    fewer = {"name": "fewer", "type": "Scale", "scale": {"replicas": 2}} | AUTOMATIC
    incident = incident_with(an_undone(), rules=rules_of(ROLL_BACK | AUTOMATIC, fewer), **BY_ALICE)

    found = planned(incident, a_decision("Resume", "alice", AFTER), target=FORWARD)

    assert [(one.name, one.state, one.needs) for one in found.status.containment] == [
        ("last-healthy", OptionState.UNDONE, 1),
        ("fewer", OptionState.ASKING, 1),
    ]
    assert not [effect for effect in found.effects if isinstance(effect, Contain)]


def test_the_revision_stays_barred() -> None:
    found = planned(incident_with(an_undoing(), contained_revisions=("hash-2",)), **outcome("Done"))

    assert found.status.contained_revisions == ("hash-2",)


def test_the_deadline_to_contain_is_open_again() -> None:
    entered = {"name": "owners", "entered_time": T0, "reason": "severity", "acknowledged_time": T0}
    tier = entered | {"contain_deadline": T0 + HOUR}

    found = planned(incident_with(an_undone(), tiers=(tier,), **BY_ALICE), target=FORWARD, now=T0 + HOUR)

    assert next(one for one in found.status.tiers if one.name == "owners").missed == ("Contain",)


@pytest.mark.parametrize(
    ("target", "settled"),
    [(FORWARD, AFTER), (replace(FORWARD, updated_replicas=3), None), (UNREADABLE, None)],
    ids=["it has followed", "a pod is missing", "it cannot be read now"],
)
def test_the_workload_follows_the_undo(target: Any, settled: Any) -> None:
    found = planned(incident_with(an_undone(), **BY_ALICE), target=target)

    undo = first(found).undo
    assert undo is not None
    assert undo.settled_time == settled
    assert ("containment last-healthy: the workload has followed the undo" in told(found.status)) is bool(settled)


def told(status: IncidentStatus) -> list[str]:
    return [entry.what for entry in status.timeline]


def test_what_people_do_after_an_undo_is_their_own_work() -> None:
    incident = incident_with(an_undone(settled_time=AFTER), recovered_time=T0, signals=())

    found = planned(incident, target=a_target(current_hash="hash-9"), signals=latency(0.2, at=AFTER))

    assert first(found) == an_undone(settled_time=AFTER)


# --- while it is under way


def test_an_incident_is_not_resolved_while_it_is_being_undone() -> None:
    found = planned(incident_with(an_undoing()), a_decision("Resolve", "alice", AFTER, reason="enough"))

    assert verdict(found) == (False, "last-healthy is being undone: resolve it afterwards")


def test_it_neither_recovers_nor_closes_by_itself_meanwhile() -> None:
    well = latency(*[0.2] * 30, at=AFTER)
    calm = {"signals": ({"name": "latency", "state": "Recovered"},), "severity": "SEV4"}

    meanwhile = planned(incident_with(an_undoing(), **calm), signals=well).status
    afterwards = planned(incident_with(an_undone(), **calm), signals=well, target=FORWARD).status

    assert (meanwhile.recovered_time, meanwhile.resolved_time) == (None, None)
    assert (afterwards.recovered_time, afterwards.resolved_time) == (AFTER, AFTER)


def test_the_next_episode_begins_after_it() -> None:
    recovered = {"recovered_time": T0 - 30 * MIN, "opened_time": T0 - HOUR, "signals": ()}
    incident = incident_with(an_undoing(OptionState.HELPED), **recovered)

    meanwhile = planned(incident)
    undone = planned(incident, **outcome("Done")).status
    afterwards = planned(incident.model_copy(update={"status": undone}), target=FORWARD)

    assert (meanwhile.status.episode, [one.key for one in undos(meanwhile)]) == (1, [UNDO_KEY])
    assert (afterwards.status.episode, afterwards.status.containment) == (2, ())


def test_a_hold_goes_on_into_the_next_episode() -> None:
    recovered = {"recovered_time": T0 - 30 * MIN, "opened_time": T0 - HOUR, "signals": ()}

    found = planned(incident_with(an_undone(), **recovered, **BY_ALICE), target=FORWARD)

    assert (found.status.episode, found.status.containment) == (2, ())
    assert found.status.held is not None


def test_an_incident_joins_another_after_it() -> None:
    meanwhile = planned(incident_with(an_undoing()), joined="fraud-0")
    afterwards = planned(incident_with(an_undone()), joined="fraud-0")

    assert (meanwhile.status.joined, [one.key for one in undos(meanwhile)]) == (None, [UNDO_KEY])
    assert afterwards.status.joined == "fraud-0"


# --- what is put back

HPA = Autoscaler("hpa", "hpa-uid", 2, 9)
TO_ZERO = Autoscaler("hpa", "hpa-uid", 0, 9)
WITH_POLICY = replace(TO_ZERO, scale_up_policy="Min")

PINS = (
    pytest.param(
        HPA, replace(HPA, min_replicas=1, max_replicas=1), 1, {"minReplicas": 2, "maxReplicas": 9}, id="reach"
    ),
    pytest.param(HPA, HPA, 1, {}, id="somebody gave it back already"),
    pytest.param(HPA, replace(HPA, min_replicas=1, max_replicas=4), 1, None, id="somebody gave it something else"),
    pytest.param(HPA, replace(HPA, min_replicas=1, max_replicas=1, uid="new"), 1, {}, id="one that was made anew"),
    pytest.param(HPA, None, 1, {}, id="it is gone"),
    pytest.param(None, HPA, 1, {}, id="none was pinned"),
    pytest.param(TO_ZERO, replace(TO_ZERO, scale_up_policy="Disabled"), 0, {"behavior": None}, id="it had no behavior"),
    pytest.param(
        WITH_POLICY,
        replace(WITH_POLICY, scale_up_policy="Disabled"),
        0,
        {"behavior": {"scaleUp": {"selectPolicy": "Min"}}},
        id="it had a policy",
    ),
    pytest.param(
        TO_ZERO,
        replace(TO_ZERO, max_replicas=12, scale_up_policy="Disabled"),
        0,
        {"behavior": None},
        id="its reach, which was not ours, is left alone",
    ),
    pytest.param(TO_ZERO, replace(TO_ZERO, max_replicas=12), 0, {}, id="it may scale up again"),
)


@pytest.mark.parametrize(("before", "now", "replicas", "back"), PINS)
def test_unpinning(before: Autoscaler | None, now: Autoscaler | None, replicas: int, back: Any) -> None:
    assert unpinning(before, now, replicas) == back


@pytest.mark.parametrize(("before", "replicas"), [(HPA, 1), (HPA, 4), (TO_ZERO, 0), (WITH_POLICY, 0)])
def test_what_is_pinned_is_given_back(before: Autoscaler, replicas: int) -> None:
    pin = pinning(before, replicas)
    policy = "Disabled" if "behavior" in pin else before.scale_up_policy
    now = replace(
        before,
        min_replicas=pin.get("minReplicas", before.min_replicas),
        max_replicas=pin.get("maxReplicas", before.max_replicas),
        scale_up_policy=policy,
    )

    back = unpinning(before, now, replicas)

    assert back is not None
    assert set(back) == set(pin)


PINNED = PinnedAutoscaler(name="hpa", uid="hpa-uid", min_replicas=2, max_replicas=9)
FEWER = scaled(name="fewer", to="1", pinned=PINNED.dump())
AT_ONE = a_target(replicas=1, scaled_by_us=True, autoscaler=replace(HPA, min_replicas=1, max_replicas=1))


def test_the_inverse_of_a_scaling_knows_what_the_autoscaler_had() -> None:
    back = inverse(FEWER, AT_ONE)

    assert isinstance(back, Proposal)
    assert (back.action, back.from_, back.to, back.autoscaler) == ("Scale", "1", "4", HPA)
    assert what_comes_back(FEWER, "Deployment/fraud") == (
        "scale Deployment/fraud from 1 back to 4 replicas, "
        "then restore HorizontalPodAutoscaler/hpa to minReplicas 2 and maxReplicas 9"
    )


def test_scaling_back_needs_the_right_to_scale() -> None:
    refused = inverse(FEWER, replace(AT_ONE, may_scale=False, lacking=("patch deployments.apps/scale",)))

    assert isinstance(refused, Refusal)
    assert refused.reason == "Forbidden"


NUMBERS = (
    pytest.param({}, "", id="as we left it"),
    pytest.param({"scaled_by_us": False}, "", id="the pinned autoscaler went down by itself"),
    pytest.param({"replicas": 4, "scaled_by_us": False}, "", id="an interrupted undo has written the number only"),
    pytest.param(
        {"autoscaler": HPA, "scaled_by_us": False},
        "Deployment/fraud was scaled to 1 by somebody else",
        id="somebody scaled to the same number",
    ),
    pytest.param(
        {"autoscaler": HPA, "replicas": 3}, "Deployment/fraud has replicas: 3, no longer 1", id="another number"
    ),
    pytest.param(
        {"autoscaler": replace(HPA, max_replicas=5)},
        "the autoscaler of Deployment/fraud is not as we left it",
        id="another reach",
    ),
    pytest.param({"uid": "new"}, "Deployment/fraud was deleted and made anew", id="made anew"),
    pytest.param({"deleting": True}, "Deployment/fraud is being deleted", id="being deleted"),
)


@pytest.mark.parametrize(("changes", "words"), NUMBERS)
def test_whether_a_number_is_still_ours(changes: dict[str, Any], words: str) -> None:
    back = inverse(FEWER, AT_ONE)
    assert isinstance(back, Proposal)

    assert objection(back, replace(AT_ONE, **changes), "incident-uid/1/") == words


@pytest.mark.parametrize(
    ("autoscaler", "kept"),
    [pytest.param(replace(HPA, min_replicas=2), PINNED, id="it is pinned"), pytest.param(None, None, id="none is")],
)
def test_what_the_autoscaler_had_is_on_record_before_it_is_pinned(
    autoscaler: Autoscaler | None, kept: PinnedAutoscaler | None
) -> None:
    rules = the_rules(a_policy(containment=[{"name": "fewer", "type": "Scale", "scale": {"replicas": 1}} | AUTOMATIC]))

    found = step(rules=rules, target=a_target(autoscaler=autoscaler), budget=Budget.RESERVED)

    (effect,) = found.effects
    assert isinstance(effect, Contain)
    assert (only(found).state, only(found).pinned) == (OptionState.EXECUTING, kept)
    assert pinned_by(effect.proposal) == kept


def test_what_the_first_of_two_attempts_has_pinned_is_not_forgotten() -> None:
    """The autoscaler was pinned and the number was not written: to the second attempt nothing has to be pinned."""
    rules = the_rules(a_policy(containment=[{"name": "fewer", "type": "Scale", "scale": {"replicas": 1}}]))
    approvals = ({"by": "alice", "time": T0, "decision": "d"},)
    half = scaled(OptionState.ASKING, **{"name": "fewer", "from": "4", "to": "1", "pinned": PINNED.dump()})
    target = a_target(replicas=3, autoscaler=replace(HPA, min_replicas=1, max_replicas=1))
    asked = plan(a_situation(an_incident(rules, **the_status(half)), target=target)).status
    approved = asked.containment[0].model_validate(asked.containment[0].dump() | {"approvals": approvals})

    found = plan(a_situation(an_incident(rules, **the_status(approved)), target=target))

    assert (first(found).state, first(found).pinned, first(found).from_) == (OptionState.EXECUTING, PINNED, "4")
