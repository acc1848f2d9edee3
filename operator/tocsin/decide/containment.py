"""Which option of containment runs, asks, waits or has failed: one step of each option's life at a time.

Options are tried in order. Nothing of a higher class starts because it cannot be told whether a lower one helped, and
a time-out never undoes a containment: only a person does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.api.containment import Option
from tocsin.api.decision import Decision
from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import Severity, clip
from tocsin.api.policy import Mode
from tocsin.decide.approval import ordered
from tocsin.decide.executing import execute
from tocsin.decide.floor import below_floor, is_for_people
from tocsin.decide.hold import check_hold
from tocsin.decide.ledger import intend
from tocsin.decide.options import PASSING, REHEARSAL, Moved, brake, is_wanted, keep, key_of, never_again, paused_by_us
from tocsin.decide.people import authorisation
from tocsin.decide.plan import Contain, Undo
from tocsin.decide.proposal import action_class, propose
from tocsin.decide.restoring import to_put_back
from tocsin.decide.situation import Budget, NoTarget, Proposal, Refusal, Situation, TargetView
from tocsin.decide.snapshot import keep_snapshot
from tocsin.decide.standing import is_still_there
from tocsin.decide.undoing import follow, go_on
from tocsin.decide.watch import assess

MOST_ATTEMPTS = 5
"""Whatever else makes an option begin anew, for instance a policy that goes back and forth: the ledger has room for so
many of each."""
DONE_FOR = (
    OptionState.FAILED,
    OptionState.REFUSED,
    OptionState.REJECTED,
    OptionState.EXPIRED,
    OptionState.DID_NOT_HELP,
    OptionState.REVERTED,
    OptionState.UNDONE,
)
"""States after which the next option is considered."""
ASK_FIRST = ": a person must look first"
WARY = (OptionState.REJECTED, OptionState.REVERTED, OptionState.UNDONE)
"""States after which nothing further runs without a person's approval: somebody, or something, has objected."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a pass over the options comes to."""

    status: IncidentStatus
    effects: tuple[Contain | Undo, ...] = ()
    needs_budget: bool = False
    waits: bool = False
    """Whether an option waits for something that passes, and that nothing will tell of."""


def contain(s: Situation, status: IncidentStatus) -> Step:
    """Take the step that is due; at most one option is under way at a time."""
    view = s.target
    if not s.rules.containment or view is None:
        return Step(status)
    wary = status.cause == "Report"
    for option in s.rules.containment:
        before = next((record for record in status.containment if record.name == option.name), None)
        moved = _step(s, status, option, before, view, wary=wary)
        if isinstance(moved.effect, Contain) and not moved.effect.dry_run and isinstance(view, TargetView):
            status = keep_snapshot(s, status, view)
        status = keep(s, status, before, moved.record)
        if moved.needs_budget:
            return Step(status, needs_budget=True)
        if moved.effect:
            intent = EffectRecord(key=moved.effect.key, state=EffectState.INTENDED, intended_time=s.now)
            return Step(intend(status, intent), (moved.effect,))
        if moved.record is None or moved.record.state not in DONE_FOR:
            return Step(status, waits=moved.waits)
        if moved.record != before:
            status = assess(s, status)  # what failed makes it worse, and a worse incident needs more approvals
        wary = wary or moved.record.state in WARY
    return Step(status)


def _step(
    s: Situation,
    status: IncidentStatus,
    option: Option,
    record: OptionRecord | None,
    view: TargetView | NoTarget,
    *,
    wary: bool,
) -> Moved:
    if record is None:
        return _begin(s, status, option, view, wary=wary)
    match record.state:
        case OptionState.ASKING:
            return _ask(s, status, option, record, view, wary=wary)
        case OptionState.EXECUTING:
            return execute(s, status, option, record, view)
        case OptionState.EXECUTED | OptionState.HELPED | OptionState.CANNOT_TELL:
            return Moved(check_hold(s, status, record, view))
        case OptionState.UNDOING:
            return go_on(s, status, record, view)
        case OptionState.UNDONE:
            return Moved(follow(s, record, view))
        case OptionState.OBSERVED if s.mode is not Mode.ENFORCE:
            return Moved(record)
        case OptionState.OBSERVED | OptionState.NOT_NEEDED:
            begun = _begin(s, status, option, view, wary=wary, attempt=record.attempt)
            return begun if begun.record else Moved(record, waits=begun.waits)
        case _:
            return Moved(record)


