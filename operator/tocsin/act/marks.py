"""How a revision is marked as healthy."""

from __future__ import annotations

from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.decide.situation import Revision
from tocsin.decide.workload import HEALTHY, mark_of


async def mark_healthy(api: ApiServer, namespace: str, kind: str, revision: Revision) -> bool:
    """Mark what keeps the revision of a workload of this kind, and say whether it stands; raises ApiError and NoAnswer.

    It does not stand when that very object is gone. Marking twice changes nothing.
    """
    metadata = {"uid": revision.uid, "annotations": {HEALTHY: mark_of(revision.uid, revision.template_hash)}}
    try:
        await api.merge(path("apps/v1", WORKLOADS[kind].keeps, namespace, revision.name), {"metadata": metadata})
    except ApiError as refused:
        if refused.code in {404, 409, 422}:
            return False
        raise
    return True
