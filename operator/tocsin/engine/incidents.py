"""The work on one pair: open its incident, decide, write, act, and decide again until nothing is left to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import structlog

from tocsin.act.budget import BudgetLedger
from tocsin.act.containment import carry_out
from tocsin.act.status import write_status
from tocsin.api.incident import EffectState, Incident
from tocsin.api.objects import API_VERSION, Finding, stamp
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.clocks import instants, is_due
from tocsin.decide.defaults import freeze
from tocsin.decide.drafting import out_of_step
from tocsin.decide.facts import was_joined
from tocsin.decide.flapping import SWINGS
from tocsin.decide.gist import gist
from tocsin.decide.incident import HOLD_CHECK, cause_to_open, plan, reopens
from tocsin.decide.people import unheard
from tocsin.decide.plan import Contain, Draft, Notify, Plan, Undo
from tocsin.decide.situation import Budget, Memory, Outcome, Situation, Trust
from tocsin.decide.tiers import is_contained, newly_missed
from tocsin.engine.bearing import of_kin
from tocsin.engine.brakes import braked
from tocsin.engine.drafts import Drafts
from tocsin.engine.looks import Looks
from tocsin.engine.opening import open_incident
from tocsin.engine.pages import Pages
from tocsin.engine.posting import Posting
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Pair, Store, age, pair_of

log = structlog.get_logger()

RECURRENCE = timedelta(days=7)
TURNS = 12
"""So many decisions follow each other at once; past that the key comes again."""


class Measurements(Protocol):
    """What the evaluations know."""

    memories: dict[Pair, dict[str, Memory]]

    def memories_of(self, incident: Incident, living: Rules | None) -> Mapping[str, Memory]:
        """What an incident is decided by, whatever became of its policy."""
        ...

    def known_of(self, incident: Incident) -> Mapping[str, Memory]:
        """What an incident was last decided by, as it is now."""
        ...

    def affected_by(self, incident: Incident) -> Decimal | None:
        """How many decisions an incident has affected so far."""
        ...

    def release(self, pair: Pair, unresolved: Iterable[Incident]) -> None:
        """Evaluate the frozen rules of no incident of the pair but these."""
        ...


class Unlucky(Exception):
    """Something that passes: the key is worked on again after a while."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A pair on which nothing is left to do but to wait."""

    until: float
    """On the monotonic clock: a watch may be frozen, so that no rest is longer than a look counts."""
    gists: Mapping[str, Hashable]
    """By the UID of each open incident: what the measurements told it when it was last decided."""


