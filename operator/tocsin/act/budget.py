"""How many models of one namespace may be contained without asking people: the blast radius."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime
from typing import Any

from tocsin.api.quantities import format_time, parse_time
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.settings import BudgetSettings

_TRIES = 10
"""So often a reservation is tried, because that of another leader came first."""


class BudgetLedger:
    """One ConfigMap per guarded namespace, in the operator's own: incident UID → when it reserved."""

    def __init__(self, api: ApiServer, namespace: str, settings: BudgetSettings) -> None:
        self._api = api
        self._namespace = namespace
        self._settings = settings
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reserve(self, namespace: str, incident_uid: str, now: datetime) -> bool:
        """Whether this incident may contain without asking; once reserved it stays so until the window has passed.

        Raises ApiError and NoAnswer; after either the same call may be made again.
        """
        async with self._turns[namespace]:
            for _ in range(_TRIES - 1):
                try:
                    return await self._reserve(namespace, incident_uid, now)
                except ApiError as refused:
                    if refused.code != 409:
                        raise
            return await self._reserve(namespace, incident_uid, now)

    async def _reserve(self, namespace: str, incident_uid: str, now: datetime) -> bool:
        name = f"tocsin-budget-{namespace}"
        found = await self._read(name)
        data = (found or {}).get("data") or {}
        counted = {uid for uid, at in data.items() if self._counts(at, now)}
        if incident_uid in counted:
            return True
        if len(counted) >= self._settings.containments:
            return False
        entries = {incident_uid: format_time(now)}
        if found is None:
            await self._create(name, namespace, entries)
            return True
        released = dict.fromkeys(data.keys() - counted)
        version = found["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version}, "data": released | entries}
        await self._api.merge(path("v1", "configmaps", self._namespace, name), change)
        return True

    def _counts(self, at: str, now: datetime) -> bool:
        """Whether a reservation is younger than the window; one that somebody made unreadable is given up."""
        try:
            return now - parse_time(at) < self._settings.window
        except ValueError:
            return False

    async def _read(self, name: str) -> Any:
        try:
            return await self._api.get(path("v1", "configmaps", self._namespace, name))
        except ApiError as refused:
            if refused.code == 404:
                return None
            raise

    async def _create(self, name: str, namespace: str, entries: dict[str, str]) -> None:
        labels = {"app.kubernetes.io/managed-by": "tocsin", "tocsin.dev/budget-of": namespace}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
            "data": entries,
        }
        await self._api.create(path("v1", "configmaps", self._namespace), body)
