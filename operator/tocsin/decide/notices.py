"""Who is told what: one notice per role and pass, out of what has changed."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import clip
from tocsin.api.policy import Rules
from tocsin.decide.approval import unsettled
from tocsin.decide.clocks import clock_news, open_ones
from tocsin.decide.folding import ASKED, DEPUTY, is_quiet
from tocsin.decide.holding import hold_back, name_of, release
from tocsin.decide.ledger import intend, parts_of
from tocsin.decide.pasting import Part, describing, next_command
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.roster import Duty, on_duty
from tocsin.decide.silences import is_mild
from tocsin.decide.situation import Situation
from tocsin.decide.story import tell
from tocsin.decide.tiers import accountable_of, is_led, stands_alone, tier_of
from tocsin.decide.wording import headline, text_of

MOST, AGAIN = 90, 100
"""So many notices fit into an episode's ledger of 200 lines, and so many with those that page somebody again; the entry
of every tier always finds room after these."""
OF_CLOCKS, MOST_OF_ALL = 120, 195
"""Past so many lines those of older notices about clocks make room, and past so many there is none at all."""
CLOCK = ":clock"
"""At the end of a role's name in the ledger: what is told of legal clocks, which goes on after the end of the incident
and belongs together at a pager apart from the rest. It is never folded nor held back, and always finds room."""

_NOT_CONTAINED = (OptionState.FAILED, OptionState.DID_NOT_HELP, OptionState.REFUSED, OptionState.EXPIRED)


def plan_notices(s: Situation, before: IncidentStatus, status: IncidentStatus) -> IncidentStatus:
    """Intend a notice for each role that has something to hear: its tier was entered, or the story went on.

    A new episode begins a new story: everybody who is entered in it is told. Clocks go on through it.
    """
    changed = _steadiness(before, status)
    if status.episode != before.episode:
        before = IncidentStatus(clocks=before.clocks)
    news = (*_news(before, status), *changed)
    alone = stands_alone(before, status)
    for tier in status.tiers:
        entered = not any(known.name == tier.name for known in before.tiers)
        known = next((known for known in before.tiers if known.name == tier.name), None)
        expired = known is not None and known.renewals != tier.renewals
        causes = (*(["TierEntered"] if entered else []), *(["AcknowledgementExpired"] if expired else []), *news)
        if alone and not entered and tier.acknowledged_time is None:
            causes = ("OnItsOwn", *causes)
        if tier.missed != (known.missed if known else ()) and any(
            tier.name == last.name for last in s.rules.tiers[-1:]
        ):
            causes = (*causes, "Missed")
        rule = tier_of(s.rules, tier.name)
        if rule is None:
            continue
        accountable = accountable_of(tier, rule)
        handed = accountable != (accountable_of(known, rule) if known else rule.accountable)
        for responder in dict.fromkeys((accountable, *rule.roles)):
            accepted = ("HandedOver",) if handed and responder in (accountable, rule.accountable) else ()
            status = _intend(s, status, f"{tier.name}.{responder}", (*causes, *accepted))
        if tier.handed_over and tier.handed_over != (known.handed_over if known else None):
            status = _intend(s, status, f"{tier.name}.{tier.handed_over.to}", ("HandOver",))
        if tier.deputy:
            paged = () if known and known.deputy else ("DeputyPaged",)
            status = _intend(s, status, f"{tier.name}.{accountable}{DEPUTY}", (*paged, *causes))
        ticks = clock_news(before, status)
        for responder in dict.fromkeys((accountable, rule.accountable, *rule.responsible)) if ticks else ():
            status = _line(s, _with_room(status), f"{tier.name}.{responder}{CLOCK}", ticks)
    return release(s, status)


def _news(before: IncidentStatus, status: IncidentStatus) -> tuple[str, ...]:
    """What the people who are in should hear, in the order of the options."""
    old = {record.name: record for record in before.containment}
    found: list[str] = []
    for record in status.containment:
        was = old.get(record.name)
        found += _option_news(was, record)
    if len(unsettled(status)) > len(unsettled(before)):
        found.append("GlassBroken")
    if any(one.overdue for one in unsettled(status)) and not any(one.overdue for one in unsettled(before)):
        found.append("Unapproved")
    if status.classification != before.classification:
        found.append("Classified")
    if status.recovered_time and not before.recovered_time:
        found.append("Recovered")
    if status.resolved_time and not before.resolved_time:
        found.append("Resolved")
    return tuple(dict.fromkeys(found))


def _steadiness(before: IncidentStatus, status: IncidentStatus) -> tuple[str, ...]:
    """Whether people should hear that it begins to flap, after which they do not hear of each change, or is steady."""
    if not is_mild(status) or status.resolved_time or bool(before.flapping_since) == bool(status.flapping_since):
        return ()
    return ("Flapping",) if status.flapping_since else ("Steady",)


def _option_news(was: OptionRecord | None, record: OptionRecord) -> Iterable[str]:
    changed = was is None or was.state is not record.state
    if was is not None and was.state is OptionState.UNDOING and changed:
        yield "Undone" if record.state is OptionState.UNDONE else "NotUndone"
        return
    match record.state:
        case OptionState.ASKING if was is None or (was.digest != record.digest) or changed:
            yield "ApprovalNeeded"
        case OptionState.CANNOT_TELL if changed:
            yield "CannotTell"
        case OptionState.REVERTED if changed:
            yield "Reverted"
        case OptionState.OBSERVED if changed:
            yield "Rehearsed"
        case state if state in _NOT_CONTAINED and changed:
            yield "NotContained"
        case _:
            pass
    if record.settled_time and (was is None or was.settled_time is None):
        yield "Contained"


def _intend(s: Situation, status: IncidentStatus, name: str, causes: tuple[str, ...]) -> IncidentStatus:
    """Intend a notice to a tier's role, or to its deputy, unless there is nothing to tell; a parent pages for it."""
    asked = tuple(cause for cause in causes if cause in ASKED)
    if asked and is_led(status):
        status = _line(s, status, name, asked)
        causes = tuple(cause for cause in causes if cause not in ASKED)
    return _line(s, status, name, causes) if causes else status


