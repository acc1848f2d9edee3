"""Who leads: a Lease is held by one replica, given back at once on a stop, and taken over after a crash.

The Lease is for efficiency; that nothing is done twice comes from guarded writes and the ledger. Spans are measured
on the monotonic clock from before the request that renewed the Lease, so that the holder always gives up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from tocsin.api.quantities import format_time
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock

log = structlog.get_logger()

API = "coordination.k8s.io/v1"


class WentBack(Exception):
    """The API server's data were restored from a backup: what this process remembers may never have been.

    What etcd's own guide says of all components is done here too: they start anew.
    """


class Leader:
    """One candidate for the Lease."""

    def __init__(
        self,
        api: ApiServer,
        clock: Clock,
        namespace: str,
        identity: str,
        *,
        name: str = "tocsin",
        duration: float = 5.0,
    ) -> None:
        self._api = api
        self._clock = clock
        self._where = path(API, "leases", namespace, name)
        self._all = path(API, "leases", namespace)
        self._name = name
        self._identity = identity
        self._duration = duration
        self._held_until = 0.0
        self._seen: tuple[str, float] = ("", 0.0)
        self._newest = 0
        """The highest version of the Lease that was ever seen."""

    def holds(self, margin: float = 0.0) -> bool:
        """Whether this replica leads, with so many seconds to spare."""
        return self._clock.monotonic() + margin < self._held_until

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run ``lead`` while this replica holds the Lease, for ever; it is cancelled when the Lease is lost.

        Raises what ``lead`` raises, and WentBack.
        """
        while True:
            await self._until_acquired()
            log.info("leading", identity=self._identity)
            leading = asyncio.ensure_future(lead())
            keeping = asyncio.ensure_future(self._keep())
            try:
                await asyncio.wait((leading, keeping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (leading, keeping):
                    task.cancel()
                await asyncio.gather(leading, keeping, return_exceptions=True)
            for task in (leading, keeping):
                if not task.cancelled() and (broken := task.exception()):
                    await self.release()
                    raise broken
            log.warning("lost the lease", identity=self._identity)

    async def release(self) -> None:
        """Give the Lease back, so that the standby takes over at once."""
        if not self.holds():
            return
        self._held_until = 0.0
        try:
            lease = await self._api.get(self._where)
            if lease["spec"].get("holderIdentity") == self._identity:
                await self._write(lease, holder="")
        except (ApiError, NoAnswer, WentBack) as lost:
            log.info("the lease was not given back", error=str(lost))

    async def _until_acquired(self) -> None:
        while not await self.attempt():
            await self._clock.sleep(self._duration / 5)

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self._duration / 4)
            if not await self.attempt() and not self.holds():
                return

    async def attempt(self) -> bool:
        """Acquire or renew; False when somebody else holds it, or when it could not be written; raises WentBack."""
        began = self._clock.monotonic()
        try:
            lease = await self._api.call("GET", self._where, patience=self._duration / 3)
        except ApiError as missing:
            if missing.code != 404 or not (self.holds() or self._silent()):
                return False  # whoever held what was deleted believes in it until it looks, and makes it anew
            return await self._create(began)
        except NoAnswer:
            return False
        self._note(lease)
        holder = lease.get("spec", {}).get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._expired(lease):
            self._held_until = 0.0
            return False
        return await self._renew(lease, began)

    def _note(self, lease: dict[str, Any]) -> None:
        version = int(lease["metadata"]["resourceVersion"])
        if version < self._newest:
            self._held_until = 0.0
            raise WentBack(f"the Lease is at version {version} and was at {self._newest}: was etcd restored?")
        self._newest = version

    def _expired(self, lease: dict[str, Any]) -> bool:
        """Whether the holder has been silent for the whole duration, by our own clock: theirs may be wrong."""
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._clock.monotonic())
        return self._silent()

    def _silent(self) -> bool:
        """Whether nothing was heard of another holder for the whole duration, or never."""
        version, at = self._seen
        return not version or self._clock.monotonic() - at >= self._duration

    async def _renew(self, lease: dict[str, Any], began: float) -> bool:
        try:
            await self._write(lease, holder=self._identity)
        except (ApiError, NoAnswer):
            return False
        self._held_until = began + self._duration
        return True

    async def _create(self, began: float) -> bool:
        body = {
            "apiVersion": API,
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": self._spec(self._identity, 0),
        }
        try:
            self._note(await self._api.create(self._all, body))
        except (ApiError, NoAnswer) as lost:
            log.info("the lease was not created", error=str(lost))
            return False
        self._held_until = began + self._duration
        return True

    def _spec(self, holder: str, transitions: int) -> dict[str, Any]:
        now = format_time(self._clock.now()).replace("Z", "")
        stamp = (now if "." in now else now + ".000") + "000Z"
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": stamp,
            "leaseTransitions": transitions,
        }

    async def _write(self, lease: dict[str, Any], *, holder: str) -> None:
        spec = lease.get("spec", {})
        taken = holder not in ("", spec.get("holderIdentity"))
        body = {
            "metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]},
            "spec": self._spec(holder, spec.get("leaseTransitions", 0) + taken),
        }
        written = await self._api.call(
            "PATCH",
            self._where,
            body,
            content_type="application/merge-patch+json",
            params={"fieldManager": "tocsin"},
            patience=self._duration / 3,
        )
        self._note(written)
