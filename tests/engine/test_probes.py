"""What does the process answer to Kubernetes and Prometheus, and when does it say that it is not well?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.clocks import FakeClock
from tocsin.apiserver import ApiError
from tocsin.engine.engine import Engine
from tocsin.engine.leader import Leader
from tocsin.engine.probes import STUCK, Probes
from tocsin.settings import Settings

HERE = "127.0.0.1"
LEASE = 5.0
PATHS = ("/healthz", "/readyz", "/metrics")
SETTINGS = Settings.model_validate({"prometheus": {"default": {"url": "http://prometheus"}}})


class FreeLease:
    """An API server where nobody has made the Lease."""

    async def call(self, *_: Any, **__: Any) -> Any:
        raise ApiError(404, "NotFound", "no Lease")

    async def create(self, *_: Any) -> Any:
        """Whoever makes it has it."""
        return {"metadata": {"resourceVersion": "1"}}


@dataclass
class Scene:
    """An engine that is not run, and how its probes are reached."""

    clock: FakeClock
    engine: Engine
    probes: Probes
    session: ClientSession

    def port(self, server: int) -> int:
        """The port that was free: of the probes, 0, or of the metrics, 1."""
        return int(self.probes._runners[server].addresses[0][1])

    async def get(self, what: str, server: int = 0) -> tuple[int, str]:
        async with self.session.get(f"http://{HERE}:{self.port(server)}{what}") as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def serving() -> AsyncIterator[Scene]:
    clock, api = FakeClock(), FreeLease()
    leader = Leader(api, clock, "tocsin-system", "tocsin-0", duration=LEASE)  # type: ignore[arg-type]  # a fake
    engine = Engine(api, clock, SETTINGS, {}, "tocsin-system", "tocsin-0", None, leader)  # type: ignore[arg-type]
    probes = Probes(engine, clock)
    await probes.serve(HERE, 0, 0)
    try:
        async with ClientSession() as session:
            yield Scene(clock, engine, probes, session)
    finally:
        await probes.close()


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def body() -> None:
        async with serving() as there:
            await scene(there)

    asyncio.run(body())


@pytest.mark.parametrize(
    ("beat", "silent", "answer"),
    [
        pytest.param(0.0, 10 * STUCK, (200, "ok\n"), id="a loop that has not begun to turn is not stuck"),
        pytest.param(7.0, 0.0, (200, "ok\n"), id="a loop that has just turned is well"),
        pytest.param(7.0, STUCK, (200, "ok\n"), id="a loop may be silent for six turns"),
        pytest.param(
            7.0, STUCK + 1, (503, "the loop has not turned for 31 s\n"), id="a loop that is silent for longer is stuck"
        ),
    ],
)
def test_whether_the_process_lives(beat: float, silent: float, answer: tuple[int, str]) -> None:
    async def scene(there: Scene) -> None:
        there.engine.beat = beat
        await there.clock.advance(beat + silent)
        assert await there.get("/healthz") == answer

    play(scene)


def test_a_loop_that_turns_again_is_well_again() -> None:
    async def scene(there: Scene) -> None:
        there.engine.beat = 1.0
        await there.clock.advance(10 * STUCK)
        assert (await there.get("/healthz"))[0] == 503
        await there.engine._gauge()
        assert await there.get("/healthz") == (200, "ok\n")

    play(scene)


def test_a_replica_is_ready_when_its_store_is_filled_and_says_whether_it_leads() -> None:
    async def scene(there: Scene) -> None:
        assert await there.engine.leader.attempt()
        assert await there.get("/readyz") == (503, "the store is not filled yet\n")
        there.engine.synced = True
        assert await there.get("/readyz") == (200, "ok, leader\n")
        await there.clock.advance(LEASE)
        assert await there.get("/readyz") == (200, "ok, standby\n")

    play(scene)


def test_the_metrics_are_the_exposition_as_prometheus_reads_it() -> None:
    async def scene(there: Scene) -> None:
        there.engine.telemetry.effect("notify", "Done")
        async with there.session.get(f"http://{HERE}:{there.port(1)}/metrics") as answer:
            text = await answer.text()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4")
        assert text == there.engine.telemetry.text().decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        (sample,) = families["tocsin_effects"].samples
        assert (sample.name, sample.labels, sample.value) == (
            "tocsin_effects_total",
            {"kind": "notify", "outcome": "Done"},
            1.0,
        )

    play(scene)


def test_probes_and_metrics_have_a_port_each() -> None:
    async def scene(there: Scene) -> None:
        answers = {(what, server): (await there.get(what, server))[0] for what in PATHS for server in (0, 1)}
        assert [where for where, status in answers.items() if status == 404] == [
            ("/healthz", 1),
            ("/readyz", 1),
            ("/metrics", 0),
        ]

    play(scene)


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async def scene(there: Scene) -> None:
        second = Probes(there.engine, there.clock)
        with pytest.raises(OSError, match="address already in use"):
            await second.serve(HERE, 0, there.port(1))
        await second.close()

    play(scene)


def test_nothing_answers_after_the_end() -> None:
    async def scene(there: Scene) -> None:
        port = there.port(0)
        await there.probes.close()
        with pytest.raises(ClientConnectionError):
            await there.session.get(f"http://{HERE}:{port}/healthz")

    play(scene)
