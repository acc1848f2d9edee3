"""Which workloads can be contained, and what can be done to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of ``apps/v1``."""

    plural: str
    """As paths and rights name it."""
    keeps: str
    """The plural of what keeps its earlier templates, in ``apps/v1`` too."""
    hash_label: str
    """The label by which that tells which template it keeps."""
    can: tuple[str, ...]
    """The types of options that it can take."""


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        "Deployment": Workload("deployments", "replicasets", "pod-template-hash", ("RollBack", "Scale", "Pause")),
        "StatefulSet": Workload(
            "statefulsets", "controllerrevisions", "controller.kubernetes.io/hash", ("RollBack", "Scale", "Pause")
        ),
        "DaemonSet": Workload("daemonsets", "controllerrevisions", "controller-revision-hash", ("RollBack", "Pause")),
    }
)
"""By kind. A DaemonSet has as many pods as there are nodes: there is no number to set."""
