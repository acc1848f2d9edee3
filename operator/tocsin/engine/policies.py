"""The work on one policy, Responder or template: check it against what is there, and say so in its status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from tocsin.act.status import write_status
from tocsin.api.objects import condition
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.plan import Event
from tocsin.decide.policy import Surroundings, report
from tocsin.decide.rendering import report_template
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.decide.staffing import report_responder, told_by
from tocsin.engine.attestations import Attestations
from tocsin.engine.bearing import of_responder
from tocsin.engine.incidents import Unlucky
from tocsin.engine.posting import Posting
from tocsin.engine.rounds import Rounds
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import PLURALS, Name, Store
from tocsin.observe.targets import Targets

log = structlog.get_logger()

CHECK_READY = timedelta(hours=1)
CHECK_UNREADY = timedelta(minutes=5)
"""How often a policy is checked again, besides when something about it changes: rights come without an event."""
LOOK_AGAIN = timedelta(minutes=1)


@dataclass(slots=True)
class _Look:
    """A look at the targets of one policy as it was then."""

    version: tuple[str, int | None]
    since: float
    """On the monotonic clock."""
    views: Mapping[str, TargetView | NoTarget]


@dataclass(slots=True)
class Policies:
    """Everything that the work on a policy needs."""

    api: ApiServer
    clock: Clock
    store: Store
    targets: Targets
    rounds: Rounds
    telemetry: Telemetry
    servers: frozenset[str]
    leads: Callable[[float], bool]
    at: Callable[[Literal["policy", "responder"], Name, datetime], None]
    """Ask for a policy or Responder to be worked on at an instant."""
    posting: Posting
    attestations: Attestations
    _seen: dict[Name, _Look] = field(default_factory=dict)
    """How the targets of each policy were when they were last looked at."""

    async def work(self, name: Name) -> None:
        """Check the policy and write its status if that has changed.

        It is evaluated unless an older policy guards the same target, whether its target is there or not.
        """
        policy = self.store.policy(*name)
        if policy is None or policy.metadata.deletion_timestamp:
            self.rounds.forget(name)
            self.look(name)
            return
        taken = self.guard(policy)
        guarded = self.rounds.guarded(name)
        views = await self._targets_of(policy)
        status = report(
            policy,
            Surroundings(
                now=self.clock.now(),
                servers=self.servers,
                targets=views,
                taken=taken,
                responders=self.store.responders(name.namespace),
                unusable=dict(self.rounds.unusable.get(name, {})),
                readings=dict(guarded.readings) if guarded else {},
                authorisations=self.store.authorisations(*name),
                acceptances=self.store.acceptances(*name),
            ),
        )
        status = await self.attestations.heard(policy, status)
        if await self._write("EscalationPolicy", policy, status):
            self.attestations.tell(policy, status)
        for kind in ("Ready", "Attested"):
            self._post_if_changed(policy, status, kind)
        ready, now = condition(status.conditions, "Ready"), self.clock.now()
        after = CHECK_READY if ready and ready.status == "True" else CHECK_UNREADY
        reviewed_by = policy.spec.review_by
        due = reviewed_by if reviewed_by and reviewed_by > now else now + after
        self.at("policy", name, min(due, now + after))

    async def _targets_of(self, policy: EscalationPolicy) -> Mapping[str, TargetView | NoTarget]:
        """How the targets are: where nothing is wrong with them once a minute, whatever else wakes the policy."""
        name = Name(policy.metadata.namespace, policy.metadata.name)
        version, now = (policy.metadata.uid, policy.metadata.generation), self.clock.monotonic()
        known = self._seen.pop(name, None)
        if known and known.version == version and now - known.since < LOOK_AGAIN.total_seconds():
            look = known
        else:
            targets = {model.name: model.target for model in policy.spec.models if model.target}
            found = {
                model: await self.targets.view(name.namespace, one, history=False) for model, one in targets.items()
            }
            look = _Look(version, now, found)
        if all(isinstance(view, TargetView) and not view.lacking for view in look.views.values()):
            self._seen[name] = look
        return look.views

    def look(self, name: Name) -> None:
        """A target of the policy has come or gone: look at it at the next occasion."""
        self._seen.pop(name, None)

    def _post_if_changed(self, policy: EscalationPolicy, status: EscalationPolicyStatus, kind: str) -> None:
        found, before = condition(status.conditions, kind), condition(policy.status.conditions, kind)
        if found is None or (before and (before.status, before.reason) == (found.status, found.reason)):
            return
        if kind == "Attested" and status.attestation is None:  # most policies never are: that is no news
            return
        type_: Literal["Normal", "Warning"] = "Normal" if found.status == "True" else "Warning"
        self.posting.post("EscalationPolicy", policy.metadata, Event(type_, found.reason, found.message))

    def guard(self, policy: EscalationPolicy) -> dict[str, str]:
        """Have the policy evaluated, unless an older one guards the same target; names that one by model."""
        taken = self._taken_targets(policy)
        if taken:
            self.rounds.forget(Name(policy.metadata.namespace, policy.metadata.name))
        else:
            self.rounds.guard(policy)
        return taken

    async def work_responder(self, name: Name) -> None:
        """Check the Responder and write its status if that has changed."""
        responder, now = self.store.responder(*name), self.clock.now()
        if responder is None:
            return
        status = report_responder(responder, self.store.responders(name.namespace), now)
        await self._write("Responder", responder, status)
        if told_by(responder) != told_by(responder.model_copy(update={"status": status})):
            for wake in of_responder(self.store, name):  # our own write comes back as no news
                if wake.key.work == "policy":
                    self.at("policy", Name(*wake.key.about[:2]), now)
        self.at("responder", name, min(status.until or now + CHECK_READY, now + CHECK_READY))

    async def work_template(self, name: Name) -> None:
        """Check the template and write its status if that has changed; in a thread, as long texts take their time."""
        template = self.store.template(*name)
        if template is not None:
            status = await asyncio.to_thread(report_template, template, self.clock.now())
            await self._write("MessageTemplate", template, status)

    def _taken_targets(self, policy: EscalationPolicy) -> dict[str, str]:
        """By model: the older policy of the namespace that names the same target."""
        mine = {model.target: model.name for model in policy.spec.models if model.target}
        if not mine:
            return {}
        namespace, taken = policy.metadata.namespace, {}
        for target, model in mine.items():
            others = [self.store.policy(*name) for name in self.store.policies_on(namespace, target)]
            older = [one for one in others if one and one.metadata.uid != policy.metadata.uid]
            first = min((policy, *older), key=_seniority)
            if first is not policy:
                taken[model] = first.metadata.name
        return taken

    async def _write(self, kind: str, thing: Any, status: Any) -> bool:
        """Write a status if it has changed; whether it stands now, which it does not when the object is gone."""
        before, after = thing.status.dump(), status.dump()
        if before == after:
            return True
        if not self.leads(0.0):
            raise Unlucky("the lease was lost")
        if not thing.status.conditions:
            before = {}
        where = path(thing.api_version, PLURALS[kind], thing.metadata.namespace, thing.metadata.name)
        try:
            raw = await write_status(self.api, PLURALS[kind], thing.metadata, before, after)
        except NoAnswer:
            self.telemetry.wrote("status", "unanswered")
            raise
        except ApiError as refused:
            self.telemetry.wrote("status", "refused")
            if refused.code == 404:
                return False
            if refused.code == 409:  # the next try rests on what is there now, if that is newer
                self.store.put(kind, await self.api.get(where))
            raise
        self.telemetry.wrote("status", "accepted")
        if raw is not None:
            self.store.put(kind, raw)
        return True


def _seniority(policy: EscalationPolicy) -> tuple[str, str]:
    created = policy.metadata.creation_timestamp
    return (created.isoformat() if created else "", policy.metadata.name)
