"""The last look before a containment: at what is never frozen, the policy's mode and the brake on the namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.decide.situation import Situation
from tocsin.observe.cluster import HOLD_LABEL, Pair, Store


async def braked(
    api: ApiServer, store: Store, pair: Pair, situation: Situation, policy_of: Callable[[Pair], EscalationPolicy | None]
) -> bool:
    """Read both, keep them in the store, and tell whether the decision knew less; raises ApiError and NoAnswer."""
    where = path("v1", "namespaces", name=pair.namespace)
    namespace, policy = await asyncio.gather(api.get(where), _read_policy(api, pair))
    labels = namespace["metadata"].get("labels", {})
    if HOLD_LABEL in labels:
        store.holds[pair.namespace] = labels[HOLD_LABEL] or "held"
    else:
        store.holds.pop(pair.namespace, None)
    if policy is not None:
        store.put("EscalationPolicy", policy)
    living = policy_of(pair)
    mode = living.spec.mode if living else situation.rules.mode
    return (mode, store.holds.get(pair.namespace, "")) != (situation.mode, situation.namespace_hold)


async def _read_policy(api: ApiServer, pair: Pair) -> Any:
    try:
        return await api.get(path(API_VERSION, "escalationpolicies", pair.namespace, pair.policy))
    except ApiError as gone:
        if gone.code == 404:
            return None
        raise