@dataclass(slots=True)
class Incidents:
    """Everything that the work on a pair needs."""

    api: ApiServer
    clock: Clock
    store: Store
    home: str
    """The operator's own namespace."""
    looks: Looks
    budget: BudgetLedger
    pages: Pages
    drafts: Drafts
    posting: Posting
    telemetry: Telemetry
    leads: Callable[[float], bool]
    """Whether this replica leads, with so many seconds of lease to spare."""
    may_send: Callable[[float], bool]
    """Whether enough of the lease is left to send a notice that has waited for so many seconds: no server guards it."""
    measured: Measurements
    trust: Callable[[bool], Awaitable[tuple[Trust, datetime | None]]]
    """Whether Decisions can be trusted and since when; with True it is read anew."""
    builtin: Callable[[Pair], EscalationPolicy | None]
    """The policy of a pair that no object declares: a Prometheus server of the operator's own."""
    again: Callable[[Pair], None]
    at: Callable[[Pair, datetime | None], None]
    _outcomes: dict[Pair, dict[str, Outcome]] = field(default_factory=dict)
    _under_way: dict[Pair, set[str]] = field(default_factory=dict)
    _rests: dict[Pair, Rest] = field(default_factory=dict)

    def stirs(self, pair: Pair) -> bool:
        """Whether an evaluation has to be decided on; while it tells nothing new, what else happens wakes the pair."""
        rest = self._rests.get(pair)
        return rest is None or self.clock.monotonic() >= rest.until or self._gists(pair) != rest.gists

    def _gists(self, pair: Pair) -> dict[str, Hashable]:
        return {
            one.metadata.uid: gist(one.rules, one.status, self.measured.known_of(one), self.measured.affected_by(one))
            for one in self.store.incidents_of(pair)
            if not one.resolved and one.rules
        }

    async def work(self, pair: Pair) -> None:
        """Bring the pair's incident as far as it goes now; raises ApiError, NoAnswer or Unlucky for what passes."""
        self._rests.pop(pair, None)
        self.looks.begin(pair)
        incidents = self.store.incidents_of(pair)
        open_ = [one for one in incidents if not one.resolved]
        if not open_:
            own = [one for one in incidents if one.rules and not was_joined(one.status)]
            open_ = await self._reopened_or_new(pair, max(own, key=_resolved_at, default=None))
        uids = {one.metadata.uid for one in open_}
        others = [one for one in incidents if one.metadata.uid not in uids]
        unsettled = [one for one in others if self._is_unsettled(pair, one)]
        gists: dict[str, Hashable] = {}
        for incident in (*unsettled, *reversed(open_)):  # the oldest last: it goes on, and says when to look again
            gists |= await self._advance(pair, incident)
        if not (unsettled or open_) and (ticks := self._next(pair, None)):
            self.at(pair, ticks)
        if open_:
            self._rests[pair] = Rest(self.clock.monotonic() + HOLD_CHECK.total_seconds(), gists)
        self.measured.release(pair, [one for one in self.store.incidents_of(pair) if not one.resolved])
        self._forget_gone(pair)

    def _forget_gone(self, pair: Pair) -> None:
        """Tell nobody of an incident that is gone, and keep nothing of a target that no open incident holds."""
        if not any(not one.resolved for one in self.store.incidents_of(pair)):
            self.looks.drop(pair)
            self._rests.pop(pair, None)
        uids = {one.metadata.uid for one in self.store.incidents_of(pair)}
        for key in [key for key in self._under_way.get(pair, ()) if key.split("/", 1)[0] not in uids]:
            self.pages.withdraw(key)
            self._under_way[pair].discard(key)
        if not self._under_way.get(pair, {""}):
            del self._under_way[pair]

    async def _reopened_or_new(self, pair: Pair, last: Incident | None) -> list[Incident]:
        """What to work on when everything is resolved: a breach that began anew."""
        known, now = self.measured.memories.get(pair, {}), self.clock.now()
        if last is not None and last.rules and last.status.resolved_time:
            if reopens(last.rules, last.status, known, now):
                return [last]
            if now - last.status.resolved_time <= last.rules.reopen_window:
                return []
        policy = self._policy(pair)
        rules = self._living_rules(policy, pair.model)
        if policy is None or rules is None or (cause := cause_to_open(rules, known)) is None:
            return []
        if any(not one.resolved for one in self.store.incidents_on(pair.namespace, rules.model.target)):
            return []  # it would join that one, at every evaluation anew
        seeing = asyncio.ensure_future(self.looks.sight.lasting_view(pair.namespace, rules.model.target))
        try:
            opened = await open_incident(self.api, self.store, self.telemetry, pair, policy, rules)
            if opened and rules.containment:
                self.looks.hand_over(pair, await seeing)
        finally:
            seeing.cancel()
        if opened is None:
            self.again(pair)
            return []
        log.info("incident opened", incident=opened.metadata.name, namespace=pair.namespace, cause=cause)
        return [opened]

    def _next(self, pair: Pair, wanted: datetime | None) -> datetime | None:
        """When to look again: as an incident wants, or sooner for a clock of one that is resolved."""
        resolved = [one for one in self.store.incidents_of(pair) if one.resolved]
        ticks = [instant for one in resolved for instant in instants(one.status)]
        return min([*ticks, *([wanted] if wanted else [])], default=None)

    def _is_unsettled(self, pair: Pair, incident: Incident) -> bool:
        """Whether a resolved incident has something left to tell, to write down or to answer."""
        under_way = self._under_way.get(pair, set())
        waiting = (EffectState.INTENDED, EffectState.UNDELIVERED)
        return (
            any(one.causes and one.state in waiting and one.key not in under_way for one in incident.status.effects)
            or bool(self._outcomes_of(pair, incident))
            or bool(unheard(decisions := self.store.decisions_of(incident), incident.status))
            or is_due(incident, decisions, self.clock.now())
            or self.is_behind(incident, under_way)
        )

    def is_behind(self, incident: Incident, under_way: Iterable[str] = ()) -> bool:
        """Whether an incident's record is behind its messages."""
        messages = self.store.messages_of(incident)
        if not incident.status.messages and not messages:
            return False
        return out_of_step(incident, messages, self._templates(incident), under_way)

    def _templates(self, incident: Incident, rules: Rules | None = None) -> dict[str, str]:
        """The templates that an incident's messages are drafted from, each with its version."""
        rules, namespace = rules or incident.rules, incident.metadata.namespace
        named = {one.template for one in rules.messages} if rules else set()
        names = named | {one.template for one in incident.status.messages}
        found = {name: self.drafts.version_of(namespace, name) for name in names}
        return {name: version for name, version in found.items() if version}

    def _policy(self, pair: Pair) -> EscalationPolicy | None:
        return self.builtin(pair) or self.store.policy(pair.namespace, pair.policy)

    @staticmethod
    def _living_rules(policy: EscalationPolicy | None, model: str) -> Rules | None:
        if policy is None:
            return None
        found = next((one for one in policy.spec.models if one.name == model), None)
        return freeze(policy, found) if found else None

    async def _advance(self, pair: Pair, incident: Incident) -> dict[str, Hashable]:
        """Decide until nothing is left to do at once; gives what the measurements told then, by the incident's UID."""
        for _ in range(TURNS):
            known = self.looks.kept(pair)
            situation = await self._situation(pair, incident)
            if situation is None:
                return {}
            decided = plan(situation)
            moves = decided.needs_budget or decided.status.containment != incident.status.containment
            if known and situation.target is known and moves:
                self.looks.drop(pair)  # no option goes on by the strength of an older look
                continue
            if decided.needs_budget:
                decided = plan(await self._reserved(pair, incident, situation))
            told = gist(situation.rules, decided.status, situation.signals, situation.affected)
            written = await self._write(incident, decided)
            if written is None:
                fresh = await self._read(incident)
                if fresh is None:
                    self.at(pair, None)
                    return {}
                incident = fresh
                continue
            for duty in newly_missed(incident.status, written.status):
                self.telemetry.missed(duty.lower())
            incident = written
            self._forget_outcomes(pair, situation)
            try:
                acted = await self._act(pair, incident, situation, decided)
            finally:
                self._tell(incident, decided)  # behind what contains
            if not acted:
                self.at(pair, self._next(pair, decided.look_again_at))
                return {} if incident.resolved else {incident.metadata.uid: told}
        self.again(pair)
        return {}

    async def _reserved(self, pair: Pair, incident: Incident, situation: Situation) -> Situation:
        """The situation with room reserved in the budget, or with why there is none."""
        crowded = await self.budget.reserve(pair.namespace, pair.policy, incident.metadata.uid, self.clock.now())
        return replace(situation, budget=Budget.EXHAUSTED if crowded else Budget.RESERVED, crowded=crowded)

    async def _situation(self, pair: Pair, incident: Incident) -> Situation | None:
        policy = self._policy(pair)
        living = self._living_rules(policy, pair.model)
        rules = incident.rules or living
        if rules is None:
            await self._say_rules_are_missing(incident)
            return None
        known = self.measured.memories_of(incident, living)
        is_open = not incident.resolved or reopens(rules, incident.status, known, self.clock.now())
        decisions, children = self.store.decisions_of(incident), self.store.children_of(incident)
        trust, since = await self.trust(bool(unheard(decisions, incident.status)))
        return Situation(
            now=self.clock.now(),
            incident=incident,
            rules=rules,
            mode=policy.spec.mode if policy else rules.mode,
            signals=known,
            affected=self.measured.affected_by(incident),
            decisions=decisions,
            trust=trust,
            trusted_since=since,
            roster=self.store.responders(pair.namespace),
            target=await self.looks.at(pair, rules.model.target, holds=is_contained(incident.status))
            if is_open and rules.containment
            else None,
            outcomes=self._outcomes_of(pair, incident),
            under_way=frozenset(self._under_way.get(pair, ())),
            contained_revisions=self._contained(pair, rules),
            namespace_hold=self.store.holds.get(pair.namespace, ""),
            cluster_hold=self.store.holds.get(self.home, ""),
            freezes=policy.spec.freezes if policy else (),
            recurs=self._recurs(pair, incident),
            harm_told_by=self._harm_told_by(pair, incident),
            joined=self._joined(incident, rules),
            kin=self.store.kin_of(incident, incident.status.opened_time or self.clock.now()),
            parent_lives=self.store.is_open(incident.status.parent or ""),
            children=len(children),
            shared=next((one.status.upstream for one in children if one.status.upstream), ""),
            silences=self.store.silences(pair.namespace, self.clock.now()),
            swung=() if incident.status.opened_time else self._swung(pair, incident),
            messages=self.store.messages_of(incident),
            templates=self._templates(incident, rules),
        )

    async def _say_rules_are_missing(self, incident: Incident) -> None:
        """A person's incident that names no policy, or no model of it: say so where the person looks."""
        spec = incident.spec
        message = f"policy {spec.policy_ref.name} with model {spec.model} does not exist in this namespace: apply it"
        finding = Finding(type="Firing", status="Unknown", reason="PolicyNotFound", message=message)
        conditions = stamp([finding], incident.status.conditions, self.clock.now())
        await self._write(incident, Plan(incident.status.model_copy(update={"conditions": conditions})))

    def _contained(self, pair: Pair, rules: Rules) -> frozenset[str]:
        """What any incident of the same target contained, whichever policy it was opened under."""
        on_target = self.store.incidents_on(pair.namespace, rules.model.target)
        return frozenset(revision for one in on_target for revision in one.status.contained_revisions)

    def _recurs(self, pair: Pair, incident: Incident) -> bool:
        created = incident.metadata.creation_timestamp
        return any(
            one.metadata.uid != incident.metadata.uid
            and one.status.resolved_time is not None
            and not was_joined(one.status)
            and created is not None
            and timedelta() <= created - one.status.resolved_time < RECURRENCE
            for one in self.store.incidents_of(pair)
        )

    def _swung(self, pair: Pair, incident: Incident) -> tuple[datetime, ...]:
        """When the pair's other incidents last went from breach to recovery, or back."""
        others = (one.status for one in self.store.incidents_of(pair) if one.metadata.uid != incident.metadata.uid)
        return tuple(sorted(at for status in others if not was_joined(status) for at in status.swings))[-SWINGS:]

    def _harm_told_by(self, pair: Pair, incident: Incident) -> tuple[str, ...]:
        """Who has reported harm since the episode began, each once."""
        since, name = incident.status.opened_time, incident.metadata.name
        joined = [one for one in self.store.incidents_of(pair) if one.status.joined == name and one.spec.harm]
        fresh = [one for one in joined if since is None or (one.status.resolved_time or since) >= since]
        own = [incident] if incident.spec.harm and incident.status.episode == 1 else []
        return tuple(dict.fromkeys(one.spec.by or "" for one in (*own, *fresh)))

    def _joined(self, incident: Incident, rules: Rules) -> str:
        """The oldest other unresolved incident of the same model or target, if it is older."""
        if incident.resolved:
            return ""
        pair = pair_of(incident)
        others = (*self.store.incidents_of(pair), *self.store.incidents_on(pair.namespace, rules.model.target))
        first = min((incident, *(one for one in others if not one.resolved)), key=age)
        return "" if first.metadata.uid == incident.metadata.uid else first.metadata.name

    async def _write(self, incident: Incident, decided: Plan) -> Incident | None:
        """Write the status; None when the incident has to be read again first."""
        if decided.status is incident.status:
            return incident
        if not self.leads(0.0):
            raise Unlucky("the lease was lost")
        before = incident.status.dump() if incident.status.conditions else {}
        try:
            raw = await write_status(self.api, "incidents", incident.metadata, before, decided.status.dump())
        except NoAnswer:
            self.telemetry.wrote("status", "unanswered")
            return None
        except ApiError as refused:
            self.telemetry.wrote("status", "refused")
            if refused.code in (404, 409):
                return None
            raise
        if raw is None:
            return incident
        self.telemetry.wrote("status", "accepted")
        return self._keep(raw)

    async def _read(self, incident: Incident) -> Incident | None:
        metadata = incident.metadata
        try:
            raw = await self.api.get(path(API_VERSION, "incidents", metadata.namespace, metadata.name))
        except ApiError as gone:
            if gone.code != 404:
                raise
            self.store.drop("Incident", Name(metadata.namespace, metadata.name), metadata.uid)
            self._wake_kin(incident, None)
            log.warning("an incident was deleted", incident=metadata.name, namespace=metadata.namespace)
            return None
        if raw["metadata"]["uid"] != metadata.uid:
            return None
        return self._keep(raw)

    def _keep(self, raw: Any) -> Incident:
        """Take the incident as it is now, and tell its kin: our own write comes back as no news."""
        incident = Incident.model_validate(raw)
        before = self.store.incident(Name(incident.metadata.namespace, incident.metadata.name))
        self.store.put("Incident", raw)
        self._wake_kin(before, incident)
        return incident

    def _wake_kin(self, before: Incident | None, after: Incident | None) -> None:
        for key, _ in of_kin(self.store, before, after):
            self.again(Pair(*key.about))

    def _outcomes_of(self, pair: Pair, incident: Incident) -> dict[str, Outcome]:
        known = self._outcomes.get(pair, {})
        return {key: one for key, one in known.items() if key.startswith(f"{incident.metadata.uid}/")}

    def _forget_outcomes(self, pair: Pair, situation: Situation) -> None:
        """The outcomes that the written status holds; others came in meanwhile."""
        known = self._outcomes.get(pair, {})
        for key, outcome in situation.outcomes.items():
            if known.get(key) is outcome:
                del known[key]
        if not known:
            self._outcomes.pop(pair, None)

    def _tell(self, incident: Incident, decided: Plan) -> None:
        for event in decided.events:
            self.posting.post("Incident", incident.metadata, event)
            log.info(
                "incident",
                incident=incident.metadata.name,
                namespace=incident.metadata.namespace,
                what=event.message,
                severity=decided.status.severity,
            )

    async def _act(self, pair: Pair, incident: Incident, situation: Situation, decided: Plan) -> bool:
        """Do the effects whose intents are written; tells whether something is to be decided at once."""
        writes = [effect for effect in decided.effects if isinstance(effect, Contain | Undo)]
        for effect in decided.effects:
            match effect:
                case Notify():
                    self._notify(pair, effect)
                case Draft():
                    self._draft(pair, incident, situation.rules, effect)
                case _:
                    pass
        for effect in writes:
            await self._carry_out(pair, incident, situation, effect)
        return bool(writes)

    def _notify(self, pair: Pair, effect: Notify) -> None:
        def report(outcome: Outcome) -> None:
            self.telemetry.effect("notify", "Folded" if outcome.into else outcome.result)
            if outcome.result in ("Done", "Superseded"):
                self._under_way.get(pair, set()).discard(effect.key)
            self._outcomes.setdefault(pair, {})[effect.key] = outcome
            self.again(pair)

        def free() -> None:
            self._under_way.get(pair, set()).discard(effect.key)
            self.again(pair)

        if effect.notice.resolves:  # what was true before must not arrive after it
            for key in [key for key in self._under_way.get(pair, ()) if _same_reader(key, effect.key)]:
                self.pages.supersede(key)
        self._under_way.setdefault(pair, set()).add(effect.key)
        responder = self.store.responder(pair.namespace, effect.notice.responder)
        self.pages.submit(pair.policy, effect, responder, self.may_send, report, free)

    def _draft(self, pair: Pair, incident: Incident, rules: Rules, effect: Draft) -> None:
        def report(outcome: Outcome) -> None:
            self._under_way.get(pair, set()).discard(effect.key)
            self._outcomes.setdefault(pair, {})[effect.key] = outcome
            self.again(pair)

        self._under_way.setdefault(pair, set()).add(effect.key)
        self.drafts.submit(incident, rules, effect, report)

    async def _carry_out(self, pair: Pair, incident: Incident, situation: Situation, effect: Contain | Undo) -> None:
        """Carry out a containment, after a last look at the brakes, which no incident freezes, or an undo."""
        kind = "contain" if isinstance(effect, Contain) else "undo"
        rehearsal = isinstance(effect, Contain) and effect.dry_run
        automatic = kind == "contain" and not rehearsal
        if automatic and await braked(self.api, self.store, self.home, pair, situation, self._policy, self.clock.now):
            return
        if not self.leads(0.0):
            raise Unlucky("the lease was lost")
        outcome = await carry_out(self.api, pair.namespace, effect, self.clock)
        if rehearsal and outcome.result == "Done":
            outcome = replace(outcome, result="Rehearsed")
        self.telemetry.effect(kind, outcome.result)
        log.info(
            "containment",
            kind=kind,
            incident=incident.metadata.name,
            namespace=pair.namespace,
            key=effect.key,
            outcome=outcome.result,
            message=outcome.message,
        )
        self._outcomes.setdefault(pair, {})[effect.key] = outcome
        if outcome.result == "Unknown":
            raise Unlucky(outcome.message)


def _same_reader(key: str, other: str) -> bool:
    """Whether two notices of an incident go to the same role of the same tier."""
    return key.split("/")[:4] == other.split("/")[:4] and key != other


def _resolved_at(incident: Incident) -> tuple[str, str]:
    resolved = incident.status.resolved_time
    return (resolved.isoformat() if resolved else "", incident.metadata.name)
