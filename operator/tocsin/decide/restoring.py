"""What an undo puts back, whether what we wrote is still there, and what to do by hand when it is not.

The number of replicas goes first and the autoscaler's fields last: an undo is done when they are, so that one that was
interrupted in between is seen, and finished.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from tocsin.api.containment import Target
from tocsin.api.incident import FieldStatus, OptionRecord, PinnedAutoscaler
from tocsin.decide.proposal import is_set, pinning
from tocsin.decide.situation import Autoscaler, FieldChange, Proposal, Refusal, TargetView


def pinned_by(proposal: Proposal) -> PinnedAutoscaler | None:
    """What has to be known of the autoscaler that a proposal pins, to give it back."""
    before = proposal.autoscaler
    if before is None:
        return None
    return PinnedAutoscaler(
        name=before.name,
        uid=before.uid,
        min_replicas=before.min_replicas,
        max_replicas=before.max_replicas,
        scale_up_policy=before.scale_up_policy,
    )


def to_put_back(record: OptionRecord, proposal: Proposal) -> dict[str, object]:
    """What an undo will put back: of two attempts the first, which has pinned the autoscaler, saw it as it was."""
    if record.pinned and proposal.autoscaler is None:
        return {}
    found: dict[str, object] = {"from_": proposal.from_, "pinned": pinned_by(proposal)}
    if proposal.action == "Pause":
        found["fields"] = tuple(FieldStatus(path=c.path, before=c.before, after=c.after) for c in proposal.fields)
    return found


def inverse(record: OptionRecord, view: TargetView) -> Proposal | Refusal:
    """What the undo of a containment would write, wherever the target is now; or what keeps us from it."""
    action, rolls = _action(record), record.type == "RollBack"
    if not {"RollBack": view.may_roll_back, "Scale": view.may_scale, "Pause": view.may_pause}[action]:
        why = f"Tocsin may not change {view.what}: it lacks the right to {', '.join(view.lacking)}"
        return Refusal("LatelyDenied" if view.lately_denied else "Forbidden", why)
    uids = [one.uid for one in view.revisions if one.template_hash == record.from_]
    if rolls and not uids:
        return Refusal("NoEarlierRevision", f"{view.what} no longer keeps the revision {record.from_}")
    return Proposal(
        option=record.name,
        action=action,
        class_=record.class_,
        target_uid=record.target_uid or "",
        target_kind=view.kind,
        target_name=view.name,
        from_=record.to or "",
        to=record.from_ or "",
        revision_uid=uids[0] if rolls else "",
        fields=tuple(FieldChange(one.path, one.before, one.after).back for one in record.fields),
        autoscaler=before_pinning(record),
    )


def _action(record: OptionRecord) -> Literal["RollBack", "Scale", "Pause"]:
    match record.type:
        case "RollBack" | "Pause":
            return record.type
        case _:
            return "Scale"


def rest_of(record: OptionRecord, view: TargetView) -> Proposal:
    """What is left of a rollback whose template is written already: the same, to the same."""
    return Proposal(
        option=record.name,
        action="RollBack",
        class_=record.class_,
        target_uid=view.uid,
        target_kind=view.kind,
        target_name=view.name,
        from_=record.from_ or "",
        to=record.to or "",
        summary=record.summary,
        digest=record.digest or "",
    )


def is_pinned(record: OptionRecord, view: TargetView) -> bool:
    """Whether the autoscaler is as this option pins it."""
    if record.pinned is None or view.uid != record.target_uid:
        return False
    return bool(unpinning(before_pinning(record), view.autoscaler, int(record.to or 0)))


def what_comes_back(record: OptionRecord, what: str) -> str:
    """What an undo of this option writes, in words, to that kind and name."""
    if record.type == "RollBack":
        return f"bring {what} from the template {record.to} back to {record.from_}"
    if record.type == "Pause":
        return f"resume {what} ({record.from_})"
    back = f"scale {what} from {record.to} back to {record.from_} replicas"
    return f"{back}, then restore {_fields(record)}" if record.pinned else back


def objection(proposal: Proposal, view: TargetView, marks: str) -> str:
    """Why what we wrote is not there any more as we wrote it; empty when it is, and may be taken back.

    ``marks`` is how the effect keys of the incident's episode begin. Of two rollbacks the first can be undone once the
    second was.
    """
    what = view.what
    if view.uid != proposal.target_uid:
        return f"{what} was deleted and made anew"
    if view.deleting:
        return f"{what} is being deleted"
    if proposal.action == "Scale":
        return _objection_to_number(proposal, view)
    if proposal.action == "Pause":
        return _objection_to_fields(proposal, view, marks)
    if view.current_hash != proposal.from_:
        return f"{what} has another template by now, no longer {proposal.from_}"
    if not (view.contained_by or view.undone_by).startswith(marks):
        return f"{what} has the template {proposal.from_}, but not by this incident any more"
    if view.paused:
        return f"{what} {view.paused}"
    return ""


def _objection_to_number(proposal: Proposal, view: TargetView) -> str:
    what, written = view.what, int(proposal.from_)
    pin = unpinning(proposal.autoscaler, view.autoscaler, written)
    if pin is None:
        return f"the autoscaler of {what} is not as we left it"
    if view.replicas != written and not pin:
        return f"{what} has replicas: {view.replicas}, no longer {written}"
    if view.replicas == written and not (view.scaled_by_us or pin):
        return f"{what} was scaled to {written} by somebody else"
    return ""


def _objection_to_fields(proposal: Proposal, view: TargetView, marks: str) -> str:
    """``fields`` is what the undo sets: they must still have what we gave them."""
    if not all(is_set(change.back, view) for change in proposal.fields):
        return f"{view.what} is no longer paused as we paused it"
    if not (view.contained_by or view.undone_by).startswith(marks):
        return f"{view.what} is paused, but not by this incident any more"
    return ""


def unpinning(before: Autoscaler | None, now: Autoscaler | None, replicas: int) -> dict[str, Any] | None:
    """The fields that give a pinned autoscaler back what it had; empty when there is nothing to give back.

    None when it is neither as it was pinned nor as it was before: somebody has given it other fields since.
    """
    if before is None or now is None or now.uid != before.uid:
        return {}
    if "behavior" in pinning(before, replicas):
        policy = before.scale_up_policy
        behavior = {"scaleUp": {"selectPolicy": policy}} if policy else None
        return {"behavior": behavior} if now.scale_up_disabled else {}
    limits = (now.min_replicas, now.max_replicas)
    if limits == (before.min_replicas, before.max_replicas):
        return {}
    restored = {"minReplicas": before.min_replicas, "maxReplicas": before.max_replicas}
    return restored if limits == (min(before.min_replicas, replicas), replicas) else None


def by_hand(record: OptionRecord, namespace: str, target: Target, view: TargetView | None = None) -> str:
    """How a person does what an undo would have done, after a look at what is there."""
    where = f"{target.kind.lower()}/{target.name} -n {namespace}"
    if record.type == "RollBack":
        numbers = [one.number for one in view.revisions if one.template_hash == record.from_] if view else []
        if view and not numbers:
            return f"by hand: apply the manifest from before; no revision {record.from_} is kept"
        number = numbers[0] if numbers else "<the revision before>"
        return f"by hand: kubectl rollout undo {where} --to-revision={number}"
    if record.type == "Pause":
        return f"by hand: kubectl patch {where} --type=merge -p '{_merge_patch(record)}'"
    scaling = f"by hand: kubectl scale {where} --replicas={record.from_}"
    return f"{scaling}, then restore {_fields(record)}" if record.pinned else scaling


def _merge_patch(record: OptionRecord) -> str:
    """What gives the fields back what they had (RFC 7386: null removes)."""
    patch: Any = {}
    for one in record.fields:
        *parents, last = one.path.lstrip("/").split("/")
        place = patch
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = None if one.before is None else json.loads(one.before)
    return json.dumps(patch)


def _fields(record: OptionRecord) -> str:
    """What the pinned autoscaler had, in words."""
    pinned = record.pinned
    assert pinned is not None, "asked only of a record that pinned one"
    if "behavior" in pinning(before_pinning(record), int(record.to or 0)):
        policy = f"behavior.scaleUp.selectPolicy {pinned.scale_up_policy}" if pinned.scale_up_policy else "no behavior"
        return f"HorizontalPodAutoscaler/{pinned.name} to {policy}"
    return (
        f"HorizontalPodAutoscaler/{pinned.name} to minReplicas {pinned.min_replicas} "
        f"and maxReplicas {pinned.max_replicas}"
    )


def before_pinning(record: OptionRecord) -> Autoscaler | None:
    """The autoscaler as it was before this option pinned it; None when it pinned none."""
    pinned = record.pinned
    if pinned is None:
        return None
    return Autoscaler(
        pinned.name, pinned.uid, pinned.min_replicas, pinned.max_replicas, scale_up_policy=pinned.scale_up_policy
    )
