"""Is the right person paged, then the deputy, then the next tier; and does everybody see beforehand who it will be?"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import PATIENT_LEASE, QUIET_TIERS, SEVERE, Rows, Scene, fact, scale
from tests.e2e.stage import LESSON
from tocsin.api.quantities import format_time
from tocsin.clock import SystemClock

row = Rows()
SOON = "4s"


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def in_(hours: float) -> str:
    return format_time(SystemClock().now().replace(microsecond=0) + timedelta(hours=hours))


def a_member(scene: Scene, user: str, **fields: Any) -> dict[str, Any]:
    """Somebody with a phone of their own, which is a path of the sink."""
    scene.secret(f"{user}-phone", scene.cluster.sink.url(f"/{user}"))
    phone = {"name": "phone", "secretRef": {"name": f"{user}-phone"}}
    return {"name": user.title(), "user": user, "channels": [phone], **fields}


def role(scene: Scene, *members: dict[str, Any], name: str = "owners", **spec: Any) -> None:
    """Who fills a role from now on."""
    scene.change(f"responders/{name}", {"spec": {"members": list(members), **spec}})


def rung(scene: Scene, user: str) -> list[Any]:
    """What somebody's own phone has got for this namespace."""
    received = [one.body for one in scene.cluster.sink.received(f"/{user}")]
    return [body for body in received if body["namespace"] == scene.namespace]


def watch(scene: Scene, **first: Any) -> None:
    """A breach that enters the first tier only."""
    tiers = [QUIET_TIERS[0] | first, QUIET_TIERS[1] | {"severity": "SEV1"}, QUIET_TIERS[2]]
    scene.runs()
    scene.guard(SEVERE, containment=[], tiers=tiers)


@row
def whoever_does_not_answer_is_followed_by_the_deputy_and_then_by_the_next_tier(scene: Scene) -> None:
    role(scene, a_member(scene, "ada"), a_member(scene, "ben"), deputies=["ben"])
    watch(scene, acknowledgeWithin=SOON)
    scene.until("tier.tocsin.dev/compliance")
    scene.wait(lambda: scene.pages("risk"), "the page of the next tier")

    (first, *_), (second, *_) = rung(scene, "ada"), rung(scene, "ben")
    assert (first["cause"], first["person"], second["cause"], second["person"]) == (
        "TierEntered",
        "ada",
        "DeputyPaged",
        "ben",
    )
    tier = scene.status()["tiers"][0]
    assert (tier["missed"], tier["deputy"]) == (["Acknowledge", "Deputy"], "ben")
    assert len({one["key"] for one in rung(scene, "ben")}) == len(rung(scene, "ben"))


@row
def a_deputy_who_answers_keeps_the_next_tier_asleep(scene: Scene) -> None:
    role(scene, a_member(scene, "ada"), a_member(scene, "ben"), deputies=["ben"])
    watch(scene, acknowledgeWithin=SOON, decideWithin="12s")
    scene.wait(lambda: rung(scene, "ben"), "the deputy's page")
    assert scene.told("ben", "Acknowledge") == (True, "acknowledged tier owners")
    tier = scene.status()["tiers"][0]
    assert (tier["acknowledgedBy"], tier["missed"]) == ("ben", ["Acknowledge"])
    reason = fact(scene.until("tier.tocsin.dev/compliance"), "tier.tocsin.dev/compliance")[2]
    assert reason == "tier owners missed its deadline to decide"


@row
def whoever_answers_and_does_nothing_is_paged_again(scene: Scene) -> None:
    watch(scene, acknowledgeWithin="1h", acknowledgementExpires="3s")
    scene.wait(lambda: scene.pages("owners"), "the page")
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")
    again = scene.wait(lambda: [one for one in scene.pages("owners") if "Expired" in one["cause"]], "the second page")
    assert [one["cause"] for one in again] == ["AcknowledgementExpired"]
    tier = scene.status()["tiers"][0]
    assert (tier["renewals"], "acknowledgedBy" in tier) == (1, False)
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")


