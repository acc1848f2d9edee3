"""The operator is killed before and after every write of an incident's life, and the end is the same."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import ApiProxy, Call, CallAfter, CallBefore, DropBefore, Rule
from tests.e2e.forks import Forks
from tests.e2e.lives import END, Life, Street
from tests.e2e.stage import Installed
from tests.e2e.supervisor import Supervisor

CHANGES = frozenset({"POST", "PUT", "PATCH"})
OURS = re.compile(r"/(incidents|configmaps|deployments|escalationpolicies)")
"""What the operator writes because of a life: the outcome rests on these."""
BESIDE = re.compile(r"/(leases|events|selfsubjectaccessreviews)")
"""What else it writes meanwhile, and is not interrupted at. Healthy marks on ReplicaSets come before a life begins, and
the status of a Responder is about no life."""
STEPS = (
    "opened",
    "budget",
    "Executing",
    "rehearsed",
    "rolled back",
    "Executed",
    "compliance",
    "Acknowledge",
    "recovered",
    "Resolve",
)
"""What every life comes to; each is interrupted before and after."""
PILOTS = ("pilot-1", "pilot-2")
CROWD = tuple(f"life-{number:02}" for number in range(36))
TRIES = 3
"""So many lives a gap gets at most: one that is killed elsewhere may never come by."""
FEWEST = {"Executed": 1, "outcomes": 2}
"""Writes that a life need not have more of, even undisturbed: what came of notices at one moment is written at once, so
that there are two to five, and with what came of the containment or after it. The gaps beside further ones are tried,
but need not be hit."""
ALONE: dict[str, tuple[str, Literal["before", "after"], int]] = {
    "contained-alone": ("rolled back", "after", 2),
    "told-alone": ("outcomes", "before", 2),
}
"""Each by the model: where it is killed, and how often a notice may arrive."""


@dataclass
class Gap:
    """A place beside one write of a life: the first, second or later one that carries this step."""

    step: str
    number: int
    side: Literal["before", "after"]
    life: Life
    rule: Rule | None = None

    @property
    def name(self) -> str:
        return f"{self.side} {self.step} {self.number}"

    @property
    def hit(self) -> bool:
        """Whether the life came by here; the operator may have been killed by another's gap just then."""
        return self.rule is not None and self.rule.fired > 0

    @property
    def must_be_hit(self) -> bool:
        return self.number <= FEWEST.get(self.step, self.number)

    def begin(self, proxy: ApiProxy, supervisor: Supervisor) -> None:
        """Begin the life; the operator will be killed here, once."""

        def here(call: Call) -> bool:
            return self.step in steps(call) and self.life.is_about(call)

        rule = partial(proxy.rule, methods=CHANGES, path=OURS.pattern, first=self.number, where=here)
        if self.side == "before":
            self.rule = rule(CallBefore(supervisor.crash))
            rule(DropBefore())
        else:
            self.rule = rule(CallAfter(supervisor.crash))
        self.life.break_it()


def steps(call: Call) -> list[str]:
    """Which steps of a life a write carries; a status often carries several."""
    if "/configmaps" in call.path:
        return ["budget"]
    if "/deployments/" in call.path:
        return ["rehearsed" if "dryRun=All" in call.path else "rolled back"]
    if "/escalationpolicies/" in call.path:
        return ["policy"]
    if "/status" not in call.path:
        return ["opened"]
    status = json.loads(call.body)["status"]
    found = [one["type"] for one in status.get("decisions", [])[-1:]]
    found += [tier["name"] for tier in status.get("tiers", [])[-1:] if tier["name"] == "compliance"]
    found += ["recovered"] if "recoveredTime" in status else []
    found += [option["state"] for option in status.get("containment", [])]
    return found or ["outcomes" if "effects" in status else "facts"]


def writes(life: Life, proxy: ApiProxy) -> list[Call]:
    """Those that a life is interrupted at; there are no others but the ones beside it."""
    mine = [one for one in proxy.calls if one.method in CHANGES and life.is_about(one)]
    assert [one.path for one in mine if not OURS.search(one.path) and not BESIDE.search(one.path)] == []
    return [one for one in mine if OURS.search(one.path)]


@pytest.fixture(scope="module")
def proxy(cluster: Access) -> Iterator[ApiProxy]:
    """It stands in front of an API server of ours only."""
    with ApiProxy(cluster) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def supervisor(cluster: Access, installed: Installed, proxy: ApiProxy) -> Iterator[Supervisor]:
    """An operator that comes back; what it said is shown when a test fails."""
    operator = installed.operator(
        "tocsin-crashing", server=proxy.url, budget={"containments": 1000}, leaseDuration="10s"
    )
    with Forks(cluster, operator.kubeconfig) as forks:
        supervisor = Supervisor(forks, operator)
        supervisor.start()
        yield supervisor
        forks.kill(supervisor.pid)


@pytest.fixture(scope="module")
def street(cluster: Cluster, supervisor: Supervisor) -> Iterator[Street]:
    with closing(Street.settle(cluster)) as street:
        street.tidy = True
        street.prepare([Life(street, name) for name in (*PILOTS, *CROWD, *ALONE)])
        yield street


