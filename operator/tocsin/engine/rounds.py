"""Every interval, everything that is due is asked in as few queries as possible, and remembered.

All policies with the same interval share one grid, so that equal queries of a tenant are asked once for all of them; no
tenant waits for the answers to another. Memory that is missing, after a start or a fail-over, is rebuilt from range
queries on the same grid, beside the rounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import structlog

from tocsin.api.incident import Incident
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.clock import Clock
from tocsin.decide import signals
from tocsin.decide.incident import cause_to_open
from tocsin.decide.situation import Failed, Memory, Reading
from tocsin.engine.guarded import Answer, Guarded, Watched, answer_to, guarded_by, measures, shadow_of, thawed
from tocsin.engine.health import Health
from tocsin.engine.rebuilds import Rebuild, Rebuilds
from tocsin.engine.schedule import Schedule
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Pair, pair_of
from tocsin.observe.queries import MetricSource, Prepared, Unusable
from tocsin.settings import Settings, Tenancy

log = structlog.get_logger()

BREATH = 100
"""After so many evaluations other tasks have their turn."""


class Group(NamedTuple):
    """What is asked together; whoever asks slowly keeps only his own group waiting."""

    server: str
    every: timedelta
    tenant: str
    """The namespace; empty on a server of one tenant, where policies of all namespaces share their queries."""


@dataclass(slots=True)
class Rounds:
    """The evaluations of all policies."""

    sources: Mapping[str, MetricSource]
    settings: Settings
    clock: Clock
    telemetry: Telemetry
    wake: Callable[[Pair, bool], None]
    """Called when there is an evaluation of an open incident, or, with True, one that calls for one."""
    prove: Callable[[Pair, Rules, Mapping[str, Memory]], None]
    """Called when all is well: the revision that runs may have proved healthy."""
    tell_policy: Callable[[Name], None]
    """Called when what is measured of a policy has changed."""
    tell_health: Callable[[str, datetime], None]
    """Called after each round of a server."""
    is_open: Callable[[Pair], bool]
    """Whether a pair has an unresolved incident."""
    memories: dict[Pair, dict[str, Memory]] = field(default_factory=dict)
    affected: dict[Pair, Decimal] = field(default_factory=dict)
    health: dict[str, Health] = field(default_factory=dict)
    unusable: dict[Name, dict[str, str]] = field(default_factory=dict)
    """By policy and field: queries that cannot be asked, and why."""
    _guarded: dict[Name, Guarded] = field(default_factory=dict)
    _groups: dict[Group, dict[Name, tuple[Watched, ...]]] = field(default_factory=dict)
    _running: dict[Group, asyncio.Task[None]] = field(default_factory=dict)
    _shadows: dict[Pair, set[Name]] = field(default_factory=dict)
    """By pair: the incidents whose frozen rules are evaluated."""
    _lost: dict[tuple[Name, str], datetime] = field(default_factory=dict)
    """Since when the past of a signal was asked for in vain."""
    _rebuilds: Rebuilds = field(init=False)
    _schedule: Schedule[Group] = field(init=False)

    def __post_init__(self) -> None:
        self._schedule = Schedule(self.clock)
        self._rebuilds = Rebuilds(self.settings.allowed_labels, self._settle)
        self.health = {name: Health() for name in self.sources}

    def guard(self, policy: EscalationPolicy) -> None:
        """Evaluate a policy from now on, as it is now; memory of what is measured as before is kept."""
        name = Name(policy.metadata.namespace, policy.metadata.name)
        old = self._guarded.get(name)
        if old and old.uid == policy.metadata.uid and old.spec == policy.spec:
            old.spec = policy.spec  # the store's own: nobody holds the one that it has replaced
            return
        kept = old.kept_by(policy.spec) if old else frozenset()
        self.forget(name, kept)
        if policy.spec.prometheus not in self.sources:
            return
        made = guarded_by(policy, self.settings, name.name)
        if old:
            made.take_over(old, kept)
        self._add(name, made)

    def _add(self, name: Name, guarded: Guarded) -> None:
        self._guarded[name] = guarded
        for watched in guarded.watched:
            group = self._group_of(name, guarded, watched)
            members = self._groups.setdefault(group, {})
            members[name] = (*members.get(name, ()), watched)
            if group not in self._running:
                self._plan(group)

    def _group_of(self, name: Name, guarded: Guarded, watched: Watched) -> Group:
        server = guarded.spec.prometheus
        single = self.settings.prometheus[server].tenancy is Tenancy.SINGLE
        return Group(server, watched.rule.every, "" if single else name.namespace)

    def memories_of(self, incident: Incident, living: Rules | None) -> Mapping[str, Memory]:
        """What an incident is decided by: its frozen rules are evaluated on when the policy was changed or deleted."""
        pair, frozen = pair_of(incident), incident.rules
        shadow = shadow_of(incident)
        if frozen is None or incident.resolved or (self._is_evaluated(pair) and _measures_alike(living, frozen)):
            self.forget(shadow)
            return self.memories.get(pair, {})
        whole = frozen.signals and frozen.tiers and frozen.prometheus in self.sources
        if shadow not in self._guarded and whole:
            self._add(shadow, guarded_by(thawed(incident, frozen), self.settings, pair.policy))
            self._shadows.setdefault(pair, set()).add(shadow)
        return self.memories.get(Pair(*shadow, pair.model), {})

    def _is_evaluated(self, pair: Pair) -> bool:
        """Whether the living policy is; one that another took the target from, or that is being deleted, is not."""
        return Name(pair.namespace, pair.policy) in self._guarded or pair in self.memories

    def release(self, pair: Pair, unresolved: Iterable[Incident]) -> None:
        """Evaluate the frozen rules of no incident of the pair but these."""
        kept = {shadow_of(one) for one in unresolved}
        evaluated = self._shadows.pop(pair, set())
        for shadow in evaluated - kept:
            self.forget(shadow)
        if left := evaluated & kept:
            self._shadows[pair] = left

    def affected_by(self, incident: Incident) -> Decimal | None:
        """How many decisions an incident has affected so far; None when unknown."""
        return self.affected.get(self._measured_as(incident))

    def known_of(self, incident: Incident) -> Mapping[str, Memory]:
        """What an incident was last decided by, as it is now."""
        return self.memories.get(self._measured_as(incident), {})

    def _measured_as(self, incident: Incident) -> Pair:
        pair, shadow = pair_of(incident), shadow_of(incident)
        return Pair(*shadow, pair.model) if shadow in self._guarded else pair

    def forget(self, name: Name, keep: Collection[tuple[str, str]] = ()) -> None:
        """Evaluate a policy no more; the memory of these models and signals stays."""
        guarded = self._guarded.pop(name, None)
        self.unusable.pop(name, None)
        for watched in guarded.watched if guarded else ():
            self._lost.pop((name, watched.rule.name), None)
            self._rebuilds.forget(name, watched.rule.name)
        if guarded is None:
            return
        for watched in guarded.watched:
            self._groups.get(self._group_of(name, guarded, watched), {}).pop(name, None)
        for model in guarded.rules:
            pair = Pair(name.namespace, name.name, model)
            self.affected.pop(pair, None)
            known = self.memories.pop(pair, {})
            left = {signal: memory for signal, memory in known.items() if (model, signal) in keep}
            if left:
                self.memories[pair] = left

    def guarded(self, name: Name) -> Guarded | None:
        """The policy as the rounds see it, if it is evaluated."""
        return self._guarded.get(name)

    async def run(self) -> None:
        """Begin each round at its grid point, for ever; one that takes longer than its interval skips points."""
        for group in self._groups:
            self._plan(group)
        try:
            await self._schedule.run(self._begin)
        finally:
            for task in (running := list(self._running.values())):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._rebuilds.close()
            self._running.clear()

    def _plan(self, group: Group) -> None:
        self._schedule.at(group, signals.next_grid(self.clock.now(), group.every, timedelta()))

    def _begin(self, group: Group, at: datetime) -> None:
        if not self._groups.get(group):
            self._groups.pop(group, None)
            return
        task = asyncio.ensure_future(self._round(group, at))
        self._running[group] = task
        task.add_done_callback(lambda done: self._end(group, at, done))

    def _end(self, group: Group, at: datetime, task: asyncio.Task[None]) -> None:
        self._running.pop(group, None)
        if task.cancelled():
            return
        if error := task.exception():
            log.error("a round failed", **group._asdict() | {"every": str(group.every)}, error=repr(error))
        lag = (self.clock.now() - at).total_seconds()
        self.telemetry.round_ended(group.server, lag)
        if group in self._groups:
            self._plan(group)

    async def _round(self, group: Group, at: datetime) -> None:
        source = self.sources[group.server]
        members = [(name, watched) for name, several in self._groups[group].items() for watched in several]
        affected = {
            name: guarded.spec.risk.affected.query
            for name in dict.fromkeys(name for name, _ in members)
            if (guarded := self._guarded.get(name)) and guarded.quickest == group.every and guarded.spec.risk.affected
        }
        texts = [(name.namespace, text) for name, watched in members for text in watched.queries.values()]
        texts += [(name.namespace, text) for name, text in affected.items()]
        distinct = list(dict.fromkeys(texts))
        preparing = (source.prepare(text, namespace) for namespace, text in distinct)
        prepared = dict(zip(distinct, await asyncio.gather(*preparing), strict=True))
        asked = {query for query in prepared.values() if isinstance(query, Prepared)}
        answers = await source.ask(asked, at) if asked else {}
        self.health[group.server].note(at, source.trouble)
        added: list[Rebuild] = []
        evaluated: dict[Name, None] = {}
        for number, (name, watched) in enumerate(members):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            queries = {field_: prepared[name.namespace, text] for field_, text in watched.queries.items()}
            try:
                if self._evaluate(name, watched, at, queries, answers, added):
                    evaluated[name] = None
            except Exception as error:  # noqa: BLE001 - a value that nobody foresaw must not stop the others' work
                log.error("a signal was not evaluated", policy=name, signal=watched.rule.name, error=repr(error))
        for name, text in affected.items():
            query = prepared[name.namespace, text]
            self._note_unusable(name, {"risk.affected.query": query})
            self._count_affected(name, answer_to(query, answers))
        for name in evaluated:
            self._conclude(name)
        self._rebuilds.begin(source, added, sum(len(guarded.rules) for guarded in self._guarded.values()))
        self.telemetry.rebuilding.set(len(self._rebuilds))
        self.tell_health(group.server, at)

    def _evaluate(
        self,
        name: Name,
        watched: Watched,
        at: datetime,
        queries: Mapping[str, Prepared | Unusable | Failed],
        answers: Mapping[Prepared, Answer],
        added: list[Rebuild],
    ) -> bool:
        """Remember one evaluation; False while that has to wait for a memory of the past, or for nothing at all."""
        guarded = self._guarded.get(name)
        signal = watched.rule.name
        if guarded is None or watched.signal not in guarded.spec.signals:
            return False
        self._note_unusable(name, queries)
        given = [answer_to(query, answers) for query in queries.values()]
        heard = {
            Pair(name.namespace, name.name, model): guarded.hear(
                watched, model, at, given, self.settings.allowed_labels
            )
            for model in guarded.rules
        }
        fresh = [pair for pair in heard if signal not in self.memories.get(pair, {})]
        askable = tuple(query for query in queries.values() if isinstance(query, Prepared))
        rebuild = self._rebuilds.of(name, signal)
        if fresh and rebuild is None and len(askable) == len(queries):
            rebuild = Rebuild(name, guarded, watched, at, fresh, askable)
            self._rebuilds.add(rebuild)
            added.append(rebuild)
        if rebuild:
            rebuild.meanwhile.append((at, {pair: heard[pair] for pair in fresh}))
        for pair, reading in heard.items():
            if rebuild is None or pair not in fresh:
                self._advance(watched, pair, at, reading)
        return rebuild is None or len(fresh) < len(heard)

    def _advance(self, watched: Watched, pair: Pair, at: datetime, reading: Reading) -> None:
        """Without a memory a failure begins none: nothing is known."""
        memory = self.memories.get(pair, {}).get(watched.rule.name)
        if memory is not None or not isinstance(reading, Failed):
            self.memories.setdefault(pair, {})[watched.rule.name] = signals.advance(memory, watched.rule, at, reading)

    def _settle(self, rebuild: Rebuild, had: bool) -> None:
        """What was rebuilt counts from now on, with what was evaluated meanwhile.

        A past that was not had is asked for again at the next evaluation; after ``for`` what was had of it must do.
        """
        watched = rebuild.watched
        lost_at = self._lost.pop(rebuild.key, rebuild.at)
        if not had and rebuild.at - lost_at < watched.rule.for_:
            self._lost[rebuild.key] = lost_at
        else:
            for pair, memory in rebuild.memories.items():
                self.memories.setdefault(pair, {})[watched.rule.name] = rebuild.guarded.since_creation(memory)
            for at, heard in rebuild.meanwhile:
                for pair, reading in heard.items():
                    self._advance(watched, pair, at, reading)
        self._conclude(rebuild.name)
        self.telemetry.rebuilding.set(len(self._rebuilds))

    def _note_unusable(self, name: Name, queries: Mapping[str, Prepared | Unusable | Failed]) -> None:
        known = self.unusable.setdefault(name, {})
        for field_, query in queries.items():
            if isinstance(query, Unusable) and known.get(field_) != query.message:
                known[field_] = query.message
                self._tell(name)
            elif isinstance(query, Prepared) and known.pop(field_, ""):
                self._tell(name)

    def _tell(self, name: Name) -> None:
        """Tell the policy's status, unless it is an incident's frozen one, which has none."""
        guarded = self._guarded.get(name)
        if guarded and guarded.speaks_for == name.name:
            self.tell_policy(name)

    def _count_affected(self, name: Name, answer: Answer) -> None:
        guarded = self._guarded.get(name)
        if guarded is None:
            return
        for model, rules in guarded.rules.items():
            pair = Pair(name.namespace, name.name, model)
            count = signals.affected_by(answer, rules.model, guarded.alone)
            if count is None:
                self.affected.pop(pair, None)
            else:
                self.affected[pair] = count

    def _conclude(self, name: Name) -> None:
        guarded = self._guarded.get(name)
        if guarded is None:
            return
        for model, rules in guarded.rules.items():
            known = self.memories.get(Pair(name.namespace, name.name, model), {})
            pair = Pair(name.namespace, guarded.speaks_for, model)
            is_open = self.is_open(pair)
            if is_open or cause_to_open(rules, known):
                self.wake(pair, not is_open)
            else:
                self.prove(pair, rules, known)
        gist = guarded.gist()
        if gist != guarded.shown:
            guarded.shown = gist
            self._tell(name)


def _measures_alike(living: Rules | None, frozen: Rules) -> bool:
    return living is not None and measures(living) == measures(frozen)
