"""Every Decision counts or is refused, and says why; what it changed stands in the incident's conditions."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access, CommandError
from tests.e2e.rows import MILD, PATIENT_LEASE, QUIET_TIERS, Rows, Scene, fact, scale, signal
from tests.e2e.stage import ACCURACY, LESSON

row = Rows()
DIGEST = "sha256:" + "0" * 64


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def breach(scene: Scene, **changes: Any) -> None:
    """An incident of SEV3 that only the owners are told of, with an option that asks one person."""
    scene.runs(replicas=2)
    scene.guard(MILD, **{"containment": [scale(1, approval={"required": 1})]} | changes)
    scene.wait(lambda: scene.status().get("tiers"), "the first tier")


@row
def an_acknowledgement_counts_once_for_the_tier_of_its_author(scene: Scene) -> None:
    breach(scene)
    assert fact(scene.until("Acknowledged", "False"), "Acknowledged")[2] == "not acknowledged by tier owners"
    outsider = scene.told("zoe", "Acknowledge")
    assert outsider == (
        False,
        "zoe is a member of no Responder that is accountable or responsible in this policy's tiers",
    )
    assert scene.told("ben", "Acknowledge") == (False, "tier compliance was not entered yet")
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")
    assert fact(scene.until("Acknowledged"), "Acknowledged")[2] == "tier owners by ada"
    assert scene.told("ada", "Acknowledge") == (False, "your tier is acknowledged already")
    assert scene.status()["tiers"][0]["acknowledgedBy"] == "ada"


@row
def a_note_is_written_into_the_story_and_decides_nothing(scene: Scene) -> None:
    breach(scene)
    assert scene.told("ada", "Note", reason="the vendor is called") == (True, "noted")
    assert "ada: Note: noted — the vendor is called" in [one["what"] for one in scene.status()["timeline"]]
    assert "decidedTime" not in scene.status()["tiers"][0]


@row
def a_decision_is_told_in_the_timeline_and_as_an_event(scene: Scene) -> None:
    breach(scene)
    assert scene.told("ada", "Acknowledge")[0]
    line = "ada: Acknowledge: acknowledged tier owners"
    assert line in [one["what"] for one in scene.status()["timeline"]]

    def notes() -> list[str]:
        where = f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events"
        events = scene.cluster.api("GET", where)["items"]
        return [one["note"] for one in events if one.get("regarding", {}).get("kind") == "Incident"]

    scene.wait(lambda: line in notes(), "the Event")


@row
def an_approval_is_of_an_option_that_asks_and_of_exactly_what_it_asks(scene: Scene) -> None:
    breach(scene)
    digest = scene.asks("stop")
    assert scene.told("ben", "Approve", option="none", digest=digest) == (
        False,
        "option none does not ask for approval: it was not tried",
    )
    assert scene.told("ben", "Approve", option="stop", digest=DIGEST) == (
        False,
        f"what would be done has changed: look again, and use the digest {digest}",
    )
    assert scene.told("ben", "Approve", option="stop", digest=digest) == (True, "approved stop (1 of 1)")
    scene.until("Contained")
    late = scene.told("ada", "Reject", option="stop", digest=digest, reason="too late")
    assert late[0] is False
    assert late[1].startswith("option stop does not ask for approval: it is ")
    assert scene.deployment()["spec"]["replicas"] == 1


@row
def an_escalation_enters_the_named_tier_or_the_next_and_tells_its_people(scene: Scene) -> None:
    breach(scene)
    assert scene.told("ada", "Escalate", tier="lawyers", reason="they should know") == (
        False,
        "the policy has no tier lawyers",
    )
    assert scene.told("ada", "Escalate", tier="executives", reason="the press calls") == (
        True,
        "entered tier executives",
    )
    entered = fact(scene.until("tier.tocsin.dev/executives"), "tier.tocsin.dev/executives")[2]
    assert entered == "escalated by ada: the press calls"
    scene.wait(lambda: scene.pages("board"), "the page of the named tier")
    assert scene.told("ada", "Escalate", tier="executives", reason="once more") == (
        False,
        "tier executives was entered already",
    )
    assert scene.told("ada", "Escalate", reason="further") == (False, "the last tier was entered already")


@row
def an_escalation_without_a_name_enters_the_next_tier(scene: Scene) -> None:
    breach(scene)
    assert scene.told("ada", "Escalate", reason="it is more than we can judge") == (True, "entered tier compliance")
    scene.wait(lambda: scene.pages("risk"), "the page of the next tier")


@row
def what_was_lowered_rises_again_only_when_it_is_worse(scene: Scene) -> None:
    scene.serve("v1", 0.85)
    tiers = [QUIET_TIERS[0] | {"decideWithin": "1h"}, *QUIET_TIERS[1:]]
    scene.guard(ACCURACY, signals=[signal(ACCURACY)], containment=[], tiers=tiers)
    scene.until("Firing")
    scene.wait(lambda: scene.status().get("severity") == "SEV3", "the severity")
    up = scene.told("ada", "Lower", severity="SEV2", reason="a mistake")
    assert up == (False, "SEV2 is not lower than SEV3")
    down = scene.told("ada", "Lower", severity="SEV4", reason="a test model, nobody uses it")
    assert down == (True, "lowered from SEV3 to SEV4")
    assert scene.status()["tiers"][0]["decidedBy"] == "ada"
    scene.quality(accuracy=0.84)
    evaluated = f'model_quality_ratio{{namespace="{scene.namespace}"}} offset 3s'
    scene.wait(lambda: scene.cluster.value(evaluated) == 0.84, "three seconds of the new value")
    assert scene.told("ada", "Acknowledge")[0]
    assert scene.status()["severity"] == "SEV4", "hardly worse is not worse"
    scene.quality(accuracy=0.5)
    scene.wait(lambda: scene.status()["severity"] == "SEV2", "the rise")
    assert any(line["what"].startswith("severity rises from SEV4 to SEV2") for line in scene.status()["timeline"])


@row
def a_resume_needs_a_hold(scene: Scene) -> None:
    breach(scene)
    assert scene.told("ada", "Resume") == (False, "nothing is on hold")
    assert scene.told("ada", "Hold", reason="wait for the analyst") == (True, "automation is on hold")
    assert scene.status()["held"]["reason"] == "wait for the analyst"
    assert scene.told("ada", "Resume") == (True, "automation goes on")
    assert "held" not in scene.status()


@row
def to_resolve_what_still_fires_needs_a_reason_and_ends_it(scene: Scene) -> None:
    breach(scene)
    with pytest.raises(CommandError, match="reason is required, but to acknowledge, accept, resume and mark"):
        scene.decide("ada", "Resolve", reason="")
    scene.until("Resolved", "False")
    why = "the model is not used any more"
    lesson = "resolved; ada writes the post-mortem by 2099-01-01T00:00:00Z"
    assert scene.told("ada", "Resolve", reason=why, postMortem=LESSON) == (True, lesson)
    assert scene.status()["postMortem"] == LESSON
    resolved = fact(scene.until("Resolved"), "Resolved")
    assert resolved == ("True", "ByPerson", "by ada: the model is not used any more")
    assert scene.told("ada", "Acknowledge") == (False, "the incident is resolved")
    scene.wait(lambda: [one for one in scene.pages("owners") if one["resolves"]], "the last notice")


@row
def each_kind_of_decision_is_a_right_of_its_own(scene: Scene) -> None:
    breach(scene)
    scene.grant("mallory", ["create"], "decisions")
    answer = {"option": "stop", "digest": scene.asks("stop")}
    reference = {"name": "credit", "uid": scene.fetch("escalationpolicies", "credit")["metadata"]["uid"]}
    fields: dict[str, dict[str, Any]] = {
        "Acknowledge": {},
        "Approve": answer | {"reason": "because"},
        "Reject": answer | {"reason": "because"},
        "Escalate": {"reason": "because"},
        "Lower": {"severity": "SEV4", "reason": "because"},
        "BreakGlass": answer | {"reason": "because"},
        "Classify": {
            "classification": {"impact": "Minor", "legalExposure": "None", "materiality": "Unknown"},
            "reason": "because",
        },
        "Hold": {"reason": "because"},
        "Note": {"reason": "because"},
        "HandOver": {"to": "risk", "reason": "because"},
        "Accept": {},
        "Decide": {"question": "notify", "choice": "later", "reason": "because"},
        "Resume": {},
        "Undo": answer | {"reason": "because"},
        "Resolve": {"reason": "because"},
        "Attest": {"policyRef": reference, "digest": answer["digest"], "reason": "because"},
        "StartClock": {
            "clock": "gdpr-33",
            "anchors": [{"type": "Aware", "time": "2026-11-23T14:32:00Z"}],
            "reason": "because",
        },
        "DeclineClock": {"clock": "gdpr-33", "reason": "because"},
        "MoveClock": {
            "clock": "gdpr-33",
            "anchors": [{"type": "Aware", "time": "2026-11-23T14:32:00Z"}],
            "reason": "because",
        },
        "MarkSubmitted": {"clock": "gdpr-33", "receipt": "R-7", "submittedTime": "2026-11-23T14:32:00Z"},
        "AcceptClock": {"policyRef": reference, "digest": answer["digest"], "clock": "gdpr-33", "reason": "because"},
        "Authorise": answer | {"policyRef": reference, "expireTime": "2099-01-01T00:00:00Z", "reason": "because"},
    }
    for kind, spec in fields.items():
        right = kind.lower()
        words = (
            f"mallory lacks the right to {right} in namespace {scene.namespace}: RBAC verb create on decisions/{right}"
        )
        with pytest.raises(CommandError, match=words):
            scene.decide("mallory", kind, **spec)
    assert "decisions" not in scene.status() or scene.status()["decisions"] == []


@pytest.mark.parametrize("name", row.names)
def test_decisions(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
