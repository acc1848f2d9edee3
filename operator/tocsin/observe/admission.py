"""Whether the admission policy and binding that make a Decision trustworthy stand unchanged, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tocsin.api.quantities import parse_time
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.decide.situation import Trust

_API = "admissionregistration.k8s.io/v1"
_PLURALS = {"policy": "validatingadmissionpolicies", "binding": "validatingadmissionpolicybindings"}
ENFORCED_AFTER = timedelta(seconds=5)
"""An API server enforces a new binding a second later, and creation times are cut to seconds."""


async def trust(api: ApiServer, expected: Mapping[str, Any]) -> tuple[Trust, datetime | None, str]:
    """Compare what the API server enforces with what the chart rendered.

    ``expected`` is the chart's ``admission.json``: ``policy`` and ``binding``, each with ``name`` and ``spec``.
    The instant, given only with TRUSTED, is since when both were surely enforced as they are: an older Decision is
    void, for what was weakened meanwhile vouches for nobody.
    The text says what differs. Raises NoAnswer, and ApiError but for what is missing or may not be read.
    """
    since: list[datetime] = []
    for part, plural in _PLURALS.items():
        name = expected[part]["name"]
        try:
            live = await api.get(path(_API, plural, name=name))
        except ApiError as refused:
            if refused.code in (403, 404):
                return Trust.MISSING, None, f"{plural}/{name}: {refused.reason}"
            raise
        if changed := difference(expected[part]["spec"], live.get("spec", {}), "spec"):
            return Trust.CHANGED, None, f"{plural}/{name}: {changed}"
        written = written_at(live["metadata"])
        if written is None:
            return Trust.CHANGED, None, f"{plural}/{name}: spec was written anew, and managedFields do not say when"
        since.append(written)
    return Trust.TRUSTED, max(since) + ENFORCED_AFTER, ""


def written_at(metadata: Mapping[str, Any]) -> datetime | None:
    """When a spec was last written; None when that cannot be told.

    The generation moves with the spec alone; with the first one, whatever else was written since is of no account.
    """
    if metadata.get("generation", 1) == 1:
        return parse_time(metadata["creationTimestamp"])
    entries = [entry for entry in metadata.get("managedFields", []) if not entry.get("subresource")]
    return max((parse_time(entry["time"]) for entry in entries if "time" in entry), default=None)


def difference(expected: Any, live: Any, where: str) -> str:
    """The first place where two values differ, in words; empty when they are equal.

    What the API server fills in is empty, and an empty value says the same as an absent one.
    """
    if isinstance(expected, dict) and isinstance(live, dict):
        for name in sorted(expected.keys() | live.keys()):
            if found := difference(expected.get(name), live.get(name), f"{where}.{name}"):
                return found
        return ""
    if isinstance(expected, list) and isinstance(live, list) and len(expected) == len(live):
        pairs = enumerate(zip(expected, live, strict=True))
        return next((found for at, (one, other) in pairs if (found := difference(one, other, f"{where}[{at}]"))), "")
    if expected == live or (_empty(expected) and _empty(live)):
        return ""
    if _empty(live):
        return f"{where} is missing"
    return f"{where} is set, and the chart does not set it" if _empty(expected) else f"{where} was changed"


def _empty(value: Any) -> bool:
    return value is None or value == {} or value == []