@row
def everybody_sees_who_is_on_duty_and_until_when(scene: Scene) -> None:
    back = in_(2)
    away = {"from": in_(-1), "until": back, "reason": "holiday"}
    role(scene, a_member(scene, "ada", absences=[away]), a_member(scene, "ben"))

    def shown() -> list[str]:
        lines = scene.cluster.kubectl("get", "responders", "owners", "-n", scene.namespace).splitlines()
        return lines[1].split() if "Ben" in lines[-1] else []

    name, person, until, ready, reason, staffed, _ = scene.wait(shown, "who is on duty")
    assert (name, person, until, ready, reason, staffed) == ("owners", "Ben", back, "True", "Reachable", "True")


@row
def whoever_stands_in_is_paged_by_their_own_channels_and_may_decide(scene: Scene) -> None:
    away = {"from": in_(-1), "until": in_(2)}
    role(scene, a_member(scene, "ada", absences=[away]), escalateTo="board")
    watch(scene)
    (page,) = scene.wait(lambda: scene.pages("board"), "the page")
    assert (page["person"], page["cause"]) == ("eve", "TierEntered")
    assert scene.told("eve", "Acknowledge") == (True, "acknowledged tier owners")
    assert rung(scene, "ada") == []


@row
def a_hole_this_week_is_told_beforehand_and_a_page_in_it_goes_to_the_role_itself(scene: Scene) -> None:
    away = {"from": in_(-1), "until": in_(30)}
    role(scene, a_member(scene, "ada", absences=[away]))
    watch(scene)
    scene.says("Staffed", "Hole", "nobody of Responder owners is there from", plural="responders", name="owners")
    scene.says("Staffed", "Hole", "nobody of Responder owners is there from")
    (page,) = scene.wait(lambda: scene.pages("owners"), "the page")
    assert page["person"] == ""
    assert page["text"].startswith("To all who read this: nobody of this role is there now.")


@row
def a_role_that_becomes_whole_again_is_told_to_be(scene: Scene) -> None:
    watch(scene)
    scene.says("Staffed", "Staffed")
    role(scene, a_member(scene, "ada", absences=[{"from": in_(-1), "until": in_(3)}]), escalateTo="board")
    scene.says("Staffed", "Staffed", plural="responders", name="owners")
    absent = a_member(scene, "eve", absences=[{"from": in_(1), "until": in_(2)}])
    role(scene, absent, name="board")  # who stands in for the owners
    scene.says("Staffed", "Hole", "Responder owners", "Responder board")


@row
def roles_that_stand_in_for_each_other_and_names_that_nobody_has_are_told(scene: Scene) -> None:
    role(scene, a_member(scene, "ada"), escalateTo="risk")
    scene.change("responders/risk", {"spec": {"escalateTo": "owners"}})
    scene.says("Ready", "RosterCircle", "owners → risk → owners", plural="responders", name="owners")
    scene.says("Ready", "RosterCircle", "risk → owners → risk", plural="responders", name="risk")
    scene.change("responders/risk", {"spec": {"timeZone": "Mars/Olympus"}})
    scene.says("Ready", "RosterInvalid", "Mars/Olympus is no time zone", plural="responders", name="risk")
    watch(scene)
    scene.wait(lambda: rung(scene, "ada"), "the page all the same")


@row
def who_is_only_informed_or_consulted_is_told_and_does_not_decide(scene: Scene) -> None:
    watch(scene, informed=["risk"], consulted=["board"])
    (consulted,), (informed,) = (
        scene.wait(lambda name=name: scene.pages(name), "a notice") for name in ("board", "risk")
    )
    assert consulted["subject"].endswith("your opinion is asked")
    assert informed["subject"].endswith("for your information")
    refused, _ = scene.told("ben", "Acknowledge")
    assert refused is False
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")


