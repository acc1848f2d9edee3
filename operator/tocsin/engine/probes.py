"""What Kubernetes and Prometheus ask of the process: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

from aiohttp import web

from tocsin.clock import Clock
from tocsin.engine.engine import GAUGES_EVERY, Engine

STUCK = 6 * GAUGES_EVERY
"""Seconds without a turn of the loop after which the process is taken for stuck."""


class Probes:
    """Two small HTTP servers: /healthz and /readyz, and /metrics."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._runners: list[web.AppRunner] = []

    async def serve(self, bind: str, probe_port: int, metrics_port: int) -> None:
        """Listen; raises OSError when a port is taken."""
        probes = web.Application()
        probes.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        metrics = web.Application()
        metrics.add_routes([web.get("/metrics", self._metrics)])
        for app, port in ((probes, probe_port), (metrics, metrics_port)):
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, bind, port).start()

    async def close(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        silent = self._clock.monotonic() - self._engine.beat
        if self._engine.beat and silent > STUCK:
            return web.Response(status=503, text=f"the loop has not turned for {silent:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._engine.synced:
            return web.Response(status=503, text="the store is not filled yet\n")
        role = "leader" if self._engine.leader.holds() else "standby"
        return web.Response(text=f"ok, {role}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._engine.telemetry.text(), headers={"Content-Type": "text/plain; version=0.0.4"})
