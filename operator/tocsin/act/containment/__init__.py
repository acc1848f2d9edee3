"""How a model is contained: one module per kind of workload."""

from __future__ import annotations

from tocsin.act.containment.deployment import contain
from tocsin.api.objects import clip
from tocsin.apiserver import ApiServer
from tocsin.clock import Clock
from tocsin.decide.plan import Contain
from tocsin.decide.situation import Outcome


async def carry_out(api: ApiServer, namespace: str, effect: Contain, clock: Clock) -> Outcome:
    """Carry out a containment once, however often it is called, and say what came of it; raises nothing of the API."""
    answer = await contain(api, namespace, effect, clock)
    return Outcome(effect.key, answer.result, clock.now(), clip(answer.message, 1024))


__all__ = ["carry_out"]
