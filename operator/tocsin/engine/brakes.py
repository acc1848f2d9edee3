"""The last look before a containment: at what no incident freezes, the policy's mode and freezes, and the labels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.decide.freezes import freeze_in_force
from tocsin.decide.situation import Situation
from tocsin.observe.cluster import Pair, Store, holds_from


async def braked(
    api: ApiServer,
    store: Store,
    home: str,
    pair: Pair,
    situation: Situation,
    policy_of: Callable[[Pair], EscalationPolicy | None],
    now: Callable[[], datetime],
) -> bool:
    """Read them, keep them in the store, and tell whether the decision knew less; raises ApiError and NoAnswer.

    ``home`` is the operator's own namespace, whose brake is everybody's. A freeze may have begun since the decision: it
    counts as it is when they have been read.
    """
    names = {home, pair.namespace}
    reads = [api.get(path("v1", "namespaces", name=name)) for name in names]
    policy, *namespaces = await asyncio.gather(_read_policy(api, pair), *reads)
    for name in names:
        store.holds.pop(name, None)
    store.holds.update(holds_from(namespaces))
    if policy is not None:
        store.put("EscalationPolicy", policy)
    living = policy_of(pair)
    mode = living.spec.mode if living else situation.rules.mode
    holds = tuple(store.holds.get(name, "") for name in (pair.namespace, home))
    freeze = freeze_in_force(living.spec.freezes if living else (), now())
    known = (situation.namespace_hold, situation.cluster_hold)
    return (mode, freeze, holds) != (situation.mode, freeze_in_force(situation.freezes, situation.now), known)


async def _read_policy(api: ApiServer, pair: Pair) -> Any:
    try:
        return await api.get(path(API_VERSION, "escalationpolicies", pair.namespace, pair.policy))
    except ApiError as gone:
        if gone.code == 404:
            return None
        raise
