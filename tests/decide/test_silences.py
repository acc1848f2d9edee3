"""Is what a Silence matches held back, and nothing else; and is what is still to be told then told once?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import HOUR, MIN, SECOND, T0, a_decision, a_silence, a_situation, an_incident, latency, the_rules
from tests.decide.test_properties import LIFE, RULES, Happening, World
from tocsin.api.incident import EffectRecord, EffectState, Incident, IncidentStatus
from tocsin.api.objects import Severity
from tocsin.api.policy import Rules
from tocsin.api.silence import Silence
from tocsin.decide.holding import is_held, name_of
from tocsin.decide.incident import plan
from tocsin.decide.plan import Notify, Plan
from tocsin.decide.silences import MAY_BE_HELD, is_about, silence_of
from tocsin.decide.situation import Outcome, Situation, Trust

MILD = (0.2, 0.31, 0.31, 0.31, 0.31)
"""Values that end in a breach so slight that it is SEV3."""


def mild_rules(**changes: Any) -> Rules:
    rules = the_rules()
    harmless = {"risk": rules.risk.model_copy(update={"regulatory": 1, "reputation": 1}), "containment": ()}
    return rules.model_copy(update=harmless | changes)


class Life:
    """One incident, which is decided on again and again; every notice is accepted."""

    def __init__(self, *silences: Silence, **rules: Any) -> None:
        self.now, self.silences, self.values = T0, silences, MILD
        self.rules = mild_rules(**rules)
        self.incident: Incident = an_incident(self.rules)
        self.decisions: tuple[Any, ...] = ()
        self.outcomes: dict[str, Outcome] = {}
        self.sent: list[tuple[str, str]] = []
        self.more: dict[str, Any] = {}

    def live(self, after: timedelta = timedelta()) -> Plan:
        self.now += after
        found = plan(self.situation())
        self.incident = self.incident.model_copy(update={"status": found.status})
        notices = [one for one in found.effects if isinstance(one, Notify)]
        self.sent += [(name_of(one.key), one.notice.cause) for one in notices]
        self.outcomes = {one.key: Outcome(one.key, "Done", self.now, to=one.notice.to) for one in notices}
        return found

    def situation(self) -> Situation:
        return a_situation(
            self.incident,
            now=self.now,
            rules=self.rules,
            signals=latency(*self.values, at=self.now),
            silences=self.silences,
            decisions=self.decisions,
            outcomes=self.outcomes,
            **self.more,
        )

    def take(self) -> list[tuple[str, str]]:
        """What was sent since it was last taken."""
        sent, self.sent = self.sent, []
        return sent

    @property
    def status(self) -> IncidentStatus:
        return self.incident.status

    @property
    def lines(self) -> list[str]:
        return [one.what for one in self.status.timeline]

    def fact(self, kind: str) -> tuple[str, str]:
        found = next(one for one in self.status.conditions if one.type == kind)
        return found.status, found.reason


MODEL = {"field": "Model", "values": ["fraud"]}


def is_in(field: str, *values: str) -> dict[str, Any]:
    return {"field": field, "values": list(values)}


def is_not_in(field: str, *values: str) -> dict[str, Any]:
    return {"field": field, "operator": "NotIn", "values": list(values)}


FIRING = {"name": "latency", "state": "Firing", "sustained": True}


@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        pytest.param((), True, id="everything"),
        pytest.param((is_in("Model", "fraud"),), True, id="its model"),
        pytest.param((is_in("Model", "credit", "fraud"),), True, id="one of several models"),
        pytest.param((is_in("Model", "frau"),), False, id="a name that only begins like it"),
        pytest.param((is_in("Model", ".*"),), False, id="a pattern is a name like any other"),
        pytest.param((is_in("Policy", "fraud"), is_not_in("Model", "credit")), True, id="its policy, but for a model"),
        pytest.param((is_in("Policy", "fraud"), is_not_in("Model", "fraud")), False, id="but for its model"),
        pytest.param((is_in("Signal", "latency"),), True, id="the signal that breaches"),
        pytest.param((is_in("Signal", "errors"),), False, id="a signal that does not"),
        pytest.param((is_in("Tier", "owners"), is_in("Responder", "owners")), True, id="who is told"),
        pytest.param((is_in("Tier", "compliance"),), False, id="another tier"),
        pytest.param((is_in("Responder", "board"),), False, id="another role"),
    ],
)
def test_what_a_silence_matches(matchers: tuple[dict[str, Any], ...], matches: bool) -> None:
    silence = a_silence(*matchers)
    status = IncidentStatus.model_validate({"severity": "SEV3", "signals": (FIRING,)})
    assert (silence_of(a_situation(silences=(silence,)), status, "owners", "owners") is silence) == matches


def test_a_second_signal_that_breaches_is_not_silenced_with_the_first() -> None:
    other = {"name": "errors", "state": "Firing", "sustained": True}
    status = IncidentStatus.model_validate({"severity": "SEV3", "signals": (FIRING, other)})
    s = a_situation(silences=(a_silence(is_in("Signal", "latency")),))
    assert silence_of(s, status, "owners", "owners") is None


@pytest.mark.parametrize(
    ("severity", "s", "holds"),
    [
        pytest.param("SEV1", {}, False, id="never for SEV1"),
        pytest.param("SEV2", {}, False, id="never for SEV2"),
        pytest.param("SEV3", {}, True, id="for SEV3"),
        pytest.param("SEV4", {}, True, id="for SEV4"),
        pytest.param(None, {}, False, id="not before there is a severity"),
        pytest.param("SEV3", {"now": T0 - SECOND}, False, id="not before it begins"),
        pytest.param("SEV3", {"now": T0 + HOUR - SECOND}, True, id="until its last instant"),
        pytest.param("SEV3", {"now": T0 + HOUR}, False, id="not when it is over"),
        pytest.param("SEV3", {"trust": Trust.MISSING}, False, id="not while nobody vouches for its author"),
        pytest.param("SEV3", {"trusted_since": T0 + SECOND}, False, id="not when it is older than who vouches for it"),
    ],
)
def test_when_a_silence_holds(severity: str | None, s: dict[str, Any], holds: bool) -> None:
    status = IncidentStatus.model_validate({"severity": severity, "signals": (FIRING,)})
    assert (silence_of(a_situation(silences=(a_silence(),), **s), status, "owners", "owners") is not None) == holds


def test_of_several_the_one_counts_that_lasts_the_longest() -> None:
    long = a_silence(name="long", until=T0 + 2 * HOUR)
    status = IncidentStatus.model_validate({"severity": "SEV3"})
    s = a_situation(silences=(a_silence(name="a"), long, a_silence(name="z")))
    assert silence_of(s, status, "owners", "owners") is long


@pytest.mark.parametrize(
    ("matchers", "about"),
    [((), True), ((MODEL,), True), ((is_in("Model", "x"),), False), ((is_in("Tier", "x"),), True)],
)
def test_which_incidents_a_change_of_a_silence_wakes(matchers: tuple[dict[str, Any], ...], about: bool) -> None:
    assert is_about(a_silence(*matchers), an_incident()) == about


# --- the course of an incident


def test_a_silenced_incident_pages_nobody_escalates_and_tells_once_when_the_silence_is_over() -> None:
    life = Life(a_silence(MODEL, until=T0 + 20 * MIN))
    life.live()
    assert life.status.severity is Severity.SEV3
    assert [(one.state, one.held_by, one.causes) for one in life.status.effects] == [
        (EffectState.SILENCED, "silence/quiet", ("TierEntered",))
    ]
    assert life.lines[-1] == "silenced by alice until 2026-11-23T09:20:00Z: maintenance (silence/quiet)"
    assert (life.fact("Silenced"), life.fact("Notified")) == (("True", "Silenced"), ("False", "HeldBack"))

    life.live(16 * MIN)
    assert [tier.name for tier in life.status.tiers] == ["owners", "compliance"]
    assert life.status.tiers[0].missed == ("Acknowledge",)
    assert life.take() == []
    assert sum("silenced by" in line for line in life.lines) == 1

    life.live(3 * MIN)
    assert life.take() == []
    life.live(MIN)
    assert life.take() == [("owners.owners", "TierEntered"), ("compliance.compliance", "TierEntered")]
    assert life.lines[-1] == "no longer silenced by silence/quiet: who is waited for is told"
    life.live(MIN)
    assert life.take() == []
    assert (life.fact("Silenced"), life.fact("Notified")) == (("False", "Over"), ("True", "Delivered"))


def test_it_is_looked_at_again_when_the_silence_begins_and_when_it_is_over() -> None:
    life = Life(a_silence(MODEL, begin=T0 + MIN, until=T0 + 2 * MIN))
    assert life.live().look_again_at == T0 + MIN
    assert life.live(MIN).look_again_at == T0 + 2 * MIN


def test_at_sev2_the_page_goes_out_at_once() -> None:
    life = Life(a_silence(MODEL))
    life.live()
    life.more["harm_told_by"] = ("alice",)
    life.live(MIN)
    assert life.status.severity is Severity.SEV1
    assert life.take() == [
        ("owners.owners", "TierEntered"),
        ("compliance.compliance", "TierEntered"),
        ("board.board", "TierEntered"),
    ]
    assert "no longer silenced by silence/quiet: SEV1 is never silenced: who is waited for is told" in life.lines


@pytest.mark.parametrize(
    ("change", "at"),
    [
        pytest.param((), MIN, id="deleted"),
        pytest.param((a_silence(MODEL, until=T0 + MIN),), MIN, id="expired early"),
        pytest.param((a_silence(is_in("Model", "credit"), name="other"),), MIN, id="replaced by one of another model"),
    ],
)
def test_a_silence_that_ends_early_ends_now(change: tuple[Silence, ...], at: timedelta) -> None:
    life = Life(a_silence(MODEL))
    life.live()
    life.silences = change
    life.live(at)
    assert life.take() == [("owners.owners", "TierEntered")]


def test_a_clock_that_is_set_back_before_the_silence_ends_it() -> None:
    life = Life(a_silence(MODEL))
    life.live(MIN)
    life.live(-2 * MIN)
    assert life.take() == [("owners.owners", "TierEntered")]


def test_nobody_is_asked_for_what_was_done_meanwhile() -> None:
    life = Life(a_silence(MODEL, until=T0 + 20 * MIN))
    life.live()
    life.decisions = (a_decision("Acknowledge", "alice", T0 + MIN),)
    life.live(MIN)
    life.live(20 * MIN)
    assert life.take() == []
    assert [(one.state, one.message) for one in life.status.effects] == [
        (EffectState.SILENCED, "nothing of it was to be told any more")
    ]
    assert life.fact("Notified") == ("True", "Delivered")


def test_what_began_and_was_resolved_unheard_is_told_to_nobody() -> None:
    life = Life(a_silence(MODEL))
    life.live()
    life.decisions = (a_decision("Resolve", "alice", T0 + MIN, reason="a test"),)
    life.live(MIN)
    life.live(2 * HOUR)
    assert life.take() == []
    assert all(one.done_time for one in life.status.effects)
    assert life.status.silenced is None


def test_whoever_was_paged_before_the_silence_hears_that_it_is_resolved() -> None:
    life = Life()
    life.live()
    life.silences = (a_silence(MODEL),)
    life.decisions = (a_decision("Resolve", "alice", T0 + MIN, reason="a test"),)
    life.live(MIN)
    assert life.take() == [("owners.owners", "TierEntered"), ("owners.owners", "Resolved")]


def test_what_is_held_back_of_one_reader_is_told_together() -> None:
    life = Life(a_silence(MODEL))
    life.live()
    life.values = (0.1,) * 20
    life.live(20 * MIN)
    assert life.status.recovered_time
    life.silences = ()
    life.live(MIN)
    assert ("owners.owners", "TierEntered Recovered") in life.take()
    states = [(one.state, bool(one.done_time)) for one in life.status.effects if name_of(one.key) == "owners.owners"]
    assert states[0] == (EffectState.SILENCED, True)


def test_an_approval_is_asked_for_all_the_same() -> None:
    life = Life(a_silence(MODEL), containment=the_rules().containment)
    life.live()
    assert life.take() == [("owners.owners", "TierEntered ApprovalNeeded")]


def test_what_is_held_back_asks_nobody_for_an_approval_nor_to_take_over() -> None:
    personal = {"ApprovalNeeded", "GlassBroken", "Unapproved", "HandOver", "HandedOver"}
    assert not MAY_BE_HELD & personal


# --- whatever happens

MATCHERS = st.sampled_from(
    [(), (MODEL,), (is_in("Signal", "latency"),), (is_in("Tier", "owners"),), (is_in("Responder", "compliance"),)]
)
SPELLS = st.lists(
    st.builds(
        lambda matchers, begin, span: a_silence(*matchers, name=f"s-{begin}", begin=T0 + begin * MIN, until=T0 + span),
        MATCHERS,
        st.integers(0, 30),
        st.sampled_from([31 * MIN, 2 * HOUR, 9 * HOUR, 90 * HOUR]),
    ),
    max_size=3,
).map(tuple)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


MILDER = RULES.model_copy(
    update={
        "risk": RULES.risk.model_copy(update={"regulatory": 0, "reputation": 0}),
        "signals": tuple(one.model_copy(update={"floor": None}) for one in RULES.signals),
    }
)
"""The rules of these lives, so that some of what happens is no worse than SEV3."""


def hushed(world: World, silences: tuple[Silence, ...] = ()) -> Situation:
    known = tuple(one for one in silences if one.spec.until > world.now)
    return replace(world.situation(), rules=MILDER, silences=known)


def bare(status: IncidentStatus) -> IncidentStatus:
    """A status without what is said of notices and Silences."""
    conditions = tuple(one for one in status.conditions if one.type not in ("Silenced", "Notified"))
    timeline = tuple(one for one in status.timeline if "silenced by" not in one.what)
    effects = tuple(one for one in status.effects if not name_of(one.key))
    update = {"conditions": conditions, "timeline": timeline, "effects": effects, "silenced": None}
    return status.model_copy(update=update)


def keys_of(status: IncidentStatus) -> list[str]:
    return [one.key for one in status.effects]


@MANY
@given(happenings=LIFE, silences=SPELLS)
def test_a_silence_changes_nothing_but_which_notices_are_sent(
    happenings: list[Happening], silences: tuple[Silence, ...]
) -> None:
    loud, quiet = World(), World()
    for one in happenings:
        loud.live(one)
        quiet.live(one)
        heard, found = plan(hushed(loud)), plan(hushed(quiet, silences))
        assert bare(found.status) == bare(heard.status)
        assert [effect for effect in found.effects if not isinstance(effect, Notify)] == [
            effect for effect in heard.effects if not isinstance(effect, Notify)
        ]
        assert keys_of(found.status) == keys_of(heard.status)
        loud.write(heard)
        quiet.write(found)


@MANY
@given(happenings=LIFE, silences=SPELLS)
def test_nothing_of_sev1_and_sev2_is_held_back_and_no_approval_ever(
    happenings: list[Happening], silences: tuple[Silence, ...]
) -> None:
    world = World()
    for one in happenings:
        world.live(one)
        found = plan(hushed(world, silences))
        held = [record for record in found.status.effects if is_held(record)]
        assert all(MAY_BE_HELD.issuperset(record.causes) for record in held)
        if found.status.severity in ("SEV1", "SEV2"):
            assert held == []
        world.write(found)


@MANY
@given(happenings=LIFE, silences=SPELLS)
def test_after_the_end_everything_that_is_still_due_is_sent_once(
    happenings: list[Happening], silences: tuple[Silence, ...]
) -> None:
    world = World()
    for one in happenings:
        world.live(one)
        world.write(plan(hushed(world, silences)))
    waited = [record for record in world.incident.status.effects if is_held(record)]
    world.live(Happening(timedelta()))
    over = plan(hushed(world))
    world.write(over)
    if over.status.flapping_since is None:
        assert not any(is_held(record) for record in over.status.effects)
    for name in {name_of(record.key) for record in waited if still_asks(over.status, record)}:
        lines = [
            effect for effect in over.effects if name_of(effect.key) == name and effect.key in keys_of(over.status)
        ]
        assert len([effect for effect in lines if isinstance(effect, Notify)]) >= 1
    keys = [record.key for record in over.status.effects]
    assert len(keys) == len(set(keys))
    told = {effect.key for effect in over.effects}
    again = plan(replace(hushed(world), under_way=frozenset(told)))
    assert not [effect for effect in again.effects if isinstance(effect, Notify)]


def still_asks(status: IncidentStatus, record: EffectRecord) -> bool:
    """Whether what was held back asks a tier that has not answered yet."""
    tier = next((one for one in status.tiers if one.name == name_of(record.key).partition(".")[0]), None)
    open_ = tier is not None and tier.acknowledged_time is None and status.resolved_time is None
    deputy = name_of(record.key).endswith(":deputy")
    led = status.parent is not None
    return open_ and not deputy and not led and "TierEntered" in record.causes and not status.flapping_since


def test_these_lives_are_mild_enough_that_something_is_held_back() -> None:
    world = World()
    for after in (MIN, MIN, MIN, MIN, 16 * MIN):
        world.live(Happening(after, values=(0.5, 0.2)))
        world.write(plan(hushed(world, (a_silence(),))))
    assert world.incident.status.severity == "SEV3"
    assert world.incident.status.silenced
    held = [name_of(one.key) for one in world.incident.status.effects if is_held(one)]
    assert "compliance.compliance" in held