def test_the_end_is_the_same_wherever_the_operator_is_killed(
    street: Street, proxy: ApiProxy, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    """All lives go on at once under one operator, so that each is disturbed by the kills of the others as well."""
    pilots = [Life(street, name) for name in PILOTS]
    proxy.calls.clear()
    street.live(pilots, 120, Life.break_it)
    assert [pilot.end() for pilot in pilots] == [END, END]
    gaps = gaps_of([writes(pilot, proxy) for pilot in pilots], [Life(street, name) for name in CROWD])

    tried = list(gaps)
    interrupt(street, gaps, proxy, supervisor)
    for number in range(1, TRIES):
        if left := never_hit(tried):
            again = [replace(gap, life=Life(street, f"try-{number}-{place:02}")) for place, gap in enumerate(left)]
            street.prepare([gap.life for gap in again])
            interrupt(street, again, proxy, supervisor)
            tried += again

    ends = {gap.life.model: differences(gap.life.end()) for gap in tried}
    with capsys.disabled():
        print(table(tried, ends, len(supervisor.kills)))  # noqa: T201 - which gaps were tried is the result
    print(supervisor.log)  # noqa: T201 - pytest shows it with a failure
    assert {gap.name: end for gap in tried if (end := ends[gap.life.model])} == {}
    assert [words for gap in tried if (words := too_often(gap.life, supervisor.kills))] == []
    assert [gap.name for gap in never_hit(tried)] == []


def interrupt(street: Street, gaps: list[Gap], proxy: ApiProxy, supervisor: Supervisor) -> None:
    """Live the lives of these gaps, each interrupted at its own."""
    by_model = {gap.life.model: gap for gap in gaps}
    street.live([gap.life for gap in gaps], 400, lambda life: by_model[life.model].begin(proxy, supervisor))


def never_hit(tried: list[Gap]) -> list[Gap]:
    """The gaps that must be hit and that none of their lives came by."""
    hit = {gap.name for gap in tried if gap.hit}
    return list({gap.name: gap for gap in tried if gap.must_be_hit and gap.name not in hit}.values())


@pytest.mark.parametrize("name", ALONE)
def test_a_single_kill_repeats_a_notice_at_most(
    street: Street, proxy: ApiProxy, supervisor: Supervisor, name: str
) -> None:
    """Undisturbed by other kills: the write that contains was accepted, or nobody wrote down that a notice was."""
    step, side, most = ALONE[name]
    gap, kills = Gap(step, 1, side, Life(street, name)), len(supervisor.kills)

    street.live([gap.life], 60, lambda _: gap.begin(proxy, supervisor))

    print(supervisor.log)  # noqa: T201 - pytest shows it with a failure
    assert gap.life.end() == END
    assert len(supervisor.kills) == kills + 1
    assert max(len(times) for times in gap.life.arrivals().values()) <= most


def gaps_of(lives: list[list[Call]], crowd: list[Life]) -> list[Gap]:
    """Both sides of every write that these lives have in common, each beside a life of its own."""
    common: list[list[tuple[str, int]]] = []
    for life in lives:
        seen = Counter[str]()
        common.append([])
        for call in life:
            seen.update(steps(call))
            step = steps(call)[0]
            common[-1].append((step, seen[step]))
    places = [place for place in common[0] if all(place in others for others in common)]
    assert {(step, 1) for step in STEPS} <= set(places), places
    sides: tuple[Literal["before", "after"], ...] = ("before", "after")
    wanted = [(step, number, side) for step, number in places for side in sides]
    assert len(wanted) <= len(crowd), f"{len(wanted)} gaps need as many lives"
    return [Gap(*gap, life) for gap, life in zip(wanted, crowd, strict=False)]


def differences(end: dict[str, Any]) -> str:
    """What is not as it is when nobody disturbs, in words."""
    return "; ".join(
        f"{name} is {end.get(name)} and not {value}" for name, value in END.items() if end.get(name) != value
    )


def too_often(life: Life, kills: list[float]) -> str:
    """A notice comes once, and once more at most for each kill in between."""
    for key, times in life.arrivals().items():
        between = sum(times[0] <= kill <= times[-1] for kill in kills)
        if len(times) > 1 + between:
            return f"{life.model}: {key} arrived {len(times)} times, with {between} kills in between"
    return ""


def table(tried: list[Gap], ends: dict[str, str], kills: int) -> str:
    """What became of each gap."""
    said = {gap.name: "not reached" for gap in tried}
    said |= {gap.name: "the same end" for gap in tried if gap.hit}
    said |= {gap.name: end for gap in tried if (end := ends[gap.life.model])}
    rows = dict.fromkeys((gap.step, gap.number) for gap in tried)
    lines = [
        f"\n{kills} kills of the operator in {len(tried)} lives; the write, and what became of a life killed there"
    ]
    lines += [f"{'':16} {'before it is sent':24} after its answer"]
    lines += [f"{step:>13} {n}  {said[f'before {step} {n}']:24} {said[f'after {step} {n}']}" for step, n in rows]
    return "\n".join(lines)
