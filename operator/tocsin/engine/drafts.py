"""Drafting messages: beside the work on the incident, never in its way, and each of them once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from tocsin.api.incident import Incident
from tocsin.api.objects import API_VERSION, clip
from tocsin.api.policy import Rules
from tocsin.api.template import MessageTemplate
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.drafting import drafted
from tocsin.decide.plan import Draft
from tocsin.decide.rendering import Unrenderable
from tocsin.decide.situation import NotDrafted, Outcome
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

log = structlog.get_logger()

AT_ONCE = 4
LONGEST = 60.0
"""Seconds between two tries at most."""

Report = Callable[[Outcome], None]


@dataclass(slots=True)
class Drafts:
    """Everything that drafting needs; lives as long as this replica leads."""

    api: ApiServer
    clock: Clock
    store: Store
    telemetry: Telemetry
    namespace: str
    """The operator's own: its templates are everybody's."""
    leads: Callable[[float], bool]
    made: Callable[[Name], None]
    """Have a message worked on."""
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def version_of(self, namespace: str, template: str) -> str:
        """``<uid>/<generation>`` of the template of that name; empty when there is none."""
        found = self._template(namespace, template)
        return f"{found.metadata.uid}/{found.metadata.generation}" if found else ""

    def submit(self, incident: Incident, rules: Rules, effect: Draft, report: Report) -> None:
        """Begin to draft, and return at once; the outcome is reported when there is one."""
        if effect.key in self._tasks:
            return
        task = asyncio.create_task(self._make(incident, rules, effect, report), name=f"draft {effect.key}")
        self._tasks[effect.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(effect.key, None))

    async def close(self) -> None:
        """Stop; whoever leads then drafts what this one could not."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, incident: Incident, rules: Rules, effect: Draft, report: Report) -> None:
        wait = 0.5
        while self.leads(0.0):
            try:
                async with self._room:
                    outcome = await self._drafted(incident, rules, effect)
            except (ApiError, NoAnswer) as lost:
                code = lost.code if isinstance(lost, ApiError) else 0
                log.info("a message was not drafted, tried again", message=effect.name, code=code, wait=wait)
                await self.clock.sleep(wait)
                wait = min(2 * wait, LONGEST)
            else:
                self.telemetry.effect("draft", outcome.result)
                report(outcome)
                return

    async def _drafted(self, incident: Incident, rules: Rules, effect: Draft) -> Outcome:
        """Render and create it, or find that it is there; no word of it goes into a record or a log.

        It is rendered in a thread: long texts take their time.
        """
        namespace = incident.metadata.namespace
        template = self._template(namespace, effect.template)
        if template is None:
            where = namespace if namespace == self.namespace else f"{namespace} nor in {self.namespace}"
            message = f"there is no MessageTemplate {effect.template} in namespace {where}: create it"
            return self._lacks(effect, None, "TemplateNotFound", message)
        try:
            spec = await asyncio.to_thread(drafted, incident, rules, self.clock.now(), effect.key, template)
        except ValidationError as bad:
            where = ".".join(map(str, bad.errors()[0]["loc"]))
            return self._lacks(effect, template, "Invalid", f"what it gives is no message: {where}")
        if isinstance(spec, Unrenderable):
            return self._lacks(effect, template, spec.reason, spec.message)
        metadata = {"name": effect.name, "namespace": namespace}
        body = {"apiVersion": API_VERSION, "kind": "Message", "metadata": metadata, "spec": spec.dump()}
        where = path(API_VERSION, "messages", namespace)
        try:
            raw = await self.api.create(where, body)
        except ApiError as refused:
            if refused.code in (400, 422):
                return self._lacks(effect, template, "Invalid", f"the API server refuses it: {refused.reason}")
            if refused.code != 409:
                raise
            raw = await self.api.get(f"{where}/{effect.name}")
        if raw["spec"].get("key") != effect.key:
            return self._lacks(effect, template, "NameTaken", f"another message has the name {effect.name}: delete it")
        self.store.put("Message", raw)
        self.made(Name(namespace, effect.name))  # our own write comes back as no news
        return Outcome(effect.key, "Done", self.clock.now(), "drafted")

    def _lacks(self, effect: Draft, template: MessageTemplate | None, reason: str, message: str) -> Outcome:
        tried = f"{template.metadata.uid}/{template.metadata.generation}" if template else ""
        lacks = NotDrafted(reason, tried)
        return Outcome(effect.key, "Refused", self.clock.now(), clip(f"{reason}: {message}", 300), lacks=lacks)

    def _template(self, namespace: str, name: str) -> MessageTemplate | None:
        return self.store.template(namespace, name) or self.store.template(self.namespace, name)
