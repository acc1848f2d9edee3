"""How a model is contained, and how that is taken back: two modules for each way of doing it."""

from __future__ import annotations

from tocsin.act.containment.workload import contain
from tocsin.act.containment.workload_undo import undo
from tocsin.api.objects import clip
from tocsin.apiserver import ApiServer
from tocsin.clock import Clock
from tocsin.decide.plan import Contain, Undo
from tocsin.decide.situation import Outcome


async def carry_out(api: ApiServer, namespace: str, effect: Contain | Undo, clock: Clock) -> Outcome:
    """Carry out a containment or its undo once, however often it is called, and say what came of it.

    Raises nothing of the API.
    """
    answer = await (
        undo(api, namespace, effect, clock) if isinstance(effect, Undo) else contain(api, namespace, effect, clock)
    )
    return Outcome(effect.key, answer.result, clock.now(), clip(answer.message, 1024))


__all__ = ["carry_out"]
