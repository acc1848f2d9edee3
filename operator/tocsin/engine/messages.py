"""The work on one message: hear people, write what they decided, and only then let the words go out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from tocsin.act.notify.courier import Courier
from tocsin.act.notify.outlet import Outlet
from tocsin.act.status import write_status
from tocsin.api.message import Message, MessageStatus, PartState
from tocsin.api.objects import API_VERSION
from tocsin.api.template import MessageTemplate
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.message_situation import Broadcast, MessagePlan, MessageSituation, Sending, unheard
from tocsin.decide.messages import is_over, plan_message
from tocsin.decide.plan import Notify
from tocsin.decide.situation import Outcome, Trust
from tocsin.engine.incidents import Unlucky
from tocsin.engine.posting import Posting
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

log = structlog.get_logger()


@dataclass(slots=True)
class Messages:
    """Everything that the work on a message needs."""

    api: ApiServer
    clock: Clock
    store: Store
    courier: Courier
    outlet: Outlet
    posting: Posting
    telemetry: Telemetry
    namespace: str
    """The operator's own: its templates are everybody's."""
    leads: Callable[[float], bool]
    may_send: Callable[[float], bool]
    """Whether enough of the lease is left to send what has waited for so many seconds: no server guards it."""
    trust: Callable[[bool], Awaitable[tuple[Trust, datetime | None]]]
    """Whether Decisions can be trusted and since when; with True it is read anew."""
    again: Callable[[Name], None]
    tell: Callable[[Message], None]
    """Have its incident keep up with it: what we wrote ourselves comes back from the watch as no news."""
    _sendings: dict[Name, dict[str, Sending]] = field(default_factory=dict)
    _outcomes: dict[Name, dict[str, Outcome]] = field(default_factory=dict)
    """What came of deliveries and notices and is not in a status yet."""
    _intended: set[str] = field(default_factory=set)
    """The deliveries that this process has intended: of any other, one that died may have sent it."""
    _under_way: dict[Name, set[str]] = field(default_factory=dict)
    """The notices that the courier has."""

    def waits(self, message: Message) -> bool:
        """Whether a message has something left to do, for a leader that has just begun."""
        return not is_over(message.status) or bool(unheard(message, self.store.decisions_about(message)))

    async def work(self, name: Name) -> None:
        """Bring the message as far as it goes now; raises ApiError, NoAnswer or Unlucky for what passes."""
        message = self.store.message(name)
        if message is None or message.metadata.deletion_timestamp:
            self._forget(name)
            return
        situation = await self._situation(name, message)
        decided = plan_message(situation)
        written = await self._write(message, decided.status)
        if written is None:
            self._forget(name)
            return
        self._forget_reports(name, situation)
        self._act(name, message.status, written, decided)

    async def _situation(self, name: Name, message: Message) -> MessageSituation:
        decisions = self.store.decisions_about(message)
        trust, since = await self.trust(bool(unheard(message, decisions)))
        return MessageSituation(
            now=self.clock.now(),
            message=message,
            roster=self.store.responders(name.namespace),
            decisions=decisions,
            authorisations=self.store.authorised(message),
            template=self._template_of(message),
            trust=trust,
            trusted_since=since,
            sendings=dict(self._sendings.get(name, {})),
            outcomes=dict(self._outcomes.get(name, {})),
        )

    def _template_of(self, message: Message) -> MessageTemplate | None:
        """Its template, where templates are looked for: its own namespace and the operator's, no other."""
        reference = message.spec.template_ref
        if reference.namespace not in (message.metadata.namespace, self.namespace):
            return None
        return self.store.template(reference.namespace, reference.name)

    async def _write(self, message: Message, status: MessageStatus) -> Message | None:
        """Write the status, guarded by the version that the decision rests on; None when the message is gone.

        An edit that came in between makes it fail, and is decided on anew: nothing was sent yet.
        """
        before, after = message.status.dump() if message.status.digest else {}, status.dump()
        if message.status.digest and message.status == status:
            return message
        if not self.leads(0.0):
            raise Unlucky("the lease was lost")
        metadata = message.metadata
        try:
            raw = await write_status(self.api, "messages", metadata, before, after)
        except NoAnswer:
            self.telemetry.wrote("status", "unanswered")
            await self._read(message)
            raise
        except ApiError as refused:
            self.telemetry.wrote("status", "refused")
            if refused.code == 404:
                return None
            if refused.code == 409:
                await self._read(message)
            raise
        self.telemetry.wrote("status", "accepted")
        if raw is None:
            return message
        self.store.put("Message", raw)
        written = Message.model_validate(raw)
        self.tell(written)
        return written

    async def _read(self, message: Message) -> None:
        metadata = message.metadata
        raw = await self.api.get(path(API_VERSION, "messages", metadata.namespace, metadata.name))
        self.store.put("Message", raw)
        self.tell(Message.model_validate(raw))

    def _act(self, name: Name, before: MessageStatus, written: Message, decided: MessagePlan) -> None:
        """Send what the written status intends; one that is on its way already keeps its turn."""
        if written.status.release != before.release and written.status.release:
            fresh = {one.key for one in before.release.parts} if before.release else set()
            self._intended |= {one.key for one in written.status.release.parts} - fresh
        for event in decided.events:
            self.posting.post("Message", written.metadata, event)
            log.info("message", message=name.name, namespace=name.namespace, what=event.message)
        due = {effect.key for effect in decided.effects if isinstance(effect, Notify)}
        for key in self._under_way.pop(name, set()) - due:
            self.courier.withdraw(key)
        for effect in decided.effects:
            match effect:
                case Notify():
                    self._under_way.setdefault(name, set()).add(effect.key)
                    self._notify(name, effect)
                case Broadcast():
                    self._broadcast(name, effect)

    def _notify(self, name: Name, effect: Notify) -> None:
        def report(outcome: Outcome) -> None:
            self.telemetry.effect("notify", outcome.result)
            if outcome.result == "Done":
                self._under_way.get(name, set()).discard(effect.key)
            self._outcomes.setdefault(name, {})[effect.key] = outcome
            state = PartState.SENT if outcome.result == "Done" else PartState.INTENDED
            sending = Sending(effect.key, state, outcome.at, outcome.message, over=state is PartState.SENT)
            self._sendings.setdefault(name, {})[effect.key] = sending
            self.again(name)

        responder = self.store.responder(name.namespace, effect.notice.responder)
        self.courier.submit(effect, responder, self.may_send, report)

    def _broadcast(self, name: Name, effect: Broadcast) -> None:
        def report(sending: Sending) -> None:
            self.telemetry.effect("release", sending.state.value)
            self._sendings.setdefault(name, {})[sending.key] = sending
            self.again(name)

        perhaps = effect.perhaps or effect.key not in self._intended
        self.outlet.submit(replace(effect, perhaps=perhaps), self.may_send, report)

    def _forget_reports(self, name: Name, situation: MessageSituation) -> None:
        """What the written status holds; other reports came in meanwhile."""
        for known, told in ((self._sendings, situation.sendings), (self._outcomes, situation.outcomes)):
            mine = known.get(name, {})
            for key, one in told.items():
                if mine.get(key) is one:
                    del mine[key]
            if not mine:
                known.pop(name, None)

    def _forget(self, name: Name) -> None:
        """A message that is gone is told to nobody any more."""
        for key in self._under_way.pop(name, set()):
            self.courier.withdraw(key)
        self._sendings.pop(name, None)
        self._outcomes.pop(name, None)
