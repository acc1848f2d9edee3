"""Does one tenant who floods slow down what is done for the others?"""

from __future__ import annotations

from typing import Any

from tests.bench.contain import courses_of
from tests.bench.floor import Measure
from tests.bench.ground import BAD, GOOD, Ground, a_spec, names
from tests.bench.results import Result, quantile
from tests.bench.unrest import editing
from tests.cluster.proxy import Call, Delay
from tests.e2e.stage import ACCURACY
from tocsin.settings import Tenancy

SLOW = 8.0
"""Seconds that the tenant's slow query takes: just within the time-out, past which it would be quarantined."""
MARK = "flooding"
"""In every query of the tenant, so that no answer to one is taken for one that decided about others."""


def flood(ground: Ground, models: int, breaches: int) -> list[Result]:
    """Others' containments, first alone, then while a tenant edits, breaches and asks slowly, all at once."""
    others, tenant = ground.street("others"), ground.street("tenant")
    crowd, mob, floor = names(2 * models), names(breaches, "f"), Measure(ground)
    for street, all_of_it in ((others, crowd), (tenant, mob)):
        street.voices()
        street.receivers("owners")
        street.say(all_of_it, GOOD)
    others.deployments(crowd)
    with ground.operator(tenancy=Tenancy.NAMESPACE):
        others.policies(crowd)
        tenant.policies(mob, _flooding)
        ground.metrics.rule(Delay(SLOW), methods={"GET", "POST"}, times=None, where=_is_slow)
        for street in (others, tenant):
            street.measured()
        alone = courses_of(others, crowd[:models], floor, MARK)
        with editing(tenant, mob) as edits:
            tenant.say(mob, BAD)
            beside = courses_of(others, crowd[models:], floor, MARK)
    for street in (others, tenant):
        street.close()
    r = floor.floor.r
    calm, rough = [one.seconds for one in alone], [one.seconds for one in beside]
    p50, p99 = (quantile(rough, share) / quantile(calm, share) for share in (0.5, 0.99))
    edited = len(edits) / (edits[-1] - edits[0])
    return [
        Result(
            case="flood",
            row=11,
            what=f"others' containments while one tenant edits {edited:.0f} times a second, has {breaches} breaches and"
            f" a query of {SLOW:.0f} s",
            target="p99 ≤ 1.2 × that of row 3 without the tenant",
            measured=f"p50 {p50:.1f} ×, p99 {p99:.1f} × (alone {quantile(calm, 0.5) / r:.1f} r and"
            f" {quantile(calm, 0.99) / r:.1f} r; n = {models} each)",
            met=p99 <= 1.2,
            how="as row 3, for the models of another namespace, before and during the flood",
            numbers={"r": r, "alone": calm, "beside": rough, "edits": len(edits), "floor": floor.samples},
        )
    ]


def _is_slow(call: Call) -> bool:
    return f"{MARK}-slowly" in call.path or f"{MARK}-slowly".encode() in call.body


def _flooding(model: str) -> dict[str, Any]:
    """Nothing to contain; the first of them asks a query of its own, which is slow."""
    mark = f"{MARK}-slowly" if model == names(1, "f")[0] else MARK
    spec = a_spec(model) | {"models": [{"name": model}], "containment": []}
    query = ACCURACY.replace("{", f'{{tenant!="{mark}",')
    return spec | {"signals": [spec["signals"][0] | {"query": query}]}
