"""What must be true of a life in the end, whatever the weather was?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.bench.audit import OPERATOR, Entry
from tests.e2e.lives import Life, overtaken

ON_ITS_WAY = 5.0
"""So many seconds a notice is on its way at most: a receiver that hangs does so for four."""


def flaws(life: Life, entries: list[Entry], again: list[float]) -> list[str]:
    """What is wrong with a life that has ended, in words: nothing lost, nothing doubled, nothing unaccounted for.

    The entries are those of the audit log; `again` tells when a leader began or a receiver's answer was lost: only then
    may a notice be sent again, because nobody knows whether it had arrived.
    """
    incidents = life.incidents()
    if len(incidents) != 1:
        return [f"{len(incidents)} incidents"]
    if incidents[0].get("status", {}).get("phase") != "Resolved":
        return [f"it never ended: {incidents[0].get('status', {}).get('phase')}"]
    return [
        *_of_the_target(life, incidents[0], entries),
        *_of_tiers(incidents[0]),
        *_of_notices(life, incidents[0], again),
    ]


def _of_the_target(life: Life, incident: Any, entries: list[Entry]) -> Iterator[str]:
    """It was rolled back once, by us, under an intent, and the ledger says so."""
    status = incident["status"]
    done = [one["key"] for one in status["effects"] if "/contain/" in one["key"] and one["state"] == "Done"]
    written = [
        one
        for one in entries
        if one.user == OPERATOR and one.is_write and one.resource == "deployments" and one.name == life.model
    ]
    if len(written) != 1:
        yield f"the Deployment was written {len(written)} times"
    if len(done) != 1:
        yield f"{len(done)} containments are done by the ledger: {done}"
    if (revisions := life.revisions()) != 3:
        yield f"the Deployment is at revision {revisions}, not at 3: bad, good again"
    if incident["metadata"]["uid"] not in life.reserved():
        yield "no budget was reserved"
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    for kind in ("Contained", "Recovered", "Resolved"):
        if conditions.get(kind) != "True":
            yield f"{kind} is {conditions.get(kind)}"


def _of_tiers(incident: Any) -> Iterator[str]:
    """The next tier is entered when the one before has missed its deadline, never before, and never skipped."""
    tiers = {one["name"]: one for one in incident["status"]["tiers"]}
    if list(tiers)[:2] != ["owners", "compliance"]:
        yield f"tiers entered: {list(tiers)}"
        return
    if tiers["owners"].get("missed") != ["Acknowledge"]:
        yield f"owners missed {tiers['owners'].get('missed')}"
    due = datetime.fromisoformat(tiers["owners"]["acknowledgeDeadline"])
    if datetime.fromisoformat(tiers["compliance"]["enteredTime"]) < due:
        yield "compliance was entered before the deadline of owners"
    if tiers["compliance"].get("acknowledgedBy") != "zoe":
        yield f"compliance was acknowledged by {tiers['compliance'].get('acknowledgedBy')}"
    if "executives" in tiers and incident["status"]["severity"] != "SEV1" and not tiers["compliance"].get("missed"):
        yield "executives were entered without a reason"


def _of_notices(life: Life, incident: Any, again: list[float]) -> Iterator[str]:
    """Every effect of the ledger happened, every effect that happened is in it, and none twice without a reason."""
    effects = incident["status"]["effects"]
    notices = [one for one in effects if "causes" in one]
    arrivals = life.arrivals()
    for one in effects:
        if one["state"] != "Done" and not overtaken(one) and "/contain/" not in one["key"]:
            yield f"{one['key']} is {one['state']}: {one.get('message')}"
    for reader in {_reader(one) for one in notices}:
        if [one["state"] for one in notices if _reader(one) == reader][-1] != "Done":
            yield f"the last word did not reach {reader}"
    if lost := {one["key"] for one in notices if one["state"] == "Done"} - arrivals.keys():
        yield f"never arrived: {sorted(lost)}"
    if unknown := arrivals.keys() - {one["key"] for one in notices}:
        yield f"arrived, and not in the ledger: {sorted(unknown)}"
    for key, times in arrivals.items():
        reasons = sum(times[0] - ON_ITS_WAY <= instant <= times[-1] for instant in again)
        if len(times) > 1 + reasons:
            yield f"{key} arrived {len(times)} times, with {reasons} reasons in between"
    if repeated := [key for key, count in Counter(one["key"] for one in effects).items() if count > 1]:
        yield f"twice in the ledger: {repeated}"


def _reader(notice: Any) -> str:
    """Who of which tier is told."""
    return str(notice["key"].split("/")[3])
