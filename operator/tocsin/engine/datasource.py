"""A Prometheus server as a thing that can go wrong: one incident for it, in place of one for each model."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from tocsin.api.policy import EscalationPolicy
from tocsin.decide.situation import Measured, Memory
from tocsin.engine.health import Health
from tocsin.observe.cluster import Pair
from tocsin.settings import DatasourceSettings

SIGNAL = "reachable"


def pair_for(server: str, namespace: str) -> Pair:
    """The pair that stands for a server, in the operator's own namespace."""
    return Pair(namespace, f"prometheus-{server}", f"prometheus-{server}")


def policy_for(server: str, namespace: str, settings: DatasourceSettings) -> EscalationPolicy | None:
    """The policy of a server; None when the administrator named nobody to tell."""
    if not settings.responders:
        return None
    name = f"prometheus-{server}"
    signal = {
        "name": SIGNAL,
        "kind": "Custom",
        "query": "up",
        "warn": "< 1",
        "every": "1m",
        "for": settings.model_dump(mode="json")["after"],
        "recoverAfter": "1m",
        "noData": {"after": "24h", "then": "Hold"},
        "floor": "SEV3",
    }
    return EscalationPolicy.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "mode": "Observe",
                "prometheus": server,
                "models": [{"name": name}],
                "signals": [signal],
                "tiers": [
                    {
                        "name": "platform",
                        "severity": "SEV3",
                        "accountable": settings.responders[0],
                        "responsible": list(settings.responders[1:]),
                        "acknowledgeWithin": "15m",
                    }
                ],
            },
        }
    )


def memories_of(health: Health, at: datetime, after: timedelta) -> dict[str, Memory]:
    """What is remembered of a server, in the form in which signals are; ``after`` is how long it must fail."""
    down, up = health.down_since, health.up_since
    reading = Measured(Decimal(0) if down else Decimal(1), (("error", health.message),) if down else ())
    memory = Memory(
        at=at,
        reading=reading,
        last=reading,
        last_at=at,
        breaching_since=down,
        sustained_since=down + after if down and at - down >= after else None,
        pending=at - down if down else timedelta(),
        recovering=at - up if up else timedelta(),
        good_since=up,
    )
    return {SIGNAL: memory}
