"""Which workloads can be contained, and what can be done to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of what serves a model."""

    api_version: str
    plural: str
    """As paths and rights name it."""
    keeps: str
    """The plural of what keeps its earlier templates, in ``apps/v1``; empty when nothing does."""
    hash_label: str
    """The label by which that tells which template it keeps."""
    can: tuple[str, ...]
    """The types of options that it can take."""

    @property
    def group(self) -> str:
        """Its API group, as rights name it."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version of its API group."""
        return self.api_version.rpartition("/")[2]

    @property
    def resource(self) -> str:
        """Its plural with its group, as ``kubectl auth can-i`` takes it."""
        return f"{self.plural}.{self.group}"


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        "Deployment": Workload(
            "apps/v1", "deployments", "replicasets", "pod-template-hash", ("RollBack", "Scale", "Pause")
        ),
        "StatefulSet": Workload(
            "apps/v1",
            "statefulsets",
            "controllerrevisions",
            "controller.kubernetes.io/hash",
            ("RollBack", "Scale", "Pause"),
        ),
        "DaemonSet": Workload(
            "apps/v1", "daemonsets", "controllerrevisions", "controller-revision-hash", ("RollBack", "Pause")
        ),
        "CronJob": Workload("batch/v1", "cronjobs", "", "", ("Pause",)),
    }
)
"""By kind. A DaemonSet has as many pods as there are nodes: there is no number to set. A CronJob
has none at all: what is held is its schedule."""
