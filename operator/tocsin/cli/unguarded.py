"""The workloads that say that they are a model, and that no policy of their namespace guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy
from tocsin.api.workload import WORKLOADS

MODEL_LABEL = "tocsin.dev/model"
"""On a workload: that it serves a model, and which."""


@dataclass(frozen=True, slots=True)
class Unguarded:
    """A workload that serves a model which no policy guards."""

    kind: str
    metadata: Metadata
    model: str

    def dump(self) -> dict[str, Any]:
        """What a program gets of it."""
        named = {"name": self.metadata.name, "namespace": self.metadata.namespace, "labels": {MODEL_LABEL: self.model}}
        return {"apiVersion": WORKLOADS[self.kind].api_version, "kind": self.kind, "metadata": named}


def unguarded(kind: str, workloads: Sequence[Any], policies: Sequence[EscalationPolicy]) -> list[Unguarded]:
    """Those of one kind that no policy of their namespace names, by target or model; an empty label is its own name."""
    targets = {
        (policy.metadata.namespace, model.target.api_version, model.target.kind, model.target.name)
        for policy in policies
        for model in policy.spec.models
        if model.target
    }
    models = {(policy.metadata.namespace, model.name) for policy in policies for model in policy.spec.models}
    found = []
    for raw in workloads:
        metadata = Metadata(name=raw["metadata"]["name"], namespace=raw["metadata"]["namespace"])
        model = raw["metadata"]["labels"][MODEL_LABEL] or metadata.name
        target = (metadata.namespace, WORKLOADS[kind].api_version, kind, metadata.name)
        if target not in targets and (metadata.namespace, model) not in models:
            found.append(Unguarded(kind, metadata, model))
    return found
