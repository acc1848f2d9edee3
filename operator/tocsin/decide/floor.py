"""Would a containment leave a model with too little? Then only people may approve it."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.api.containment import Option
from tocsin.api.incident import IncidentStatus, OptionRecord
from tocsin.api.policy import PolicyModel
from tocsin.decide.approval import ordered
from tocsin.decide.situation import NoTarget, TargetView

BY_A_PERSON = ": only a person may approve it"


def below_floor(model: PolicyModel, option: Option, view: TargetView | NoTarget) -> str:
    """Why a person must approve the option, in words that no count moves; empty when nobody need.

    A number of replicas must not be below the floor; a rollout must not start while fewer than it are available. A
    pause takes none away.
    """
    if option.type == "Pause":
        return ""
    floor = model.floor.min_available if model.floor else 0
    if option.scale is not None:
        left = option.scale.replicas
        leaves = f"it would leave {left} replica{'' if left == 1 else 's'}, below the floor of {floor}"
        return f"{leaves}{BY_A_PERSON}" if left < floor else ""
    if isinstance(view, NoTarget) or view.available_replicas >= floor:
        return ""
    return f"fewer replicas than the floor of {floor} were available, too few to start from{BY_A_PERSON}"


def is_for_people(notes: Sequence[str]) -> bool:
    """Whether an option was found to go below the floor: it then stays with people, as approvals never get fewer."""
    return any(note.endswith(BY_A_PERSON) for note in notes)


def agreed_by_people(status: IncidentStatus, record: OptionRecord) -> bool:
    """Whether it runs on the word of people who knew what it does now, and not of a rule or an authorisation."""
    return len(record.approvals) >= max(1, record.needs) or ordered(status, record) is not None
