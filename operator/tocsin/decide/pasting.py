"""What somebody should do next, as a command that works with nothing but kubectl."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Literal

from tocsin.api.decision import DecisionType
from tocsin.api.incident import IncidentStatus, OptionState
from tocsin.api.objects import API_VERSION, Severity
from tocsin.api.quantities import format_time
from tocsin.decide.approval import unsettled
from tocsin.decide.situation import Situation

Part = Literal["accountable", "successor", "responsible", "consulted", "informed"]
"""What a role has to do with a tier: RACI, and whoever is asked to take over."""


def next_act(status: IncidentStatus, tier: str, part: Part) -> tuple[DecisionType, dict[str, str]] | None:
    """The Decision that somebody with this part in the tier should write next, if any."""
    asking = next((record for record in status.containment if record.state is OptionState.ASKING), None)
    entered = next((one for one in status.tiers if one.name == tier), None)
    if status.resolved_time or part in ("consulted", "informed"):
        return None
    if part == "successor":
        return DecisionType.ACCEPT, {}
    if entered and entered.acknowledged_time is None:
        return DecisionType.ACKNOWLEDGE, {}
    if asking:
        return DecisionType.APPROVE, {"option": asking.name, "digest": asking.digest or ""}
    if broken := next(iter(unsettled(status)), None):
        return DecisionType.APPROVE, {"option": broken.option, "digest": broken.digest}
    return (DecisionType.RESOLVE, {}) if status.recovered_time else None


PLUGIN = {
    DecisionType.ACCEPT: "accept",
    DecisionType.ACKNOWLEDGE: "ack",
    DecisionType.APPROVE: "approve",
    DecisionType.RESOLVE: "resolve",
}


def next_command(s: Situation, status: IncidentStatus, tier: str, part: Part) -> str:
    """What somebody with this part in the tier should do next, as a command that works with nothing but kubectl."""
    if status.resolved_time:
        return ""
    act = next_act(status, tier, part)
    if act:
        return _command(s, status, *act)
    return describing(s)


def describing(s: Situation) -> str:
    """How to see the whole incident."""
    return f"kubectl describe incident {s.incident.metadata.name} -n {s.incident.metadata.namespace}"


_WHOEVER, _WHY = "whoever pastes it", "why they do"
_WHOAMI = "kubectl auth whoami -o jsonpath={.status.userInfo.username}"
"""Before 1.36 no admission policy can fill ``by`` in."""
_ASK = "printf 'Why? ' >&2; read -r why; "
_TYPED = """printf %s "$why" | tr -d '\\\\"'"""
"""What was typed, without what would end the text in JSON."""
LESSON = timedelta(days=14)
"""Within which the post-mortem is due, if whoever pastes the command does not change it."""


def _command(s: Situation, status: IncidentStatus, kind: DecisionType, fields: dict[str, str]) -> str:
    """A Decision under the own name; where a reason is required, it is asked for."""
    metadata = s.incident.metadata
    spec: dict[str, Any] = {
        "type": kind,
        "by": _WHOEVER,
        "incidentRef": {"name": metadata.name, "uid": metadata.uid},
        **fields,
    }
    asks = kind in (DecisionType.APPROVE, DecisionType.RESOLVE)
    if asks:
        spec["reason"] = _WHY
    if kind is DecisionType.RESOLVE and status.severity and status.severity.at_least(Severity.SEV2):
        owner = status.lead.user if status.lead else _WHOEVER
        spec["postMortem"] = {"owner": owner, "dueTime": format_time(s.now + LESSON)}
    decision = {
        "apiVersion": API_VERSION,
        "kind": "Decision",
        "metadata": {"generateName": f"{kind.lower()}-", "namespace": metadata.namespace},
        "spec": spec,
    }
    text = json.dumps(decision, separators=(",", ":")).replace(_WHOEVER, f"'\"$({_WHOAMI})\"'")
    text = text.replace(_WHY, f"'\"$({_TYPED})\"'")
    return f"{_ASK if asks else ''}echo '{text}' | kubectl create -f -"