def _line(s: Situation, status: IncidentStatus, name: str, causes: tuple[str, ...]) -> IncidentStatus:
    """One line of the ledger, if there is room."""
    sent = [record for record in status.effects if name_of(record.key) == name]
    room = MOST_OF_ALL if name.endswith(CLOCK) else AGAIN if ASKED.intersection(causes) else MOST
    if len(status.effects) >= room and "TierEntered" not in causes:
        line = "no more notices in this episode: the ledger is full, read the incident itself"
        told = any(entry.what == line for entry in status.timeline)
        return status if told else tell(status, s.now, [line])
    record = EffectRecord(
        key=f"{s.incident.metadata.uid}/{status.episode}/notify/{name}/{_number_after(sent)}",
        causes=causes,
        state=EffectState.INTENDED,
        severity=status.severity,
        intended_time=s.now,
    )
    if is_led(status) and ASKED.issuperset(causes):
        record = _folded(s, record, status.parent or "", f"both fail of {status.upstream}")
    elif (heard := [one for one in sent if one.state is not EffectState.SILENCED]) and (
        is_quiet(causes) and all(one.into for one in heard)
    ):
        record = _folded(s, record, heard[-1].into or "", "nothing was opened")
    else:
        record = hold_back(s, status, record)
    return intend(status, record)


def _with_room(status: IncidentStatus) -> IncidentStatus:
    """With room in the ledger for what is told of clocks: the oldest of such lines goes that a channel has accepted.

    The last of each role stays: the next one's number follows from it.
    """
    if len(status.effects) < OF_CLOCKS:
        return status
    last = {name_of(one.key): one.key for one in status.effects}
    for one in status.effects:
        name = name_of(one.key)
        if name.endswith(CLOCK) and one.state is EffectState.DONE and last[name] != one.key:
            return status.model_copy(update={"effects": tuple(two for two in status.effects if two != one)})
    return status


def _folded(s: Situation, record: EffectRecord, into: str, why: str) -> EffectRecord:
    """A notice that is not sent, because the page of another incident stands for it."""
    message = f"folded into the page for incident {into}: {why}"
    return record.model_copy(update={"state": EffectState.DONE, "done_time": s.now, "into": into, "message": message})


def _number_after(sent: list[EffectRecord]) -> int:
    """The number of the next notice: older lines of the ledger may have made room, the last one is there."""
    return int(parts_of(sent[-1].key)[2]) + 1 if sent else 1


def due_notices(s: Situation, status: IncidentStatus) -> tuple[Notify, ...]:
    """The notices that were intended and not accepted yet; the text says what is true now."""
    found = []
    for record in status.effects:
        name = name_of(record.key)
        waits = record.state in (EffectState.INTENDED, EffectState.UNDELIVERED) and record.key not in s.under_way
        if not name or not record.causes or not waits:
            continue
        tier, _, responder = name.partition(".")
        found.append(Notify(record.key, _notice(s, status, record, tier, responder), record.intended_time))
    return tuple(found)


def _notice(s: Situation, status: IncidentStatus, record: EffectRecord, tier: str, name: str) -> Notice:
    metadata, responder = s.incident.metadata, _role_of(name)
    ticks = name.endswith(CLOCK)
    part, duty = _part(s.rules, status, tier, responder), _addressee(s, status, tier, name)
    subject = f"{status.severity} {s.rules.model.name}: {headline(status, record.causes, part)}"
    return Notice(
        key=record.key,
        namespace=metadata.namespace,
        incident=metadata.name,
        model=s.rules.model.name,
        severity=status.severity or "SEV4",
        responder=duty.role if duty else responder,
        person=duty.member.user if duty else "",
        cause=" ".join(record.causes),
        subject=clip(subject, 200),
        text=text_of(s, status, record, tier, part, duty),
        command=describing(s) if ticks else next_command(s, status, tier, part),
        resolves=not open_ones(status) if ticks else status.resolved_time is not None,
        dedup=f"{metadata.uid}/{tier}.{name}",
    )


def _role_of(name: str) -> str:
    """The Responder of what the ledger calls a reader."""
    return name.removesuffix(DEPUTY).removesuffix(CLOCK)


def _part(rules: Rules, status: IncidentStatus, tier: str, responder: str) -> Part:
    """What a role has to do with a tier; the most that it is named for."""
    rule, entered = tier_of(rules, tier), next((one for one in status.tiers if one.name == tier), None)
    if rule is None or responder == (accountable_of(entered, rule) if entered else rule.accountable):
        return "accountable"
    if entered and entered.handed_over and entered.handed_over.to == responder:
        return "successor"
    if responder in rule.responsible:
        return "responsible"
    return "consulted" if responder in rule.consulted else "informed"


def _addressee(s: Situation, status: IncidentStatus, tier: str, name: str) -> Duty | None:
    """Who is told of a role: who is on duty there now, or the deputy who was paged; None when nobody is there."""
    duty = on_duty(s.roster, _role_of(name), s.now)
    deputies = [one.deputy for one in status.tiers if one.name == tier and name.endswith(DEPUTY)]
    if not deputies or duty is None:
        return duty
    members = s.roster[duty.role].spec.members
    return next((Duty(duty.role, member) for member in members if member.user in deputies), duty)
