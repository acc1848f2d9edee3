"""Who is told what, in which words, with which command, and how often?"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.builders import MIN, ROSTER, T0, a_policy, a_situation, an_incident, the_rules
from tests.decide.test_containment import a_record
from tests.decide.test_containment import the_status as in_breach
from tests.decide.test_tiers import an_entered
from tocsin.api.decision import Decision
from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus, OptionState
from tocsin.api.policy import Tier
from tocsin.api.responder import Responder
from tocsin.decide.notices import AGAIN, MOST, due_notices, plan_notices
from tocsin.decide.pasting import next_command
from tocsin.decide.plan import Notify
from tocsin.decide.situation import Situation
from tocsin.decide.wording import papers

FIRING = {"name": "latency", "state": "Firing", "sustained": True, "message": "0.9 breaches warn > 0.3"}


def the_status(**fields: Any) -> IncidentStatus:
    defaults = {"signals": (FIRING,), "risk": 67, "tiers": (an_entered("owners"),)}
    return IncidentStatus.model_validate(in_breach() | defaults | fields)


def planned(before: IncidentStatus, status: IncidentStatus, **s: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Who is told why, as the ledger has it."""
    after = plan_notices(a_situation(**s), before, status)
    known = {record.key for record in status.effects}
    return [(record.key, record.causes) for record in after.effects if record.key not in known]


def owners(number: int = 1, tier: str = "owners.owners", episode: int = 1) -> str:
    return f"incident-uid/{episode}/notify/{tier}/{number}"


ASKING = a_record(OptionState.ASKING)
NEWS = (
    pytest.param({}, {"containment": (ASKING,)}, "ApprovalNeeded", id="an option asks"),
    pytest.param(
        {"containment": (a_record(OptionState.EXECUTING),)},
        {"containment": (ASKING,)},
        "ApprovalNeeded",
        id="an option asks again",
    ),
    pytest.param(
        {"containment": (ASKING,)},
        {"containment": (a_record(OptionState.ASKING, digest="sha256:" + "c" * 64),)},
        "ApprovalNeeded",
        id="what is asked has changed",
    ),
    pytest.param(
        {"containment": (a_record(OptionState.EXECUTED),)},
        {"containment": (a_record(OptionState.EXECUTED, settled_time=T0),)},
        "Contained",
        id="a containment holds and the workload has followed",
    ),
    pytest.param({}, {"containment": (a_record(OptionState.FAILED),)}, "NotContained", id="a containment failed"),
    pytest.param({}, {"containment": (a_record(OptionState.REFUSED),)}, "NotContained", id="one was not possible"),
    pytest.param({}, {"containment": (a_record(OptionState.EXPIRED),)}, "NotContained", id="nobody decided"),
    pytest.param({}, {"containment": (a_record(OptionState.DID_NOT_HELP),)}, "NotContained", id="one did not help"),
    pytest.param({}, {"containment": (a_record(OptionState.CANNOT_TELL),)}, "CannotTell", id="it cannot be told"),
    pytest.param({}, {"containment": (a_record(OptionState.REVERTED),)}, "Reverted", id="one was reverted"),
    pytest.param({}, {"containment": (a_record(OptionState.OBSERVED),)}, "Rehearsed", id="one was rehearsed"),
    pytest.param({}, {"recovered_time": T0}, "Recovered", id="it recovered"),
    pytest.param({}, {"resolved_time": T0}, "Resolved", id="it was resolved"),
)


@pytest.mark.parametrize(("before", "after", "cause"), NEWS)
def test_people_who_are_in_hear_the_news(before: dict[str, Any], after: dict[str, Any], cause: str) -> None:
    assert planned(the_status(**before), the_status(**after)) == [(owners(), (cause,))]


def a_line(number: int = 1, **changes: Any) -> EffectRecord:
    fields = {"key": owners(number), "state": EffectState.DONE, "causes": ("TierEntered",), "intended_time": T0}
    return EffectRecord.model_validate(fields | {"into": "fraud-0"} | changes)