def approvals_needed(option: Option, severity: Severity | None, *, wary: bool) -> int:
    """How many people must approve, by class and severity.

    A: none. B: none at SEV3 and SEV4 if the policy says so, else one. C: one, two at SEV1 and SEV2. The policy may
    ask for more, never for less.
    """
    severe = severity is not None and severity.at_least(Severity.SEV2)
    class_ = action_class(option)
    usual = 0 if class_ == "A" else 1
    asked = usual if option.approval.required is None else option.approval.required
    match class_:
        case "A":
            least = 0
        case "B":
            least = 1 if severe else 0
        case _:
            least = 2 if severe else 1
    return max(least, asked, 1 if wary else 0)


def _begin(
    s: Situation,
    status: IncidentStatus,
    option: Option,
    view: TargetView | NoTarget,
    *,
    wary: bool,
    attempt: int = 0,
) -> Moved:
    if not is_wanted(status) or brake(s, status):
        return Moved(None)
    if isinstance(view, NoTarget) and view.reason == "Unreadable":
        return Moved(None, waits=True)
    proposal = _propose(s, status, option, view)
    low = below_floor(s.rules.model, option, view)
    if isinstance(proposal, Refusal):
        passing = proposal.reason in PASSING
        return Moved(None if passing else _refused(option, proposal, attempt=attempt), waits=passing)
    record = OptionRecord(
        name=option.name,
        type=option.type,
        class_=proposal.class_,
        state=OptionState.ASKING,
        summary=proposal.summary,
        notes=_notes(proposal.notes, low),
        digest=proposal.digest,
        target_uid=proposal.target_uid,
        from_=proposal.from_,
        to=proposal.to,
        attempt=attempt,
        needs=approvals_needed(option, status.severity, wary=wary or bool(low)),
        asked_time=s.now,
        fail_safe_time=_after(s, option.approval.fail_safe_after),
        expire_time=_after(s, option.approval.expire_after),
    )
    if s.mode is Mode.OBSERVE:
        return _run(s, status, record, proposal, REHEARSAL)
    return _ask(s, status, option, record, view, wary=wary)


def _propose(s: Situation, status: IncidentStatus, option: Option, view: TargetView | NoTarget) -> Proposal | Refusal:
    if isinstance(view, NoTarget):
        return Refusal("Forbidden" if view.reason == "Forbidden" else "TargetMissing", view.message)
    return propose(option, view, never_again(s, status), paused_by_us(status, view))


def _refused(option: Option, refusal: Refusal, record: OptionRecord | None = None, attempt: int = 0) -> OptionRecord:
    blank = OptionRecord(
        name=option.name, type=option.type, class_=action_class(option), state=OptionState.REFUSED, attempt=attempt
    )
    return (record or blank).model_copy(
        update={"state": OptionState.REFUSED, "message": clip(f"{refusal.reason}: {refusal.message}", 1024)}
    )


def _ask(
    s: Situation,
    status: IncidentStatus,
    option: Option,
    record: OptionRecord,
    view: TargetView | NoTarget,
    *,
    wary: bool,
) -> Moved:
    if not is_wanted(status):
        return Moved(record.model_copy(update={"state": OptionState.NOT_NEEDED, "message": "the signal has recovered"}))
    if isinstance(view, NoTarget) and view.reason == "Unreadable":
        return Moved(record, waits=True)
    proposal = _propose(s, status, option, view)
    if isinstance(proposal, Refusal):
        passing = proposal.reason in PASSING
        return Moved(record if passing else _refused(option, proposal, record), waits=passing)
    if proposal.digest != record.digest:
        record = _asked_anew(s, option, record, proposal)
    record = record.model_copy(update={"notes": _notes(record.notes, below_floor(s.rules.model, option, view))})
    wary = wary or is_for_people(record.notes)
    needs = max(record.needs, approvals_needed(option, status.severity, wary=wary))
    approvals = tuple(one for one in record.approvals if is_still_there(s, status, one.by))
    record = record.model_copy(update={"needs": needs, "approvals": approvals})
    if brake(s, status):
        return Moved(record)
    if needs == 0:
        return _run_within_budget(s, status, record, proposal, "automatic")
    if len(record.approvals) >= needs:
        return _run(s, status, record, proposal, "approved by " + ", ".join(one.by for one in record.approvals))
    if broken := ordered(status, record):
        return _run(s, status, record, proposal, f"ordered by {broken.by} alone: {broken.reason}")
    standing = authorisation(s, option.name, s.rules.digests.get(option.name))
    if standing and record.class_ in ("C", "D") and not _stood_before(standing, status):
        standing = None
    due = record.fail_safe_time is None or record.fail_safe_time <= s.now
    if standing and due and not wary:
        under = f"authorisation {standing.metadata.name} by {standing.spec.by}"
        return _run_within_budget(s, status, record, proposal, under)
    if record.expire_time and record.expire_time <= s.now:
        given = f"{len(record.approvals)} of {needs} approvals"
        return Moved(record.model_copy(update={"state": OptionState.EXPIRED, "message": f"nobody decided: {given}"}))
    return Moved(record.model_copy(update={"message": _asking(record, standing is not None)}))


