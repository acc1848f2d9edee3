"""The loop itself: what comes in wakes keys, workers take them, and only the leader acts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from tocsin.act.budget import BudgetLedger
from tocsin.act.notify.courier import Courier
from tocsin.act.notify.outlet import Outlet
from tocsin.act.notify.senders import Senders
from tocsin.api.containment import Target
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.clocks import instants
from tocsin.decide.situation import Memory, Trust
from tocsin.engine import bearing, datasource, jumps
from tocsin.engine.attestations import Attestations
from tocsin.engine.bearing import Key, Wake
from tocsin.engine.drafts import Drafts
from tocsin.engine.incidents import Incidents, Unlucky
from tocsin.engine.leader import Leader
from tocsin.engine.looks import Looks
from tocsin.engine.messages import Messages
from tocsin.engine.pages import Pages
from tocsin.engine.policies import Policies
from tocsin.engine.posting import Posting
from tocsin.engine.queue import Queue
from tocsin.engine.revisions import Revisions
from tocsin.engine.rounds import Rounds
from tocsin.engine.schedule import Schedule
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.admission import trust
from tocsin.observe.cluster import HOLD_LABEL, MODELS, Name, Pair, Store, age, holds_from, pair_of, prune
from tocsin.observe.queries import MetricSource
from tocsin.observe.targets import Targets
from tocsin.settings import Settings

log = structlog.get_logger()

WORKERS = 12
EACH = 6
"""How many of them may work for one namespace."""
PRUNE_EVERY = 180.0
TRUST_EVERY = 20.0
GAUGES_EVERY = 5.0
SEND_SHARE = 0.4
"""The share of the lease that must be left to send a notice: 2 s of the usual 5 s."""
SEND_PATIENCE = 30.0
"""Seconds that a notice waits for so much of the lease; then any will do."""
SEND_TIMEOUT = 10.0
"""Seconds that a receiver has to answer."""
GRACE = 3.0
"""Seconds that notices on their way get to end when the replica stops; what waits then gets a third of that."""


@dataclass(slots=True)
class Term:
    """What lives as long as this replica leads."""

    rounds: Rounds
    incidents: Incidents
    policies: Policies
    revisions: Revisions
    posting: Posting
    courier: Courier
    messages: Messages
    outlet: Outlet
    drafts: Drafts


@dataclass(slots=True)
class Engine:
    """One replica: its store is always warm, the rest runs while it leads."""

    api: ApiServer
    clock: Clock
    settings: Settings
    sources: Mapping[str, MetricSource]
    namespace: str
    """The operator's own."""
    identity: str
    admission: Mapping[str, Any] | None
    """The admission policy for Decisions as the chart rendered it; without it no Decision counts."""
    leader: Leader
    telemetry: Telemetry = field(default_factory=Telemetry)
    store: Store = field(default_factory=Store)
    synced: bool = False
    """Whether the store has been filled by complete lists once."""
    beat: float = 0.0
    """When the loop last turned, on the monotonic clock."""
    _queue: Queue[Key] = field(default_factory=lambda: Queue(_tenant, EACH))
    _schedule: Schedule[Key] = field(init=False)
    _targets: Targets = field(init=False)
    _term: Term | None = None
    _trust: tuple[Trust, datetime | None] = (Trust.MISSING, None)
    _failures: dict[Key, int] = field(default_factory=dict)
    _barred: dict[Key, float] = field(default_factory=dict)
    """Until when, on the monotonic clock, a key that failed is not worked on, whatever wakes it."""

    def __post_init__(self) -> None:
        self._schedule = Schedule(self.clock)
        self._targets = Targets(self.api, self.clock)

    async def run(self) -> None:
        """Keep the store warm and lead whenever the Lease allows, for ever."""
        await self._forever("filling the store", self._fill)
        self.synced = True
        async with asyncio.TaskGroup() as group:  # on a stop it waits for both; gather would not
            group.create_task(self.leader.run(self._lead))
            group.create_task(jumps.watch(self.clock))
            group.create_task(self._every(GAUGES_EVERY, "gauges", self._gauge))

    # What comes in through the doors.

    def take(self, kind: str, gone: bool, raw: Mapping[str, Any]) -> None:
        """An object of ours was seen, or is gone."""
        name = Name(raw["metadata"]["namespace"], raw["metadata"]["name"])
        before = self._parsed(kind, name)
        if self.store.drop(kind, name, raw["metadata"]["uid"]) if gone else self.store.put(kind, raw):
            self._wake_for(kind, name, before)

    def take_namespace(self, name: str, labels: Mapping[str, str], *, gone: bool) -> None:
        """A namespace was seen: its brake may have changed."""
        before = self.store.holds.get(name)
        self.store.holds.pop(name, None)
        if not gone:
            self.store.holds.update(holds_from([{"metadata": {"name": name, "labels": labels}}]))
        if before != self.store.holds.get(name):
            self._wake(bearing.of_brake(self.store, name, everywhere=name == self.namespace))

    def take_workload(self, namespace: str, target: Target, *, came_or_went: bool) -> None:
        """A workload was seen: what holds on it, and what is said of it, may have changed."""
        wakes = list(bearing.of_workload(self.store, namespace, target, came_or_went=came_or_went))
        self._wake(wakes)
        if self._term is None:
            return
        for key, _ in wakes:
            if key.work == "incident":
                self._term.incidents.looks.drop(Pair(*key.about))
        for policy in self.store.policies_on(namespace, target):
            if came_or_went:
                self._term.policies.look(policy)
            for model in _models_on(self.store.policy(*policy), target):
                self._term.revisions.look(Pair(*policy, model))

    def _parsed(self, kind: str, name: Name) -> Any:
        slot = self.store.slot(kind, name)
        return slot.parsed if slot else None

    def _wake_for(self, kind: str, name: Name, before: Any) -> None:
        """Wake what the change of an object bears on."""
        slot = self.store.slot(kind, name)
        if slot and slot.error:
            log.warning("an object cannot be read", kind=kind, why=slot.error, namespace=name.namespace, name=name.name)
        if self._term and isinstance(before, EscalationPolicy) and (slot is None or slot.uid != before.metadata.uid):
            self._term.policies.attestations.removed(before)
        self._wake(bearing.of_object(self.store, kind, name, before, slot.parsed if slot else None))

    def _wake(self, wakes: Iterable[Wake]) -> None:
        for key, urgent in wakes:
            self._queue.add(key, urgent=urgent)

    # What runs while this replica leads.

    async def _lead(self) -> None:
        """Take up everything from what the cluster and Prometheus remember, and go on until cancelled."""
        self._term = term = self._begin_term()
        self.telemetry.leading.set(1)
        workers, others = list[asyncio.Task[None]](), list[asyncio.Task[None]]()
        try:
            await self._forever("filling the store", self._fill)
            await self._forever("reading the admission policy", self._refresh_trust)
            term.incidents.pages.seed()
            self._wake_everything(term)
            workers += [asyncio.create_task(self._queue.serve(self._work)) for _ in range(WORKERS)]
            loops = [term.rounds.run(), term.posting.run(), self._schedule.run(self._due)]
            loops.append(self._every(PRUNE_EVERY, "pruning", self._fill))
            loops.append(self._every(TRUST_EVERY, "trust", self._refresh_trust))
            others += [asyncio.create_task(loop) for loop in loops]
            ended, _ = await asyncio.wait([*workers, *others], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*ended)
        finally:
            self.telemetry.leading.set(0)
            self.telemetry.prometheus_up.clear()  # a standby asks nothing, and must not speak for the leader
            self.telemetry.rebuilding.set(0)
            await _end(others if self.leader.holds() else [*others, *workers])
            await term.drafts.close()
            await term.outlet.close(GRACE)
            await term.courier.close(GRACE)
            if self.leader.holds():  # write down what came of the last notices, or the next leader sends them again
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._queue.idle(), GRACE / 3)
            self._term = None
            await _end(workers)
            self._queue, self._schedule = Queue(_tenant, EACH), Schedule(self.clock)

    def _begin_term(self) -> Term:
        posting = Posting(self.api, self.clock, self.telemetry, self.identity)
        senders = Senders(self.settings.channels, SEND_TIMEOUT)
        courier = Courier(self.api, self.clock, self.settings.channels, sender=senders)
        outlet = Outlet(self.api, self.clock, senders)
        drafts = Drafts(
            api=self.api,
            clock=self.clock,
            store=self.store,
            telemetry=self.telemetry,
            namespace=self.namespace,
            leads=self.leader.holds,
            made=lambda name: self._queue.add(Key("message", name)),
        )
        revisions = Revisions(self.api, self.clock, self._targets, self._is_open, self.leader.holds)
        rounds = Rounds(
            sources=self.sources,
            settings=self.settings,
            clock=self.clock,
            telemetry=self.telemetry,
            wake=self._evaluated,
            prove=self._prove,
            tell_policy=lambda name: self._queue.add(Key("policy", name)),
            tell_health=self._tell_health,
            is_open=self._is_open,
        )
        for server in self.sources:  # evaluated by its health alone
            rounds.memories[datasource.pair_for(server, self.namespace)] = {}
        incidents = Incidents(
            api=self.api,
            clock=self.clock,
            store=self.store,
            home=self.namespace,
            looks=Looks(self._targets, self.clock),
            budget=BudgetLedger(self.api, self.namespace, self.settings.budget),
            pages=Pages(courier, self.clock, self.store, self.settings.paging.every),
            drafts=drafts,
            posting=posting,
            telemetry=self.telemetry,
            leads=self.leader.holds,
            may_send=self._may_send,
            measured=rounds,
            trust=self._is_trusted,
            builtin=self._builtin,
            again=lambda pair: self._queue.add(Key("incident", pair)),
            at=lambda pair, when: self._schedule.at(Key("incident", pair), when),
        )
        policies = Policies(
            api=self.api,
            clock=self.clock,
            store=self.store,
            targets=self._targets,
            rounds=rounds,
            telemetry=self.telemetry,
            servers=frozenset(self.sources),
            leads=self.leader.holds,
            at=lambda work, name, when: self._schedule.at(Key(work, name), when),
            posting=posting,
            attestations=Attestations(
                clock=self.clock,
                store=self.store,
                courier=courier,
                posting=posting,
                telemetry=self.telemetry,
                may_send=self._may_send,
                trust=self._is_trusted,
                again=lambda name: self._queue.add(Key("policy", name)),
            ),
        )
        messages = Messages(
            namespace=self.namespace,
            api=self.api,
            clock=self.clock,
            store=self.store,
            courier=courier,
            outlet=outlet,
            posting=posting,
            telemetry=self.telemetry,
            leads=self.leader.holds,
            may_send=self._may_send,
            trust=self._is_trusted,
            again=lambda name: self._queue.add(Key("message", name)),
            tell=lambda message: self._wake(bearing.of_message(self.store, message)),
        )
        return Term(rounds, incidents, policies, revisions, posting, courier, messages, outlet, drafts)

    def _may_send(self, waited: float) -> bool:
        """With much of the lease left; where that never is, because the API server is slow, a page is worth more."""
        share = SEND_SHARE if waited < SEND_PATIENCE else 0.0
        return self.leader.holds(share * self.settings.lease_duration.total_seconds())

    def _wake_everything(self, term: Term) -> None:
        for incident in sorted(self.store.incidents(), key=age):  # who was paged first, is so again
            waits = any(one.done_time is None for one in incident.status.effects)
            if not incident.resolved or waits or instants(incident.status):
                self._queue.add(Key("incident", pair_of(incident)), urgent=True)
            elif term.incidents.is_behind(incident):
                self._queue.add(Key("incident", pair_of(incident)))
        for policy in self.store.policies():
            term.policies.guard(policy)
            self._queue.add(Key("policy", Name(policy.metadata.namespace, policy.metadata.name)))
        for name in self.store.names("Responder"):
            self._queue.add(Key("responder", name))
        for name in self.store.names("MessageTemplate"):
            self._queue.add(Key("template", name))
        for message in self.store.messages():
            if term.messages.waits(message):
                self._queue.add(Key("message", Name(message.metadata.namespace, message.metadata.name)))

    async def _work(self, key: Key) -> None:
        """One piece of work; one that fails comes again, ever later, and never stops the others."""
        term = self._term
        if term is None or self.clock.monotonic() < self._barred.get(key, 0.0):
            return
        try:
            match key:
                case Key("incident", Pair() as pair):
                    await term.incidents.work(pair)
                case Key("revision", Pair() as pair):
                    await self._mark(term, pair)
                case Key("policy", Name() as name):
                    await term.policies.work(name)
                case Key("template", Name() as name):
                    await term.policies.work_template(name)
                case Key("message", Name() as name):
                    await term.messages.work(name)
                case Key(_, name):
                    await term.policies.work_responder(Name(*name[:2]))
            self._failures.pop(key, None)
            self._barred.pop(key, None)
        except Exception as error:  # noqa: BLE001 - a poisonous key must not stop the others
            self._put_off(key, error)

    def _put_off(self, key: Key, error: Exception) -> None:
        """Try again later: soon after what passes by itself, ever later after what nobody foresaw."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        passing = isinstance(error, ApiError | NoAnswer | Unlucky)
        wait = getattr(error, "retry_after", None) or 0.5 * 2 ** min(count, 3 if passing else 9)
        self.telemetry.work_failed()
        log.log(20 if passing else 40, "work failed", key=key.about, error=repr(error), exc_info=not passing, wait=wait)
        self._barred[key] = self.clock.monotonic() + wait
        self._schedule.at(key, self.clock.now() + timedelta(seconds=wait))

    async def _mark(self, term: Term, pair: Pair) -> None:
        guarded = term.rounds.guarded(Name(pair.namespace, pair.policy))
        if guarded and pair.model in guarded.rules:
            await term.revisions.work(pair, guarded.rules[pair.model], term.rounds.memories.get(pair, {}))

    def _due(self, key: Key, _: datetime) -> None:
        self._barred.pop(key, None)
        self._queue.add(key, urgent=key.work == "incident")

    def _evaluated(self, pair: Pair, opens: bool) -> None:
        if opens or (self._term and self._term.incidents.stirs(pair)):
            self._queue.add(Key("incident", pair), urgent=opens)

    def _prove(self, pair: Pair, rules: Rules, memories: Mapping[str, Memory]) -> None:
        if self._term and self._term.revisions.due(pair, rules, memories):
            self._queue.add(Key("revision", pair))

    def _is_open(self, pair: Pair) -> bool:
        return any(not one.resolved for one in self.store.incidents_of(pair))

    def _builtin(self, pair: Pair) -> EscalationPolicy | None:
        for server in self.sources:
            if pair == datasource.pair_for(server, self.namespace):
                return datasource.policy_for(server, self.namespace, self.settings.datasource)
        return None

    def _tell_health(self, server: str, at: datetime) -> None:
        if self._term is None:
            return
        health = self._term.rounds.health[server]
        self.telemetry.prometheus_up.labels(server).set(0 if health.down_since else 1)
        pair = datasource.pair_for(server, self.namespace)
        if self._builtin(pair) is None:
            return
        self._term.rounds.memories[pair] = datasource.memories_of(health, at, self.settings.datasource.after)
        if health.down_since or self._is_open(pair):
            self._queue.add(Key("incident", pair))

    # What is read again and again.

    async def _fill(self) -> None:
        """Complete lists of everything: what was missed is taken, what is gone is dropped."""
        listed = await self.api.get(path("v1", "namespaces"), labelSelector=HOLD_LABEL)
        self.store.holds = holds_from(listed["items"])
        for kind in MODELS:
            for name, before in await prune(self.api, self.store, kind):
                if self._term:
                    self._wake_for(kind, name, before)

    async def _refresh_trust(self) -> None:
        before = self._trust
        if self.admission is None:
            self._trust = (Trust.MISSING, None)
            return
        found, since, why = await trust(self.api, self.admission)
        self._trust = (found, since)
        if found is not Trust.TRUSTED and found is not before[0]:
            log.warning("Decisions do not count", reason=found.value, why=why)
        if before[0] is not found:
            self._wake(bearing.of_trust(self.store))

    async def _is_trusted(self, fresh: bool) -> tuple[Trust, datetime | None]:
        if fresh:
            await self._refresh_trust()
        return self._trust

    async def _gauge(self) -> None:
        self.beat = self.clock.monotonic()
        self.telemetry.hold(self.store, self.clock.now())
        self.telemetry.queue.set(len(self._queue))
        for name, source in self.sources.items():
            self.telemetry.asked(name, source.counters, len(source.quarantined))

    async def _every(self, seconds: float, what: str, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.clock.sleep(seconds)
            try:
                await do()
            except (ApiError, NoAnswer) as lost:
                log.info(f"{what} failed, tried again", error=str(lost))

    async def _forever(self, what: str, do: Callable[[], Awaitable[None]]) -> None:
        """Do it until it succeeds once."""
        while True:
            try:
                return await do()
            except (ApiError, NoAnswer) as lost:
                log.warning(f"{what} failed, tried again", error=str(lost))
                await self.clock.sleep(1.0)


def _tenant(key: Key) -> str:
    return key.about.namespace


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _models_on(policy: EscalationPolicy | None, target: Target) -> list[str]:
    return [model.name for model in policy.spec.models if model.target == target] if policy else []