@pytest.mark.parametrize(
    ("lines", "news", "state"),
    [
        pytest.param((a_line(),), {"recovered_time": T0}, EffectState.DONE, id="who was not paged does not hear of it"),
        pytest.param(
            (a_line(), a_line(2, into=None, to="owners/alice")),
            {"recovered_time": T0},
            EffectState.INTENDED,
            id="who was paged later does",
        ),
        pytest.param(
            (a_line(state=EffectState.INTENDED, into=None),),
            {"recovered_time": T0},
            EffectState.INTENDED,
            id="so does who may have been paged",
        ),
        pytest.param(
            (a_line(),), {"containment": (ASKING,)}, EffectState.INTENDED, id="who is asked for something does"
        ),
        pytest.param(
            (a_line(),),
            {"containment": (a_record(OptionState.FAILED),)},
            EffectState.INTENDED,
            id="so does who must do by hand what has failed",
        ),
    ],
)
def test_news_after_a_page_that_was_folded(
    lines: tuple[EffectRecord, ...], news: dict[str, Any], state: EffectState
) -> None:
    before = the_status(effects=lines)
    last = plan_notices(a_situation(), before, the_status(effects=lines, **news)).effects[-1]

    assert (last.key, last.state, last.severity) == (owners(len(lines) + 1), state, before.severity)
    assert (last.into, last.done_time) == (("fraud-0", T0) if state is EffectState.DONE else (None, None))


OWNED = {
    "inventoryId": "MRM-1042",
    "version": "2026.11",
    "upstream": ["feature-store", "bureau"],
    "owners": {"data": "compliance", "userImpact": "nowhere"},
}


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        pytest.param({}, [], id="nothing is known of it"),
        pytest.param({"version": "7"}, ["Version 7."], id="its version"),
        pytest.param(
            OWNED,
            [
                "Inventory MRM-1042, version 2026.11.",
                "Owners: data: Carol (compliance), user impact: nobody (nowhere).",
                "Upstream: feature-store, bureau.",
            ],
            id="everything",
        ),
    ],
)
def test_what_a_model_is_and_who_answers_for_it_now(model: dict[str, Any], lines: list[str]) -> None:
    made = a_policy(models=[{"name": "fraud", **model}], containment=[]).spec.models[0]

    assert papers(made, ROSTER, T0) == lines


SILENCE = (
    pytest.param({}, {"severity": "SEV1"}, id="the severity alone"),
    pytest.param({"containment": (ASKING,)}, {"containment": (ASKING,)}, id="an option that still asks"),
    pytest.param(
        {"containment": (ASKING,)},
        {"containment": (a_record(OptionState.ASKING, approvals=({"by": "a", "time": T0, "decision": "d"},)),)},
        id="one of several approvals",
    ),
    pytest.param({}, {"containment": (a_record(OptionState.EXECUTED),)}, id="a write that did not take effect yet"),
    pytest.param({}, {"containment": (a_record(OptionState.NOT_NEEDED),)}, id="an option that is not needed"),
    pytest.param({}, {"tiers": (an_entered("owners", missed=("Acknowledge",)),)}, id="a deadline with a tier after it"),
)


