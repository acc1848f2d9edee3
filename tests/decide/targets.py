"""Which targets do decisions meet in tests? Workloads of which only what matters is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tocsin.api.containment import Option, RollBack, Scale
from tocsin.decide.situation import Autoscaler, Revision, TargetView

LAST_HEALTHY = Option(name="last-healthy", type="RollBack")
PREVIOUS = Option(name="previous", type="RollBack", roll_back=RollBack(to="Previous"))
STOP = Option(name="stop", type="Scale", scale=Scale(replicas=0))
TO_TWO = Option(name="fewer", type="Scale", scale=Scale(replicas=2))
FROM_ZERO = Autoscaler("hpa", "hpa-uid", min_replicas=0, max_replicas=9)
FROM_ONE = replace(FROM_ZERO, min_replicas=1)
FROM_THREE = replace(FROM_ZERO, min_replicas=3)


def revision(number: int, *, healthy: bool = False, image: str = "") -> Revision:
    return Revision(
        uid=f"uid-{number}",
        name=f"fraud-h{number}",
        number=number,
        template_hash=f"h{number}",
        images=(image or f"fraud:{number}",),
        healthy=healthy,
    )


def a_view(*revisions: Revision, **changes: Any) -> TargetView:
    """Three replicas of the newest revision; of two plain revisions unless others are given."""
    kept = revisions or (revision(1), revision(2))
    view = TargetView(
        kind="Deployment",
        uid="the-uid",
        name="fraud",
        resource_version="100",
        generation=4,
        observed_generation=4,
        replicas=3,
        running_replicas=3,
        updated_replicas=3,
        current_hash=kept[-1].template_hash,
        revisions=kept,
        images=kept[-1].images,
    )
    return replace(view, **changes)
