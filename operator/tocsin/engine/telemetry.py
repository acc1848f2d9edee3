"""The operator's own metrics, by Prometheus' naming conventions: base units, totals, few labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tocsin.api.objects import Severity
from tocsin.decide.freezes import freeze_in_force
from tocsin.observe.cluster import MODELS, Store
from tocsin.observe.queries import Counters

PREFIX = "tocsin"
LAGS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """Counts and gauges; one instance a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._rounds = Counter(f"{PREFIX}_rounds", "Evaluation rounds that ended.", ["prometheus"], registry=r)
        self._lag = Histogram(
            f"{PREFIX}_evaluation_lag_seconds",
            "From a grid point to the end of its evaluation.",
            ["prometheus"],
            buckets=LAGS,
            registry=r,
        )
        self._requests = Counter(
            f"{PREFIX}_prometheus_requests", "Requests sent to Prometheus.", ["prometheus"], registry=r
        )
        self._failures = Counter(
            f"{PREFIX}_prometheus_request_failures", "Requests without a usable answer.", ["prometheus"], registry=r
        )
        self._warnings = Counter(
            f"{PREFIX}_prometheus_warnings", "Answers that came with warnings.", ["prometheus"], registry=r
        )
        self._quarantined = Gauge(
            f"{PREFIX}_prometheus_queries_quarantined",
            "Queries that failed by their own fault.",
            ["prometheus"],
            registry=r,
        )
        self._asked: dict[str, Counters] = {}
        self.prometheus_up = Gauge(
            f"{PREFIX}_prometheus_up", "Whether the server answered the last round.", ["prometheus"], registry=r
        )
        self.incidents = Gauge(f"{PREFIX}_incidents", "Unresolved incidents.", ["severity"], registry=r)
        self.objects = Gauge(f"{PREFIX}_objects", "Objects in the store.", ["kind"], registry=r)
        self._held = Gauge(
            f"{PREFIX}_namespace_held",
            "The namespaces on which a brake stops containment; that of the operator stops it everywhere.",
            ["namespace"],
            registry=r,
        )
        self._frozen = Gauge(
            f"{PREFIX}_policy_frozen",
            "The policies of which a freeze stops containment now.",
            ["namespace", "policy"],
            registry=r,
        )
        self.unreadable = Gauge(f"{PREFIX}_objects_unreadable", "Objects that cannot be read.", registry=r)
        self._effects = Counter(f"{PREFIX}_effects", "Effects by outcome.", ["kind", "outcome"], registry=r)
        self._writes = Counter(
            f"{PREFIX}_writes", "Writes to the API server by outcome.", ["what", "outcome"], registry=r
        )
        self._late = Counter(f"{PREFIX}_deadlines_missed", "Deadlines that passed unmet.", ["duty"], registry=r)
        self.rebuilding = Gauge(
            f"{PREFIX}_signals_rebuilding", "Signals by which nothing is decided until their past is read.", registry=r
        )
        self.queue = Gauge(f"{PREFIX}_queue_depth", "Keys that wait for a worker.", registry=r)
        self.leading = Gauge(f"{PREFIX}_leading", "Whether this replica leads.", registry=r)
        self._errors = Counter(f"{PREFIX}_work_errors", "Work on a key that failed and is tried again.", registry=r)
        self._events_dropped = Counter(f"{PREFIX}_events_dropped", "Events given up for lack of room.", registry=r)

    def round_ended(self, server: str, lag: float) -> None:
        """A round has ended; lag in seconds."""
        self._rounds.labels(server).inc()
        self._lag.labels(server).observe(max(0.0, lag))

    def hold(self, store: Store, now: datetime) -> None:
        """What the store holds now."""
        severities = dict.fromkeys(Severity, 0)
        for incident in store.incidents():
            if not incident.resolved and incident.status.severity:
                severities[incident.status.severity] += 1
        for severity, count in severities.items():
            self.incidents.labels(severity.value).set(count)
        for kind in MODELS:
            self.objects.labels(kind).set(store.count(kind))
        self._held.clear()
        for namespace in store.holds:
            self._held.labels(namespace).set(1)
        self._frozen.clear()
        for policy in store.policies():
            if freeze_in_force(policy.spec.freezes, now):
                self._frozen.labels(policy.metadata.namespace, policy.metadata.name).set(1)
        self.unreadable.set(len(store.unreadable()))

    def asked(self, server: str, counters: Counters, quarantined: int) -> None:
        """What a server was asked since the start, and how many queries are in quarantine now."""
        before = self._asked.get(server, Counters())
        self._requests.labels(server).inc(counters.requests - before.requests)
        self._failures.labels(server).inc(counters.failures - before.failures)
        self._warnings.labels(server).inc(counters.warnings - before.warnings)
        self._quarantined.labels(server).set(quarantined)
        self._asked[server] = replace(counters)

    def effect(self, kind: str, outcome: str) -> None:
        """An effect had an outcome."""
        self._effects.labels(kind, outcome).inc()

    def wrote(self, what: str, outcome: str) -> None:
        """A write was answered."""
        self._writes.labels(what, outcome).inc()

    def missed(self, duty: str) -> None:
        """A deadline passed unmet."""
        self._late.labels(duty).inc()

    def work_failed(self) -> None:
        """Work on a key failed."""
        self._errors.inc()

    def event_dropped(self) -> None:
        """An Event was given up."""
        self._events_dropped.inc()

    def text(self) -> bytes:
        """The exposition, in Prometheus' text format."""
        return generate_latest(self.registry)
