"""How many models may be contained without asking people: the blast radius, by namespace, policy and cluster."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tocsin.api.quantities import format_duration, format_time, parse_time
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.settings import BudgetSettings

_TRIES = 10
"""So often a reservation is tried, because that of another leader came first."""
_STORM = "storm"
"""The line that says when a limit was last reached by one too many; no UID is called so."""
_RENEWED = 4
"""A storm that goes on is written down again after this part of its cooldown: not for each of a thousand."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """One ConfigMap in the operator's namespace: incident UID → when it reserved, and for which policy."""

    name: str
    whose: str
    """Whose models are counted, in words."""
    limit: int
    of: str
    """The namespace that it is about; empty for the cluster."""


class BudgetLedger:
    """One ledger for each guarded namespace, and one for the cluster where its models are counted."""

    def __init__(self, api: ApiServer, namespace: str, settings: BudgetSettings) -> None:
        self._api = api
        self._namespace = namespace
        self._settings = settings
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reserve(self, namespace: str, policy: str, incident_uid: str, now: datetime) -> str:
        """Have room for this incident to contain without asking, or say why there is none.

        Once reserved it stays so until the window has passed. Raises ApiError and NoAnswer; after either the same call
        may be made again. Room in the namespace comes first: what it refuses takes none from the cluster.
        """
        own = _Ledger(f"tocsin-budget-{namespace}", "this namespace", self._settings.containments, namespace)
        if crowded := await self._in_turn(own, policy, incident_uid, now):
            return crowded
        if self._settings.cluster_containments is None:
            return ""
        everybody = _Ledger("tocsin-budget.cluster", "this cluster", self._settings.cluster_containments, "")
        return await self._in_turn(everybody, "", incident_uid, now)

    async def _in_turn(self, ledger: _Ledger, policy: str, uid: str, now: datetime) -> str:
        async with self._turns[ledger.name]:
            for _ in range(_TRIES - 1):
                try:
                    return await self._reserve(ledger, policy, uid, now)
                except ApiError as refused:
                    if refused.code != 409:
                        raise
            return await self._reserve(ledger, policy, uid, now)

    async def _reserve(self, ledger: _Ledger, policy: str, uid: str, now: datetime) -> str:
        found = await self._read(ledger.name)
        data: dict[str, str] = (found or {}).get("data") or {}
        counted = {one: line.partition(" ")[2] for one, line in data.items() if self._counts(one, line, now)}
        if uid in counted:
            return ""
        if crowded := self._crowded(ledger, counted, policy):
            if found is not None:
                await self._note_storm(found, data, now)
            return crowded
        if stormy := self._stormy(data, now):
            return stormy
        entries = {uid: f"{format_time(now)} {policy}".rstrip()}
        if found is None:
            await self._create(ledger, entries)
            return ""
        released = dict.fromkeys(one for one in data.keys() - counted if one != _STORM or not self._stormy(data, now))
        await self._write(found, released | entries)
        return ""

    def _crowded(self, ledger: _Ledger, counted: Mapping[str, str], policy: str) -> str:
        """Which limit is reached, in words; empty when there is room."""
        window, mine = format_duration(self._settings.window), sum(one == policy for one in counted.values())
        if len(counted) >= ledger.limit:
            return f"the budget of {ledger.whose} is used up ({len(counted)} within {window})"
        limit = self._settings.policy_containments
        if policy and limit is not None and mine >= limit:
            return f"the budget of policy {policy} is used up ({mine} within {window})"
        return ""

    def _stormy(self, data: Mapping[str, str], now: datetime) -> str:
        """Whether a limit was passed not long ago, in words: too much breaks at once for a machine to judge."""
        at = _instant(data.get(_STORM, ""))
        cooldown = self._settings.storm_cooldown
        if at is None or now - at >= cooldown:
            return ""
        return f"a storm: less than {format_duration(cooldown)} ago more models asked than may be contained"

    async def _note_storm(self, found: Any, data: Mapping[str, str], now: datetime) -> None:
        at, cooldown = _instant(data.get(_STORM, "")), self._settings.storm_cooldown
        if cooldown and (at is None or now - at >= cooldown / _RENEWED):
            await self._write(found, {_STORM: format_time(now)})

    def _counts(self, name: str, line: str, now: datetime) -> bool:
        """Whether a reservation is younger than the window; one that somebody made unreadable is given up."""
        at = _instant(line.partition(" ")[0])
        return name != _STORM and at is not None and now - at < self._settings.window

    async def _read(self, name: str) -> Any:
        try:
            return await self._api.get(path("v1", "configmaps", self._namespace, name))
        except ApiError as refused:
            if refused.code == 404:
                return None
            raise

    async def _write(self, found: Any, data: Mapping[str, str | None]) -> None:
        name, version = found["metadata"]["name"], found["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version}, "data": dict(data)}
        await self._api.merge(path("v1", "configmaps", self._namespace, name), change)

    async def _create(self, ledger: _Ledger, entries: dict[str, str]) -> None:
        labels = {"app.kubernetes.io/managed-by": "tocsin"}
        if ledger.of:
            labels["tocsin.dev/budget-of"] = ledger.of
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ledger.name, "namespace": self._namespace, "labels": labels},
            "data": entries,
        }
        await self._api.create(path("v1", "configmaps", self._namespace), body)


def _instant(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