@pytest.mark.parametrize(("before", "after"), SILENCE)
def test_people_are_not_told(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert planned(the_status(**before), the_status(**after)) == []


def test_a_tier_that_is_entered_is_told_and_the_others_hear_nothing() -> None:
    status = the_status(tiers=(an_entered("owners"), an_entered("compliance")))

    assert planned(the_status(), status) == [(owners(1, "compliance.compliance"), ("TierEntered",))]


def test_what_happens_at_once_is_told_at_once_in_one_notice() -> None:
    status = the_status(containment=(ASKING,))

    assert planned(the_status(tiers=()), status) == [(owners(), ("TierEntered", "ApprovalNeeded"))]


def test_the_last_tier_hears_that_it_missed_a_deadline_because_nobody_follows() -> None:
    before, after = an_entered("board"), an_entered("board", missed=("Acknowledge",))

    assert planned(the_status(tiers=(before,)), the_status(tiers=(after,))) == [(owners(1, "board.board"), ("Missed",))]


def test_a_role_of_two_tiers_is_told_for_each_and_within_a_tier_once() -> None:
    tiers = tuple(
        Tier.model_validate({"name": name, "severity": "SEV3", "accountable": "owners", "responsible": ["owners"]})
        for name in ("owners", "compliance")
    )
    rules = the_rules().model_copy(update={"tiers": tiers})
    status = the_status(tiers=(an_entered("owners"), an_entered("compliance")))

    assert [key for key, _ in planned(the_status(tiers=()), status, rules=rules)] == [
        owners(),
        owners(1, "compliance.owners"),
    ]


def test_the_keys_of_a_role_count_up() -> None:
    sent = EffectRecord(key=owners(), causes=("TierEntered",), state=EffectState.DONE, intended_time=T0)

    assert planned(the_status(effects=(sent,)), the_status(effects=(sent,), recovered_time=T0)) == [
        (owners(2), ("Recovered",))
    ]


def test_a_new_episode_pages_everybody_anew() -> None:
    before = the_status(resolved_time=T0, recovered_time=T0, containment=(a_record(OptionState.ASKING),))
    status = the_status(episode=2, containment=(a_record(OptionState.ASKING),))

    assert planned(before, status) == [(owners(episode=2), ("TierEntered", "ApprovalNeeded"))]


def a_ledger(size: int) -> tuple[EffectRecord, ...]:
    key = "incident-uid/1/notify/compliance.compliance/{}"
    return tuple(EffectRecord(key=key.format(one), state=EffectState.DONE, intended_time=T0) for one in range(size))


def test_a_full_ledger_stops_the_news_and_says_so_once_but_never_stops_escalation() -> None:
    effects = a_ledger(MOST)
    before = the_status(effects=effects)
    once = plan_notices(a_situation(), before, the_status(effects=effects, recovered_time=T0))
    again = plan_notices(a_situation(), once, once.model_copy(update={"resolved_time": T0}))
    entered = plan_notices(a_situation(), the_status(effects=effects, tiers=()), the_status(effects=effects))

    line = "no more notices in this episode: the ledger is full, read the incident itself"
    assert [entry.what for entry in once.timeline] == [line]
    assert again.timeline == once.timeline
    assert (len(once.effects), len(entered.effects)) == (MOST, MOST + 1)


@pytest.mark.parametrize(("size", "paged"), [(MOST, True), (AGAIN - 1, True), (AGAIN, False)])
def test_who_lets_an_acknowledgement_expire_is_paged_again_until_only_the_room_for_tiers_is_left(
    size: int, paged: bool
) -> None:
    effects = a_ledger(size)
    before = the_status(effects=effects, tiers=(an_entered("owners", acknowledged_time=T0),))
    after = the_status(effects=effects, tiers=(an_entered("owners", renewals=1),))
    assert (len(plan_notices(a_situation(), before, after).effects) > size) == paged


def a_due(status: IncidentStatus, **s: Any) -> tuple[Notify, ...]:
    return due_notices(the_situation(status, **s), status)


def the_situation(status: IncidentStatus, **s: Any) -> Situation:
    return a_situation(an_incident().model_copy(update={"status": status}), **s)


def an_intent(state: EffectState = EffectState.INTENDED, causes: tuple[str, ...] = ("TierEntered",)) -> EffectRecord:
    return EffectRecord(key=owners(), causes=causes, state=state, intended_time=T0)


@pytest.mark.parametrize(
    ("state", "under_way", "due"),
    [
        (EffectState.INTENDED, False, True),
        (EffectState.UNDELIVERED, False, True),
        (EffectState.INTENDED, True, False),
        (EffectState.DONE, False, False),
        (EffectState.FAILED, False, False),
    ],
)
def test_a_notice_is_due_until_it_was_accepted_or_refused(state: EffectState, under_way: bool, due: bool) -> None:
    status = the_status(effects=(an_intent(state),))

    notices = a_due(status, under_way=frozenset({owners()}) if under_way else frozenset())

    assert [notice.key for notice in notices] == ([owners()] if due else [])


def test_a_tier_whose_acknowledgement_expired_is_paged_again() -> None:
    before = the_status(tiers=(an_entered("owners", acknowledged_by="alice", acknowledged_time=T0),))
    after = the_status(tiers=(an_entered("owners", renewals=1),))

    assert planned(before, after) == [(owners(), ("AcknowledgementExpired",))]


def test_a_deputy_is_told_why_and_then_hears_the_news_like_everybody() -> None:
    before = the_status(tiers=(an_entered("owners"),))
    paged = the_status(tiers=(an_entered("owners", missed=("Acknowledge",), deputy="bob"),))
    over = paged.model_copy(update={"recovered_time": T0})

    assert planned(before, paged) == [(owners(1, "owners.owners:deputy"), ("DeputyPaged",))]
    assert planned(paged, over) == [
        (owners(), ("Recovered",)),
        (owners(1, "owners.owners:deputy"), ("Recovered",)),
    ]


def test_a_deputy_and_who_is_on_duty_are_two_people() -> None:
    deputies = an_intent(causes=("DeputyPaged",)).model_copy(update={"key": owners(1, "owners.owners:deputy")})
    tier = an_entered("owners", missed=("Acknowledge",), deputy="bob")

    first, second = a_due(the_status(effects=(an_intent(), deputies), tiers=(tier,)))

    assert [(one.notice.responder, one.notice.person) for one in (first, second)] == [
        ("owners", "alice"),
        ("owners", "bob"),
    ]
    assert second.notice.subject == "SEV3 fraud: latency — you are asked to act"
    assert second.notice.text.startswith("To Bob (owners).")
    assert first.notice.dedup != second.notice.dedup


def test_a_role_where_nobody_is_there_is_told_by_its_own_channels() -> None:
    (due,) = a_due(the_status(effects=(an_intent(),)), roster={})

    assert (due.notice.responder, due.notice.person) == ("owners", "")
    assert due.notice.text.startswith("To all who read this: nobody of this role is there now.")


def test_whoever_stands_in_for_a_role_is_told_by_the_channels_of_theirs() -> None:
    away = {"from": T0 - MIN, "until": T0 + MIN}
    spec = {"members": [{"name": "Alice", "user": "alice", "absences": [away]}], "escalateTo": "board"}
    owner = Responder.model_validate({"metadata": {"name": "owners"}, "spec": spec})

    (due,) = a_due(the_status(effects=(an_intent(),)), roster=ROSTER | {"owners": owner})

    assert (due.notice.responder, due.notice.person, due.notice.dedup) == (
        "board",
        "erin",
        "incident-uid/owners.owners",
    )


@pytest.mark.parametrize(
    ("part", "asks", "command"),
    [
        ("responsible", "you are asked to act", "Acknowledge"),
        ("consulted", "your opinion is asked", "kubectl describe incident"),
        ("informed", "for your information", "kubectl describe incident"),
    ],
)
def test_each_part_in_a_tier_is_asked_what_it_is_for(part: str, asks: str, command: str) -> None:
    tier = Tier.model_validate({"name": "owners", "severity": "SEV3", "accountable": "compliance", part: ["owners"]})

    (due,) = a_due(the_status(effects=(an_intent(),)), rules=the_rules().model_copy(update={"tiers": (tier,)}))

    assert due.notice.subject == f"SEV3 fraud: latency — {asks}"
    assert f"You are {part} in tier owners" in due.notice.text
    assert command in due.notice.command


def test_a_containment_in_the_ledger_is_no_notice() -> None:
    key = "incident-uid/1/contain/last-healthy/1"
    effect = EffectRecord(key=key, state=EffectState.INTENDED, intended_time=T0)

    assert a_due(the_status(effects=(effect,))) == ()


def test_a_notice_reads_well() -> None:
    status = the_status(effects=(an_intent(),), containment=(a_record(OptionState.ASKING, message="0 of 1 approvals"),))

    (due,) = a_due(status, now=T0 + 5 * MIN)

    assert due.intended_at == T0
    assert due.notice.subject == "SEV3 fraud: latency — you are asked to act"
    assert due.notice.text.splitlines() == [
        "To Alice (owners).",
        "If last-healthy runs, people will experience: Payments are checked by the older rules.",
        "By hand meanwhile: The desk reviews large payments by hand.",
        "Model fraud in namespace models: SEV3, risk 67 of 100.",
        "- latency: 0.9 breaches warn > 0.3",
        "Since 2026-11-23T09:00:00Z (episode 1).",
        f"Containment last-healthy: Asking — {ASKING.summary}",
        "  0 of 1 approvals",
        "  Note: a rollback restores the pod template, not ConfigMaps, Secrets or files that the model loads",
        "You are accountable in tier owners: because.",
        "Acknowledge by 2026-11-23T09:15:00Z (in 10m).",
        "Contain by 2026-11-23T10:00:00Z (in 55m).",
        "With the plugin: kubectl tocsin ack fraud-1 -n models",
        "More models may follow without a page of their own. All that is open: kubectl tocsin status -n models",
        "The whole story: kubectl describe incident fraud-1 -n models",
    ]
    assert (due.notice.cause, due.notice.responder, due.notice.severity) == ("TierEntered", "owners", "SEV3")
    assert (due.notice.dedup, due.notice.resolves) == ("incident-uid/owners.owners", False)


def test_a_notice_says_what_is_true_when_it_is_sent() -> None:
    status = the_status(effects=(an_intent(),), resolved_time=T0, phase="Resolved")

    (due,) = a_due(status, now=T0 + 20 * MIN)

    assert (due.notice.subject, due.notice.resolves, due.notice.command) == ("SEV3 fraud: resolved", True, "")


def test_a_deadline_that_has_passed_is_said_to_be_missed() -> None:
    (due,) = a_due(the_status(effects=(an_intent(),)), now=T0 + 20 * MIN)

    assert "Acknowledge by 2026-11-23T09:15:00Z (missed)." in due.notice.text


@pytest.mark.parametrize(
    ("causes", "headline"),
    [
        (("ApprovalNeeded",), "your approval is needed"),
        (("Contained",), "contained"),
        (("NotContained",), "a containment was not possible or did not help"),
        (("CannotTell",), "it cannot be told whether the containment helped"),
        (("Reverted",), "the containment was reverted"),
        (("Rehearsed",), "what containment would have done"),
        (("Contained", "Recovered"), "recovered"),
        (("Missed",), "a deadline was missed, and there is no further tier"),
        (("Resolved",), "resolved"),
    ],
)
def test_the_subject_says_the_last_news(causes: tuple[str, ...], headline: str) -> None:
    (due,) = a_due(the_status(effects=(an_intent(causes=causes),)))

    assert due.notice.subject == f"SEV3 fraud: {headline}"


def test_a_tier_that_is_entered_after_the_recovery_is_not_told_of_a_report() -> None:
    well = FIRING | {"state": "Recovered", "sustained": False}

    (due,) = a_due(the_status(effects=(an_intent(),), signals=(well,), recovered_time=T0))

    assert due.notice.subject == "SEV3 fraud: recovered, but nobody has answered — you are asked to act"


def test_what_a_person_reported_is_in_the_text() -> None:
    status = the_status(effects=(an_intent(),), signals=(), cause="Report")
    incident = an_incident(by="alice").model_copy(update={"status": status})

    (due,) = due_notices(a_situation(incident), status)

    assert "Reported: customers complain" in due.notice.text
    assert due.notice.subject == "SEV3 fraud: reported by a person — you are asked to act"


COMMANDS = (
    pytest.param({}, "Acknowledge", {}, id="first acknowledge"),
    pytest.param(
        {"tiers": (an_entered("owners", acknowledged_time=T0),), "containment": (ASKING,)},
        "Approve",
        {"option": "last-healthy", "digest": ASKING.digest},
        id="then approve what asks, bound to what is asked",
    ),
    pytest.param(
        {"tiers": (an_entered("owners", acknowledged_time=T0),), "recovered_time": T0},
        "Resolve",
        {},
        id="in the end resolve",
    ),
)


@pytest.mark.parametrize(("fields", "kind", "more"), COMMANDS)
def test_the_command_creates_a_valid_decision(fields: dict[str, Any], kind: str, more: dict[str, Any]) -> None:
    status = the_status(**fields)

    command = next_command(the_situation(status), status, "owners", "accountable")

    whoami = 'kubectl() { test "$1" = auth && echo alice || cat; }'
    typed = 'because "it" \\ helps\n'
    pasted = subprocess.run(
        ["sh", "-c", f"{whoami}; {command}"], input=typed, capture_output=True, text=True, check=True
    )
    parsed = json.loads(pasted.stdout)
    decision = Decision.model_validate(parsed)
    assert decision.spec.by == "alice"
    assert (decision.metadata.namespace, decision.spec.type) == ("models", kind)
    assert decision.spec.incident_ref is not None
    assert (decision.spec.incident_ref.name, decision.spec.incident_ref.uid) == ("fraud-1", "incident-uid")
    assert {name: parsed["spec"][name] for name in more} == more
    assert parsed["metadata"]["generateName"] == f"{kind.lower()}-"
    assert decision.spec.reason == (None if kind in ("Acknowledge", "Accept") else "because it  helps")


def test_when_nothing_is_asked_the_command_shows_the_incident() -> None:
    status = the_status(tiers=(an_entered("owners", acknowledged_time=T0),))

    assert (
        next_command(the_situation(status), status, "owners", "accountable")
        == "kubectl describe incident fraud-1 -n models"
    )