def _stood_before(standing: Decision, status: IncidentStatus) -> bool:
    """Whether an authorisation is older than the episode: else one person would decide alone what takes two."""
    created, opened = standing.metadata.creation_timestamp, status.opened_time
    return created is not None and opened is not None and created < opened


def _asking(record: OptionRecord, authorised: bool) -> str:
    text = f"{len(record.approvals)} of {record.needs} approvals"
    if record.fail_safe_time and not authorised:
        return f"{text}; it will not run by itself: no standing authorisation holds for this option"
    return text


def _notes(notes: tuple[str, ...], low: str) -> tuple[str, ...]:
    """What whoever approves should know, with why the floor leaves it to them."""
    return notes if not low or low in notes else (*notes, low)[-8:]


def _asked_anew(s: Situation, option: Option, record: OptionRecord, proposal: Proposal) -> OptionRecord:
    """What would be done has changed: the approvals were for something else, and are void."""
    return record.model_copy(
        update={
            "summary": proposal.summary,
            "notes": proposal.notes,
            "digest": proposal.digest,
            "target_uid": proposal.target_uid,
            **to_put_back(record, proposal),
            "to": proposal.to,
            "approvals": (),
            "asked_time": s.now,
            "fail_safe_time": _after(s, option.approval.fail_safe_after),
            "expire_time": _after(s, option.approval.expire_after),
        }
    )


def _run_within_budget(
    s: Situation, status: IncidentStatus, record: OptionRecord, proposal: Proposal, under: str
) -> Moved:
    """Run without a person's word, if the blast radius allows; else ask."""
    if s.mode is Mode.OBSERVE or s.budget is Budget.RESERVED:
        return _run(s, status, record, proposal, under)
    if s.budget is Budget.UNASKED:
        return Moved(record, needs_budget=True)
    note = next((one for one in record.notes if one.endswith(ASK_FIRST)), f"{s.crowded}{ASK_FIRST}")
    notes = record.notes if note in record.notes else (*record.notes, note)[-8:]
    return Moved(record.model_copy(update={"needs": max(1, record.needs), "notes": notes, "message": note}))


def _run(s: Situation, status: IncidentStatus, record: OptionRecord, proposal: Proposal, under: str) -> Moved:
    attempt = record.attempt + 1
    if attempt > MOST_ATTEMPTS:
        given_up = f"given up after {MOST_ATTEMPTS} attempts: act by hand"
        return Moved(record.model_copy(update={"state": OptionState.FAILED, "message": given_up}))
    rehearsal = s.mode is Mode.OBSERVE
    under = REHEARSAL if rehearsal else clip(under, 253)
    running = record.model_copy(
        update={
            "state": OptionState.EXECUTING,
            "attempt": attempt,
            **to_put_back(record, proposal),
            "under": under,
            "against": tuple(signal.name for signal in status.signals if signal.sustained),
            "message": "",
        }
    )
    return Moved(running, Contain(key=key_of(s, status, running), proposal=proposal, dry_run=rehearsal))


def _after(s: Situation, span: timedelta | None) -> datetime | None:
    return None if span is None else s.now + span
