"""What was there before a model was contained: evidence comes before action.

EU AI Act Art. 73(6) forbids to alter a system, before the authority is told, so that causes can no longer be evaluated.
"""

from __future__ import annotations

import json
from typing import Any

from tocsin.api.incident import IncidentStatus, Snapshot, SnapshotSignal
from tocsin.api.objects import clip
from tocsin.decide.situation import Situation, TargetView
from tocsin.decide.story import tell
from tocsin.decide.workload import canonical, sha256

TEMPLATE = 8192
"""So many characters of the template are kept."""


def keep_snapshot(s: Situation, status: IncidentStatus, view: TargetView) -> IncidentStatus:
    """Keep what is there, once an episode; the digests stand in the story too, which outlives the episode."""
    if status.snapshot is not None:
        return status
    taken = _taken(s, view)
    line = f"snapshot: {taken.target} at revision {taken.revision}, template {taken.template_digest or 'unknown'}"
    return tell(status.model_copy(update={"snapshot": taken}), s.now, [line])


def _taken(s: Situation, view: TargetView) -> Snapshot:
    current = next((one for one in view.revisions if one.template_hash == view.current_hash), None)
    template = without_values(view.template_json)
    return Snapshot(
        time=s.now,
        target=f"{view.what} {view.uid}",
        revision=f"{current.number} {current.name}" if current else "",
        images=tuple(clip(image, 253) for image in view.images[:16]),
        template_digest=view.template_digest or None,
        replicas=view.replicas,
        template=clip(template, TEMPLATE),
        signals=tuple(_signal(s, signal.name) for signal in s.rules.signals),
    )


def _signal(s: Situation, name: str) -> SnapshotSignal:
    memory = s.signals.get(name)
    last = memory.last if memory else None
    return SnapshotSignal(
        name=name,
        value=last.value if last else None,
        samples=last.samples if last else None,
        time=memory.last_at if memory else None,
    )


def without_values(template: str) -> str:
    """The template with each literal environment value as its digest: whoever reads incidents need not know secrets."""
    if not template:
        return ""
    found: dict[str, Any] = json.loads(template)
    for kind in ("containers", "initContainers"):
        for container in found.get("spec", {}).get(kind) or []:
            for variable in container.get("env") or []:
                if "value" in variable:
                    variable["value"] = sha256(variable["value"])
    return canonical(found)
