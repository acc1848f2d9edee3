"""Does everything that is known fold into one plan, from the first breach to the last word?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import (
    HOUR,
    LATENCY,
    MIN,
    SUSTAINED,
    T0,
    a_freeze,
    a_memory,
    a_policy,
    a_situation,
    a_target,
    an_incident,
    latency,
    rolled_back,
    the_rules,
)
from tests.decide.test_containment import a_record, approved_by
from tests.decide.test_tiers import an_entered
from tocsin.api.incident import EffectState, Incident, OptionState, Phase
from tocsin.api.objects import Severity, condition
from tocsin.api.policy import Rules
from tocsin.decide.defaults import SignalRule
from tocsin.decide.incident import plan
from tocsin.decide.plan import Notify, Plan
from tocsin.decide.situation import Budget, Failed, Outcome
from tocsin.decide.story import LINES
from tocsin.decide.workload import PAUSED

BAD, GOOD, BETWEEN = 0.9, 0.2, 0.27
WELL = (GOOD,) * 11
ALERTING, HOLDING = {"noData": {"after": "5m", "then": "Alert"}}, {"noData": {"after": "5m", "then": "Hold"}}
SIGNAL = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3", "critical": "> 0.6", "for": "3m"}
RECOVERING = SIGNAL | {"recover": "<= 0.24"}


def rules_of(signal: dict[str, Any], **changes: Any) -> Rules:
    return the_rules(a_policy(signals=[RECOVERING | signal], **changes))


def an_open(**fields: Any) -> Incident:
    """An incident in the middle of its breach, with its first tier told."""
    firing = {"name": "latency", "state": "Firing", "sustained": True}
    tiers = (an_entered("owners", acknowledged_time=T0),)
    return an_incident(**{"opened_time": T0, "severity": "SEV3", "signals": (firing,), "tiers": tiers} | fields)


def reasons(plan: Plan) -> list[str]:
    return [event.message for event in plan.events]


def test_the_first_look_opens_scores_asks_pages_and_says_by_when() -> None:
    found = plan(a_situation())

    status = found.status
    assert (status.opened_time, status.cause, status.severity, status.risk) == (T0, "Breach", Severity.SEV2, 68)
    assert [tier.name for tier in status.tiers] == ["owners", "compliance"]
    assert [(record.name, record.state) for record in status.containment] == [("last-healthy", OptionState.ASKING)]
    assert (status.phase, status.waiting_for, status.next_deadline) == (
        Phase.OPEN,
        "compliance: acknowledge",
        "09:15Z",
    )
    assert [effect.key for effect in found.effects] == [
        "incident-uid/1/notify/owners.owners/1",
        "incident-uid/1/notify/compliance.compliance/1",
    ]
    assert found.look_again_at == T0 + 15 * MIN
    facts = {one.type: (one.status, one.reason) for one in status.conditions}
    assert facts == {
        "Firing": ("True", "Sustained"),
        "Acknowledged": ("False", "Waiting"),
        "Contained": ("False", "Asking"),
        "Recovered": ("False", "NotYet"),
        "Resolved": ("False", "Open"),
        "Notified": ("Unknown", "Sending"),
        "tier.tocsin.dev/owners": ("True", "Entered"),
        "tier.tocsin.dev/compliance": ("True", "Entered"),
    }
    assert [event.reason for event in found.events] == ["Opened", "Signal", "Severity", "Containment", "Tier", "Tier"]


def test_an_incident_taken_over_before_its_first_look_is_scored_once_its_signals_are_known() -> None:
    unknown = plan(a_situation(signals={}))

    assert (unknown.status.opened_time, unknown.status.severity, unknown.status.risk) == (T0, None, None)
    assert (unknown.status.tiers, unknown.effects) == ((), ())
    known = plan(a_situation(an_incident().model_copy(update={"status": unknown.status}), now=T0 + MIN))
    assert (known.status.severity, [tier.name for tier in known.status.tiers]) == (
        Severity.SEV2,
        ["owners", "compliance"],
    )
    assert not [line for line in reasons(known) if "rises" in line]


def test_only_numbers_that_move_write_nothing() -> None:
    first = plan(a_situation()).status
    incident = an_incident().model_copy(update={"status": first})
    worse = a_memory(LATENCY, *SUSTAINED, 1.7, at=T0 + MIN)

    again = plan(a_situation(incident, now=T0 + MIN, signals={"latency": worse}))

    assert again.status is first
    assert again.events == ()


def test_missing_data_opens_at_sev3_and_never_contains() -> None:
    rules = rules_of(ALERTING | {"kind": "Custom"}, risk={})
    memory = a_memory(SignalRule.of(rules.signals[0]), GOOD, *(None,) * 6)

    found = plan(a_situation(an_incident(rules), signals={"latency": memory}, budget=Budget.RESERVED))

    assert (found.status.cause, found.status.severity, found.status.containment) == ("NoData", Severity.SEV3, ())
    firing = condition(found.status.conditions, "Firing")
    assert firing is not None
    assert (firing.status, firing.reason) == ("True", "NoData")


def test_missing_data_that_turns_out_to_be_a_breach_contains() -> None:
    rules = rules_of(ALERTING)
    missing = {"name": "latency", "state": "NoData", "missing": True}
    incident = an_incident(rules, opened_time=T0, severity="SEV3", cause="NoData", signals=(missing,))

    found = plan(a_situation(incident))

    assert found.status.cause == "Breach"
    assert [record.state for record in found.status.containment] == [OptionState.ASKING]


def test_missing_data_ends_only_when_the_signal_has_been_well_for_long_enough() -> None:
    rules = rules_of(ALERTING)
    rule = SignalRule.of(rules.signals[0])
    missing = {"name": "latency", "state": "NoData", "missing": True}
    incident = an_incident(rules, opened_time=T0, severity="SEV3", cause="NoData", signals=(missing,))

    back = plan(a_situation(incident, signals={"latency": a_memory(rule, None, GOOD)}))
    well = plan(a_situation(incident, signals={"latency": a_memory(rule, None, *WELL)}))

    assert (back.status.signals[0].missing, back.status.recovered_time) == (True, None)
    assert (well.status.signals[0].missing, well.status.recovered_time) == (False, T0)


def test_a_persons_incident_takes_the_living_rules_and_never_recovers_by_itself() -> None:
    rules = the_rules()

    found = plan(a_situation(an_incident(by="alice"), rules=rules, signals=latency(*WELL)))

    assert (found.status.rules, found.status.cause, found.status.recovered_time) == (rules, "Report", None)
    assert found.status.severity is Severity.SEV3
    assert found.status.timeline[0].what == "reported by alice: customers complain"
    assert [(record.state, record.needs) for record in found.status.containment] == [(OptionState.ASKING, 1)]
    recovered = condition(found.status.conditions, "Recovered")
    assert recovered is not None
    assert (recovered.status, recovered.reason) == ("Unknown", "Reported")


def test_it_recovers_when_every_signal_is_well() -> None:
    found = plan(a_situation(an_open(), now=T0, signals=latency(*WELL)))

    assert (found.status.recovered_time, found.status.phase, found.status.resolved_time) == (T0, Phase.RECOVERED, None)
    assert [effect.notice.cause for effect in found.effects if isinstance(effect, Notify)] == ["Recovered"]


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param({}, id="nothing is known after a restart"),
        pytest.param(latency(*WELL, None), id="data is missing"),
        pytest.param(latency(*WELL, Failed("down")), id="queries fail"),
        pytest.param(latency(*WELL[1:]), id="it is well for a minute too few"),
        pytest.param(latency(*(BETWEEN,) * 20), id="it is better, but not well"),
    ],
)
def test_it_does_not_recover_while(signals: dict[str, Any]) -> None:
    assert plan(a_situation(an_open(), signals=signals)).status.recovered_time is None


def test_before_memory_is_rebuilt_nothing_recovers_even_in_an_incident_that_was_never_looked_at() -> None:
    found = plan(a_situation(signals={}))

    assert found.status.recovered_time is None
    assert [(signal.name, signal.state) for signal in found.status.signals] == [("latency", "Unknown")]


def test_a_sev4_incident_that_paged_nobody_closes_itself() -> None:
    rules = the_rules(a_policy(risk={}, signals=[RECOVERING | {"critical": "> 900"}]))
    incident = an_open(rules=rules, severity="SEV4", tiers=())
    situation = a_situation(incident, rules=rules, signals=latency(*WELL))

    found = plan(situation)

    assert (found.status.severity, found.status.phase, found.status.resolved_time) == (
        Severity.SEV4,
        Phase.RESOLVED,
        T0,
    )
    assert found.look_again_at is None


def test_a_sev4_incident_that_somebody_was_called_to_waits_for_a_person() -> None:
    found = plan(a_situation(an_open(severity="SEV4"), rules=the_rules(a_policy(risk={})), signals=latency(*WELL)))

    assert (found.status.recovered_time, found.status.resolved_time) == (T0, None)


def test_an_incident_that_joins_another_is_closed_and_tells_nobody() -> None:
    found = plan(a_situation(joined="fraud-0"))
    assert found.status.joined == "fraud-0"

    resolved = condition(found.status.conditions, "Resolved")
    assert resolved is not None
    assert (found.status.phase, resolved.reason, found.effects) == (Phase.RESOLVED, "Joined", ())


def test_room_is_reserved_before_anything_is_written() -> None:
    rules = the_rules(
        a_policy(risk={}, containment=[{"name": "last-healthy", "type": "RollBack", "approval": {"required": 0}}])
    )
    situation = a_situation(an_incident(rules))

    assert plan(situation) == Plan(status=situation.incident.status, needs_budget=True)


def test_the_outcome_of_a_containment_is_in_the_ledger_and_on_the_option() -> None:
    record = a_record(OptionState.EXECUTING, attempt=1, under="approved by bob", approvals=approved_by("bob"))
    key = "incident-uid/1/contain/last-healthy/1"
    intent = {"key": key, "state": "Intended", "intended_time": T0}
    outcome = Outcome(key, "Done", T0 + MIN, "read back")

    status = plan(
        a_situation(
            an_open(containment=(record,), effects=(intent,)),
            now=T0 + MIN,
            signals=latency(BAD, BAD, BAD, BAD, at=T0 + MIN),
            outcomes={key: outcome},
            target=rolled_back(key),
        )
    ).status

    assert [(effect.key, effect.state) for effect in status.effects if effect.key == key] == [(key, EffectState.DONE)]
    assert status.containment[0].state is OptionState.EXECUTED


@pytest.mark.parametrize(
    ("result", "state", "done_at"),
    [
        ("Done", EffectState.DONE, T0 + MIN),
        ("Refused", EffectState.FAILED, T0 + MIN),
        ("Undelivered", EffectState.UNDELIVERED, None),
        ("Unknown", EffectState.INTENDED, None),
    ],
)
def test_the_outcome_of_a_notice_is_in_the_ledger(result: Any, state: EffectState, done_at: Any) -> None:
    key = "incident-uid/1/notify/owners.owners/1"
    intent = {"key": key, "state": "Intended", "intended_time": T0, "causes": ("TierEntered",)}
    outcomes = {key: Outcome(key, result, T0 + MIN, "words")}

    status = plan(a_situation(an_open(effects=(intent,)), now=T0 + MIN, outcomes=outcomes)).status

    effect = next(effect for effect in status.effects if effect.key == key)
    assert (effect.state, effect.done_time) == (state, done_at)


def test_an_outcome_that_comes_late_never_undoes_done() -> None:
    key = "incident-uid/1/notify/owners.owners/1"
    done = {"key": key, "state": "Done", "intended_time": T0, "causes": ("TierEntered",)}
    outcomes = {key: Outcome(key, "Undelivered", T0 + MIN, "words")}

    status = plan(a_situation(an_open(effects=(done,)), now=T0 + MIN, outcomes=outcomes)).status

    assert status.effects[0].state is EffectState.DONE


def test_an_intent_whose_option_was_found_done_is_closed_as_done() -> None:
    key = "incident-uid/1/contain/last-healthy/1"
    record = a_record(OptionState.EXECUTING, attempt=1, under="automatic")
    intent = {"key": key, "state": "Intended", "intended_time": T0}

    status = plan(a_situation(an_open(containment=(record,), effects=(intent,)), target=rolled_back(key))).status

    assert [(effect.state, effect.message) for effect in status.effects if effect.key == key] == [
        (EffectState.DONE, "found done after an interruption")
    ]


def test_an_intent_whose_target_changed_is_closed_as_failed() -> None:
    key = "incident-uid/1/contain/last-healthy/1"
    record = a_record(OptionState.EXECUTING, attempt=1, under="automatic")
    intent = {"key": key, "state": "Intended", "intended_time": T0}

    status = plan(a_situation(an_open(containment=(record,), effects=(intent,)), target=a_target(paused=PAUSED))).status

    assert [effect.state for effect in status.effects if effect.key == key] == [EffectState.FAILED]


@pytest.mark.parametrize(
    ("fields", "s", "minutes"),
    [
        pytest.param({}, {}, 60, id="a tier's deadline"),
        pytest.param(
            {"containment": (a_record(OptionState.ASKING, fail_safe_time=T0 + 5 * MIN, expire_time=T0 + HOUR),)},
            {},
            5,
            id="a fail-safe",
        ),
        pytest.param(
            {"containment": (a_record(OptionState.EXECUTED, executed_time=T0, verify_time=T0 + 15 * MIN),)},
            {"target": rolled_back(updated_replicas=3)},
            timedelta(seconds=5) / MIN,
            id="soon, until the workload has followed",
        ),
        pytest.param(
            {"containment": (a_record(OptionState.EXECUTED, executed_time=T0, verify_time=T0 + 15 * MIN),)},
            {"target": rolled_back()},
            1,
            id="every minute while something must hold",
        ),
        pytest.param({}, {"freezes": (a_freeze(7 * MIN),)}, 7, id="a freeze that will begin"),
        pytest.param({}, {"freezes": (a_freeze(-HOUR, 9 * MIN),)}, 9, id="the end of a freeze"),
        pytest.param(
            {"tiers": ()}, {"target": None, "rules": the_rules(a_policy(risk={}))}, 15, id="a tier entered now"
        ),
    ],
)
def test_when_to_look_again(fields: dict[str, Any], s: dict[str, Any], minutes: float) -> None:
    incident = an_open(**{"rules": the_rules(a_policy(risk={}))} | fields)

    assert plan(a_situation(incident, **{"rules": incident.rules} | s)).look_again_at == T0 + minutes * MIN


def test_severity_rises_by_itself_and_never_falls() -> None:
    mild = the_rules(a_policy(risk={}))

    assert plan(a_situation(an_open(severity="SEV4"))).status.severity is Severity.SEV2
    assert plan(a_situation(an_open(severity="SEV1", rules=mild))).status.severity is Severity.SEV1


def test_the_score_that_is_shown_is_the_worst_of_the_episode_and_explains_the_severity() -> None:
    worst = plan(a_situation(an_open())).status
    well = a_situation(an_incident(**dict(worst)), signals=latency(0.1))

    assert plan(well).status.score == worst.score
    assert plan(well).status.risk == worst.risk


LOWERED = {"by": "alice", "time": T0, "to": "SEV4", "computed": "SEV2", "floors": ()}


@pytest.mark.parametrize(
    ("risk", "signal", "lowered", "severity"),
    [
        pytest.param({"regulatory": 2, "reputation": 2}, {}, LOWERED, Severity.SEV4, id="as bad as then: it stays"),
        pytest.param({"regulatory": 4, "reputation": 3}, {}, LOWERED, Severity.SEV1, id="worse than then: it rises"),
        pytest.param({}, {"floor": "SEV3"}, LOWERED, Severity.SEV3, id="a floor that newly holds: it rises"),
        pytest.param(
            {},
            {"floor": "SEV3"},
            LOWERED | {"floors": ("signal latency is sustained: at least SEV3, by the policy",)},
            Severity.SEV4,
            id="a floor that held then: it stays",
        ),
        pytest.param(
            {"reputation": 4},
            {},
            LOWERED | {"computed": "SEV1"},
            Severity.SEV1,
            id="a headline that newly holds: it rises",
        ),
    ],
)
def test_after_a_lowering(
    risk: dict[str, Any], signal: dict[str, Any], lowered: dict[str, Any], severity: Severity
) -> None:
    rules = rules_of(signal, risk=risk)

    assert plan(a_situation(an_open(rules=rules, severity="SEV4", lowered=lowered))).status.severity is severity


def test_the_timeline_drops_the_oldest_but_keeps_how_it_began() -> None:
    lines = tuple({"time": T0, "what": f"line {one}"} for one in range(LINES))

    status = plan(a_situation(an_open(timeline=lines), now=T0 + 5 * HOUR)).status

    assert len(status.timeline) == LINES
    assert status.timeline_dropped > 0
    assert status.timeline[0].what == "line 0"
    assert status.timeline[-1].what.startswith(("tier ", "containment "))


def test_harm_to_people_makes_it_the_worst_whatever_the_sum_says() -> None:
    status = plan(a_situation(signals=latency(0.2, 0.2), harm_told_by=("alice",))).status
    assert status.severity is Severity.SEV1
    assert status.score is not None
    assert status.score.floors == ("harm reported by alice: at least SEV1",)
