"""The incident's own story: lines that are added, the oldest dropped and counted, never the last word lost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tocsin.api.incident import IncidentStatus, TimelineEntry
from tocsin.api.objects import clip

LINES = 80
LINE = 300
"""So many characters has a line; what is cut stands in the Decision, or on the option."""


def tell(status: IncidentStatus, now: datetime, lines: Iterable[str]) -> IncidentStatus:
    """Add lines to the timeline; past its bound the oldest go, after the first, which says how it began."""
    added = tuple(TimelineEntry(time=now, what=clip(line, LINE)) for line in lines)
    if not added:
        return status
    timeline = status.timeline + added
    excess = max(0, len(timeline) - LINES)
    if excess:
        timeline = timeline[:1] + timeline[1 + excess :]
    return status.model_copy(update={"timeline": timeline, "timeline_dropped": status.timeline_dropped + excess})
