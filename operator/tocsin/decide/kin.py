"""Which incidents have one upstream cause? The oldest of them pages for all, for as long as it is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.api.incident import IncidentStatus
from tocsin.decide.situation import TOGETHER, Relative, Situation
from tocsin.decide.story import tell

SILENT = timedelta(hours=1)
"""So long an incident is silent for a parent of another namespace."""
FEW = 3
"""So many models of one upstream are no chance."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Family:
    """The incident that pages, and what is upstream of all."""

    parent: str
    upstream: str


def find_family(me: Relative, others: Iterable[Relative]) -> Family | None:
    """The family that an incident without a parent belongs to; that of the first upstream that has one.

    The parent is the oldest of three or more distinct models that opened within ten minutes, or the parent of that one.
    """
    known = tuple(others)
    for upstream in me.upstream:
        line = sorted((me, *(one for one in known if upstream in one.upstream)), key=_age)
        for place, first in enumerate(line):
            near = [one for one in line[place:] if one.opened_at - first.opened_at < TOGETHER]
            if me in near and len({(one.namespace, one.model) for one in near}) >= FEW:
                return Family(first.parent or first.name, upstream)
    return None


def _age(one: Relative) -> tuple[datetime, str, str]:
    return one.opened_at, one.namespace, one.name


def adopt(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Find the incident's parent, or lose it; a living one stays, and one that has children gets none."""
    status = status if status.parent and s.parent_lives else _with_parent(s, status)
    until = silent_until(s, status)
    alone = until is not None and until <= s.now
    lines = [f"it pages for itself: {status.parent} has been open for long"] if alone > status.pages_itself else []
    update = {"children": at_least(s.children), "pages_itself": alone}
    return tell(status.model_copy(update=update), s.now, lines)


def silent_until(s: Situation, status: IncidentStatus) -> datetime | None:
    """Until when the parent pages in its place; None for as long as it is open, because it is of the same namespace.

    Anybody may write what is upstream of a model, so that no other team can keep this one asleep for longer.
    """
    foreign = status.parent and not status.parent.startswith(f"{s.incident.metadata.namespace}/")
    return min(status.opened_time, s.now) + SILENT if foreign and status.opened_time else None


def _with_parent(s: Situation, status: IncidentStatus) -> IncidentStatus:
    me = _myself(s, status)
    family = find_family(me, s.kin) if me and not s.children else None
    parent = family.parent if family and me and family.parent != me.name else None
    upstream = family.upstream if family else s.shared if s.children else None
    lines = []
    if status.parent and status.parent != parent:
        lines.append(f"its parent {status.parent} is over")
    if parent and status.parent != parent:
        lines.append(f"incident {parent} pages for it: both fail of {upstream}")
    return tell(status.model_copy(update={"parent": parent, "upstream": upstream}), s.now, lines)


def _myself(s: Situation, status: IncidentStatus) -> Relative | None:
    metadata = s.incident.metadata
    if status.opened_time is None or not s.rules.model.upstream:
        return None
    return Relative(
        name=f"{metadata.namespace}/{metadata.name}",
        namespace=metadata.namespace,
        model=s.rules.model.name,
        opened_at=status.opened_time,
        upstream=s.rules.model.upstream,
    )


def at_least(count: int) -> int:
    """The number rounded down to 1, 2 or 5 times a power of ten: a parent of thousands is written a few times only."""
    steps: Sequence[int] = [step * 10**power for power in range(len(str(count))) for step in _STEPS]
    return max((step for step in steps if step <= count), default=0)
