"""Do legal clocks run on a real API server: started by a person, declined by two, warned of, missed, and submitted?"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import PATIENT_LEASE, QUIET_TIERS, Rows, Scene, constant, signal
from tests.e2e.stage import LESSON, Installed, Stage
from tocsin.api.quantities import format_time
from tocsin.clock import SystemClock

row = Rows()
HOUR = timedelta(hours=1)
BANK = "us-bank-36h"
SPAN = 36 * HOUR


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def rules(*clocks: dict[str, Any]) -> dict[str, Any]:
    """A model that is only watched, and breaches mildly."""
    return {"models": [{"name": "credit"}], "containment": [], "clocks": list(clocks)}


def open_with(scene: Scene, *clocks: dict[str, Any]) -> None:
    """An incident under a policy with these clocks, and people who may decide on them."""
    for user in ("ben", "eve"):
        scene.bind("tocsin-compliance", "User", user)
    scene.bind("tocsin-legal", "User", "zoe")
    scene.guard(**rules(*clocks))
    scene.until("ClocksMet", "Unknown", reason="Undetermined")


def clock(scene: Scene, name: str = BANK) -> Any:
    return next((one for one in scene.status().get("clocks", []) if one["name"] == name), {})


def anchored(passed: float, within: timedelta = timedelta(seconds=5), span: timedelta = SPAN) -> datetime:
    """An anchor of which that share of the span will have passed in a moment."""
    return (SystemClock().now() - span * passed + within).replace(microsecond=0)


def start(scene: Scene, at: datetime, name: str = BANK, kind: str = "Determined") -> tuple[bool, str]:
    anchors = [{"type": kind, "time": format_time(at)}]
    return scene.told("ben", "StartClock", clock=name, anchors=anchors, reason="counsel says so")


def move(scene: Scene, user: str, at: datetime, name: str = BANK, kind: str = "Determined") -> tuple[bool, str]:
    anchors = [{"type": kind, "time": format_time(at)}]
    return scene.told(user, "MoveClock", clock=name, anchors=anchors, reason="by the log")


def pages(scene: Stage, cause: str, responder: str = "owners") -> list[Any]:
    return [one for one in scene.pages(responder) if cause in one["cause"].split()]


def warned(scene: Scene, percent: int) -> None:
    scene.wait(lambda: clock(scene).get("warned") == percent, f"the warning at {percent} %")


@row
def a_clock_is_started_from_a_past_anchor_warned_of_missed_and_submitted_with_a_receipt(scene: Scene) -> None:
    open_with(scene, {"preset": BANK})
    assert clock(scene)["determineDeadline"]
    counted, words = start(scene, anchored(0.5))
    assert counted, words
    scene.until("tier.tocsin.dev/compliance")
    assert scene.status()["severity"] == "SEV2"
    assert any("clock us-bank-36h was started" in floor for floor in scene.status()["score"]["floors"])
    warned(scene, 50)
    scene.wait(lambda: pages(scene, "ClockWarned"), "the warning")
    for percent in (75, 90):
        assert move(scene, "ben", anchored(percent / 100))[0]
        warned(scene, percent)
    wide = scene.cluster.kubectl("get", "incidents", "-n", scene.namespace, "-o", "wide")
    assert "CLOCK" in wide.splitlines()[0]
    assert BANK in wide.splitlines()[1]
    assert move(scene, "eve", anchored(1.0))[0]
    scene.until("ClocksMet", "False", reason="Missed")
    (missed,) = scene.wait(lambda: pages(scene, "ClockMissed"), "the page")
    assert "still owed [12 CFR 53.3, 225.302, 304.23]" in missed["text"]
    assert not missed["resolves"]

    done = SystemClock().now().replace(microsecond=0) - timedelta(minutes=5)
    given = {"clock": BANK, "receipt": "OCC-4711", "submittedTime": format_time(done)}
    counted, words = scene.told("ben", "MarkSubmitted", **given)
    assert counted, words
    assert clock(scene)["submitted"] == {"by": "ben", "time": format_time(done), "receipt": "OCC-4711"}
    scene.until("ClocksMet", "True", reason="Settled")
    (last,) = scene.wait(lambda: pages(scene, "ClockSubmitted"), "the last notice")
    assert last["resolves"]
    assert "OCC-4711" not in last["text"], "a receipt does not leave the cluster"
    assert [one["to"] for one in clock(scene)["moved"]][-1] == clock(scene)["anchors"][0]["time"]


@row
def a_clock_is_declined_by_two_distinct_people_and_by_nobody_alone(scene: Scene) -> None:
    open_with(scene, {"preset": BANK})
    lesson = {"reason": "it is over", "postMortem": LESSON}
    assert scene.told("ben", "DeclineClock", clock=BANK, reason="no incident of that kind") == (
        True,
        "declined us-bank-36h (1 of 2): a second person must too",
    )
    assert scene.told("ben", "DeclineClock", clock=BANK, reason="no incident of that kind") == (
        False,
        "ben has declined it already: a second, distinct person is needed",
    )
    refused, words = scene.told("ada", "Resolve", **lesson)
    assert (refused, words.split(":")[0]) == (False, "clock us-bank-36h is undetermined")
    assert scene.told("eve", "DeclineClock", clock=BANK, reason="not reportable") == (True, "declined us-bank-36h")
    scene.until("ClocksMet", "True", reason="Settled")
    assert scene.told("ada", "Resolve", **lesson)[0]


@row
def what_nobody_determines_in_time_enters_the_next_tier_and_is_not_resolved(scene: Scene) -> None:
    open_with(scene, {"preset": BANK, "determineWithin": "4s"}, {"preset": "nydfs-500-17"})
    scene.until("ClocksMet", "False", reason="Overdue")
    (tier,) = [one for one in scene.status()["tiers"] if one["name"] == "compliance"]
    assert tier["reason"] == "nobody has determined clock us-bank-36h"
    assert clock(scene, "nydfs-500-17").get("overdue") is not True
    scene.wait(lambda: pages(scene, "ClockUndetermined"), "the page")
    assert not scene.told("ada", "Resolve", reason="it is over", postMortem=LESSON)[0]
    assert start(scene, SystemClock().now().replace(microsecond=0))[0]


@row
def a_later_anchor_takes_two_people(scene: Scene) -> None:
    open_with(scene, {"preset": BANK})
    first, later = anchored(0.2), anchored(0.1)
    assert start(scene, first)[0]
    due = clock(scene)["deadline"]
    assert move(scene, "ben", later)[0]
    assert clock(scene)["deadline"] == due
    assert move(scene, "ben", later) == (False, "ben asked for it: a second, distinct person must confirm")
    assert move(scene, "eve", later)[0]
    moved = clock(scene)
    assert moved["deadline"] == format_time(later + SPAN)
    assert (moved["moved"][0]["from"], moved["moved"][0]["confirmedBy"]) == (format_time(first), "eve")


@row
def numbers_that_nobody_read_are_accepted_before_the_end_and_the_clock_goes_on_after_it(scene: Scene) -> None:
    open_with(scene, {"preset": "apra-234"})
    scene.says("ClocksAccepted", "NotAccepted", "apra-234 (S)")
    assert start(scene, anchored(0.1, span=72 * HOUR), "apra-234", "Aware")[0]
    scene.until("ClocksMet", "False", reason="NotAccepted")
    end = {"reason": "it is over", "postMortem": LESSON}
    refused, words = scene.told("ada", "Resolve", **end)
    assert not refused
    assert words.startswith("nobody has accepted the numbers of clock apra-234")

    policy = scene.fetch("escalationpolicies", "credit")
    reference = {"name": "credit", "uid": policy["metadata"]["uid"]}
    digest = policy["status"]["clocks"][0]["digest"]
    scene.decide("zoe", "AcceptClock", policyRef=reference, clock="apra-234", digest=digest, reason="read")
    scene.says("ClocksAccepted", "Accepted")
    scene.wait(lambda: clock(scene, "apra-234")["acceptance"] == "Accepted", "the acceptance")
    assert scene.told("ada", "Resolve", **end)[0]

    assert move(scene, "ben", anchored(1.0, span=72 * HOUR), "apra-234", "Aware")[0]
    scene.wait(lambda: clock(scene, "apra-234")["state"] == "Missed", "the deadline")
    scene.wait(lambda: pages(scene, "ClockMissed"), "the page")
    assert scene.status()["phase"] == "Resolved"


@row
def a_submission_starts_what_follows(scene: Scene) -> None:
    open_with(scene, {"preset": "dora-initial"})
    aware = anchored(0.0, -2 * HOUR)
    assert start(scene, aware, "dora-initial", "Aware")[0]
    given = {"clock": "dora-initial", "receipt": "BaFin-1", "submittedTime": format_time(aware + HOUR)}
    assert scene.told("eve", "MarkSubmitted", **given)[0]
    follows = clock(scene, "dora-intermediate")
    assert (follows["state"], follows["deadline"]) == ("Running", format_time(aware + 73 * HOUR))


@row
def a_clock_that_there_is_not_is_named_with_the_fix(scene: Scene) -> None:
    scene.guard(**rules({"preset": "gdpr-34"}, {"preset": "sec-8k-105"}))
    scene.says("Ready", "InvalidClock", "did you mean gdpr-33?", "spec.clocks[1].calendar")


@pytest.mark.parametrize("name", row.names)
def test_clocks(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


def test_a_clock_of_a_resolved_incident_survives_the_operator_and_warns_once(
    cluster: Access, installed: Installed, stage: Stage
) -> None:
    stage.person("ben", "tocsin-compliance")
    operator = installed.operator().start()
    try:
        quiet = {"tiers": QUIET_TIERS, "signals": [signal(constant(0.85))]}
        stage.policy(**rules({"preset": BANK}) | quiet)
        stage.until("ClocksMet", "Unknown", seconds=90)
        at = anchored(0.5, timedelta(seconds=20))
        anchors = [{"type": "Determined", "time": format_time(at)}]

        def the_clock() -> Any:
            (found,) = stage.incident()["status"]["clocks"]
            return found

        def started() -> bool:
            """Start it until that counts: what is older than the admission policies is void."""
            if the_clock()["state"] == "Undetermined":
                stage.decide("ben", "StartClock", clock=BANK, anchors=anchors, reason="counsel says so")
            return bool(the_clock()["state"] == "Running")

        cluster.wait(started, 60, "the start", every=1.0)
        stage.decide("ada", "Resolve", postMortem=LESSON)
        stage.until("Resolved", seconds=60)
        operator.kill()
        warning = at + SPAN / 2
        cluster.wait(lambda: SystemClock().now() > warning, 60, "the instant of the warning")
        operator.start()
        cluster.wait(lambda: pages(stage, "ClockWarned"), 90, "the warning")
        cluster.wait(lambda: the_clock()["warned"] == 50, 60, "its record")
        operator.kill()
        operator.start()
        stage.decide("ben", "Note", reason="still there?")
        cluster.wait(lambda: "Note" in {one["type"] for one in stage.incident()["status"]["decisions"]}, 60, "a look")
        assert len(pages(stage, "ClockWarned")) == 1
    finally:
        operator.stop()
        print(operator.log)  # noqa: T201 - pytest shows it with a failure
