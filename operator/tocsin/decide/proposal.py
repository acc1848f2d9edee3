"""What exactly an option would write to the target as it is now, or why it cannot be done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, assert_never

from tocsin.api.containment import Option, RollBack
from tocsin.api.incident import OptionRecord
from tocsin.api.objects import clip
from tocsin.api.workload import WORKLOADS
from tocsin.decide.situation import Autoscaler, FieldChange, Proposal, Refusal, Revision, TargetView
from tocsin.decide.workload import canonical, sha256

_IMAGES_SHOWN = 200
"""So many characters of image names fit into a summary."""


def propose(
    option: Option, view: TargetView, contained: frozenset[str], paused: FieldChange | None = None
) -> Proposal | Refusal:
    """What the option would write.

    ``contained`` are the template hashes that are never chosen again; ``paused`` is how this incident has paused the
    target, which a rollback takes back in the same write.
    """
    what = view.what
    if view.deleting:
        return Refusal("TargetDeleting", f"{what} is being deleted")
    if view.owner:
        return Refusal(
            "TargetOwned", f"{what} is controlled by {view.owner}, which would undo this: act on {view.owner}"
        )
    match option.type:
        case "RollBack":
            return _roll_back(option, view, contained, paused)
        case "Scale":
            return _scale(option, view)
        case "Pause":
            return _pause(option, view)
        case _:
            assert_never(option.type)


def action_class(option: Option) -> Literal["A", "B", "C", "D"]:
    """How far it reaches, by domain.md §4.

    A pause touches nothing that runs; a rollback or fewer replicas is wide and reversible; none stops service.
    """
    if option.type == "Pause":
        return "A"
    return "C" if option.scale is not None and option.scale.replicas == 0 else "B"


def holds(record: OptionRecord, view: TargetView) -> bool:
    """Whether what was written is still there."""
    match record.type:
        case "RollBack":
            return view.current_hash == record.to
        case "Pause":
            return all(is_set(FieldChange(one.path, one.before, one.after), view) for one in record.fields)
        case _:
            return str(view.replicas) == record.to


def is_set(change: FieldChange, view: TargetView) -> bool:
    """Whether a field has the value that the change gave it."""
    now = view.pause
    return now is not None and (now.path, now.before) == (change.path, change.after)


def pinning(autoscaler: Autoscaler | None, replicas: int) -> dict[str, Any]:
    """The fields of an autoscaler's spec to write, so that it leaves that number alone; empty when it does anyway.

    At zero an autoscaler whose minimum is 1 or more disables itself; one that may scale to zero also scales up again.
    """
    if autoscaler is None or autoscaler.scale_up_disabled:
        return {}
    if replicas == 0:
        return {} if autoscaler.min_replicas else {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}
    if autoscaler.max_replicas <= replicas:
        return {}
    return {"minReplicas": min(autoscaler.min_replicas, replicas), "maxReplicas": replicas}


def _pause(option: Option, view: TargetView) -> Proposal | Refusal:
    what, pause = view.what, view.pause
    if not view.may_pause:
        return _forbidden(f"pause {what}", view, f"patch {WORKLOADS[view.kind].resource}")
    if view.paused or pause is None or pause.before == pause.after:
        return Refusal("AlreadyThere", f"{what} {view.paused or 'is paused already'}")
    if view.settled and WORKLOADS[view.kind].keeps:
        return Refusal("AlreadyThere", f"{what} is not being rolled out: a pause would change nothing of what runs")
    if WORKLOADS[view.kind].keeps:
        summary = f"pause {what} with {view.updated_replicas} of {view.replicas} pods updated ({pause.becomes})"
        note = "what is rolled out so far goes on serving; a rollback of this policy resumes it, else somebody must"
    else:
        summary = f"suspend {what} ({pause.becomes})"
        note = "runs that have started go on, and what they made stays; no other starts until somebody resumes it"
    return _proposal(option, view, from_=pause.was, to=pause.becomes, fields=(pause,), summary=summary, notes=(note,))


def _roll_back(
    option: Option, view: TargetView, contained: frozenset[str], paused: FieldChange | None
) -> Proposal | Refusal:
    what = view.what
    current = next((one for one in view.revisions if one.template_hash == view.current_hash), None)
    if not view.may_roll_back:
        return _forbidden(f"roll {what} back", view, f"patch {WORKLOADS[view.kind].resource}")
    if view.paused and not paused:
        return Refusal("TargetPaused", f"{what} {view.paused}")
    if current is None:
        return Refusal("RollingOut", f"{what} has a template that its controller has not taken up yet")
    others = [one for one in view.revisions if one.template_hash != current.template_hash]
    uncontained = [one for one in others if one.template_hash not in contained]
    open_to_us = [one for one in uncontained if not one.unfit]
    earlier = [one for one in open_to_us if one.number < current.number]
    healthy = [one for one in open_to_us if one.healthy]
    notes = []
    if (option.roll_back or RollBack()).to == "LastHealthy":
        if healthy:
            earlier = healthy
        else:
            notes.append("no revision to go back to is marked healthy: the previous one was chosen")
    unfit = [one for one in uncontained if one.unfit]
    if not earlier and unfit:
        newest = max(unfit, key=lambda one: one.number)
        return Refusal("RevisionUnfit", f"{what} has none left but {_words(newest)}, and {newest.unfit}")
    if not earlier:
        barred = len(others) - len(open_to_us)
        return Refusal(
            "NoEarlierRevision",
            f"{what} has no revision to go back to: besides the present one {len(others)} are kept, "
            f"{barred} of them contained by an incident",
        )
    chosen = max(earlier, key=lambda one: one.number)
    passed = [one for one in unfit if chosen.number < one.number < current.number]
    notes += [f"{_words(one)} was passed over: {one.unfit}" for one in passed[-1:]]
    if sorted(chosen.images) == sorted(view.images):
        notes.append("the images are the same in both revisions: the rollback may not help")
    resumed = f", and resume it ({paused.was})" if paused else ""
    written: dict[str, Any] = {"revision": chosen.uid} | ({"resumed": paused.was} if paused else {})
    notes.append("a rollback restores the pod template, not ConfigMaps, Secrets or files that the model loads")
    return _proposal(
        option,
        view,
        from_=view.current_hash,
        to=chosen.template_hash,
        revision_uid=chosen.uid,
        fields=(paused.back,) if paused else (),
        summary=f"roll {what} back from {_words(current)} to {_words(chosen)}{resumed}",
        notes=notes,
        written=written,
    )


def _scale(option: Option, view: TargetView) -> Proposal | Refusal:
    assert option.scale is not None, "the API requires scale with type Scale"
    what, replicas, autoscaler = view.what, option.scale.replicas, view.autoscaler
    if not view.may_scale:
        return _forbidden(f"scale {what}", view, f"patch {WORKLOADS[view.kind].resource}/scale")
    if view.replicas <= replicas:
        return Refusal(
            "AlreadyThere", f"{what} has {view.replicas} replicas: scaling to {replicas} would take none away"
        )
    pin = pinning(autoscaler, replicas)
    summary, notes = f"scale {what} from {view.replicas} to {replicas} replicas", []
    if autoscaler and pin:
        summary += f", after pinning HorizontalPodAutoscaler/{autoscaler.name} ({_change(autoscaler, replicas)})"
        notes.append(f"HorizontalPodAutoscaler/{autoscaler.name} stays pinned until somebody restores it")
    elif autoscaler and replicas == 0:
        notes.append(f"HorizontalPodAutoscaler/{autoscaler.name} does nothing while there are 0 replicas")
    written: dict[str, Any] = {"autoscaler": {"uid": autoscaler.uid, "spec": pin}} if autoscaler and pin else {}
    # An autoscaler moves the number all the time: it would void every approval, and nobody approved that number.
    return _proposal(
        option,
        view,
        from_=str(view.replicas),
        to=str(replicas),
        autoscaler=autoscaler if pin else None,
        summary=summary,
        notes=notes,
        written=written,
        agreed_from="" if autoscaler else None,
    )


def _proposal(
    option: Option,
    view: TargetView,
    *,
    from_: str,
    to: str,
    notes: Iterable[str],
    written: Mapping[str, Any] = MappingProxyType({}),
    agreed_from: str | None = None,
    **fields: Any,
) -> Proposal:
    """A proposal for this target, with the digest of what people agree on: ``agreed_from`` if that is not ``from_``."""
    agreed = from_ if agreed_from is None else agreed_from
    what = {"action": option.type, "target": view.uid, "from": agreed, "to": to, "written": dict(written)}
    return Proposal(
        option=option.name,
        action=option.type,
        class_=action_class(option),
        target_uid=view.uid,
        target_kind=view.kind,
        target_name=view.name,
        from_=from_,
        to=to,
        notes=(*notes, *_reverted(view)),
        digest=sha256(canonical(what)),
        **fields,
    )


def _change(autoscaler: Autoscaler, replicas: int) -> str:
    if replicas == 0:
        return "no scaling up"
    return f"at most {replicas} instead of {autoscaler.max_replicas}"


def _forbidden(deed: str, view: TargetView, right: str) -> Refusal:
    why = f"Tocsin may not {deed}: it lacks the right to {', '.join(view.lacking) or right}"
    return Refusal("LatelyDenied", why) if view.lately_denied else Refusal("Forbidden", why)


def _reverted(view: TargetView) -> tuple[str, ...]:
    if not view.git_owner:
        return ()
    return (f"{view.git_owner} applies {view.what} from Git and may revert this: change it there too",)


def _words(revision: Revision) -> str:
    return f"revision {revision.number} ({clip(', '.join(revision.images), _IMAGES_SHOWN)})"