@row
def an_incident_is_handed_over_to_somebody_who_accepts_and_then_leads(scene: Scene) -> None:
    watch(scene)
    scene.wait(lambda: scene.status().get("lead", {}).get("user") == "ada", "the lead on duty")
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")
    assert scene.told("ada", "HandOver", to="risk", reason="my shift ends; the cause is open") == (
        True,
        "asked risk to take over tier owners",
    )
    (page,) = scene.wait(lambda: scene.pages("risk"), "the page of the successor")
    assert (page["cause"], page["person"]) == ("HandOver", "ben")
    assert "ada hands over: my shift ends; the cause is open" in page["text"]
    assert scene.told("eve", "Accept") == (False, "nothing was handed over to eve")
    assert scene.told("ben", "Accept") == (True, "took over tier owners")
    lines = scene.cluster.kubectl("get", "incidents", "-n", scene.namespace).splitlines()
    assert lines[0].split()[6] == "LEAD"
    assert lines[1].split()[6] == "ben"
    assert scene.told("ada", "Resolve", reason="I thought it was mine")[0] is False
    assert scene.told("ben", "Resolve", reason="a bad feed; it is fixed", postMortem=LESSON)[0]


@row
def the_approval_of_somebody_who_has_left_is_void_and_two_accounts_are_one_person(scene: Scene) -> None:
    one, ben, other = (a_member(scene, user) for user in ("ada", "ben", "zoe"))
    role(scene, one, ben, other | {"name": "ADA"})
    scene.runs(replicas=2)
    scene.guard(SEVERE, containment=[scale(1, approval={"required": 2})])
    digest = scene.asks("stop")
    assert scene.told("ada", "Approve", option="stop", digest=digest) == (True, "approved stop (1 of 2)")
    assert scene.told("zoe", "Approve", option="stop", digest=digest) == (
        False,
        "zoe has approved already as ada: another person is needed",
    )
    role(scene, ben)
    line = "containment stop: the approval by ada is void: on no roster any more"
    scene.wait(lambda: line in [one["what"] for one in scene.status()["timeline"]], "the word on the approval")
    assert scene.told("ben", "Approve", option="stop", digest=digest) == (True, "approved stop (1 of 2)")
    assert scene.deployment()["spec"]["replicas"] == 2


@row
def an_unanswered_question_escalates_by_itself_and_keeps_a_grave_incident_open(scene: Scene) -> None:
    notify = {
        "name": "notify",
        "text": "Must the regulator be told?",
        "options": ["now", "later"],
        "answeredBy": "risk",
    }
    watch(scene, decideWithin=SOON, questions=[notify], steps=["Look at the features of today."])
    (page, *_) = scene.wait(lambda: scene.pages("owners"), "the page")
    assert "1. Look at the features of today." in page["text"]
    assert "To answer: Must the regulator be told? (notify: now, later)" in page["text"]
    assert scene.told("ada", "Acknowledge") == (True, "acknowledged tier owners")
    reason = fact(scene.until("tier.tocsin.dev/compliance"), "tier.tocsin.dev/compliance")[2]
    assert reason == "tier owners missed its deadline to decide"
    assert scene.told("ada", "Resolve", reason="I am tired") == (
        False,
        "at SEV2 every question must be answered first: notify of tier owners",
    )
    answer = {"question": "notify", "choice": "later", "reason": "no customer is affected"}
    assert scene.told("ada", "Decide", **answer) == (False, "notify: it is not for ada to answer")
    assert scene.told("ben", "Decide", **answer) == (True, "notify of tier owners: later")
    assert scene.told("ada", "Resolve", reason="the feed is mended", postMortem=LESSON)[0]


@row
def harm_that_a_person_reports_makes_an_open_incident_the_worst(scene: Scene) -> None:
    watch(scene)
    open_ = scene.wait(lambda: scene.status().get("severity") and scene.incident(), "the incident")
    assert open_["status"]["severity"] == "SEV2"
    scene.report("ada", source="Complaint", harm="a loan was refused to somebody who could pay")

    def first() -> Any:
        return scene.fetch("incidents", open_["metadata"]["name"])["status"]

    scene.wait(lambda: first()["severity"] == "SEV1", "the worst severity")
    assert "harm reported by ada: at least SEV1" in first()["score"]["floors"]
    scene.wait(lambda: scene.pages("board"), "the page of the last tier")
    (report,) = [one for one in scene.incidents() if one["spec"]["origin"] == "Person"]
    assert report["status"]["joined"] == open_["metadata"]["name"]


@pytest.mark.parametrize("name", row.names)
def test_people(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
