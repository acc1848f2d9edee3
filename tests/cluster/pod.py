"""How does one pod live and end, when its containers are processes?"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.podfiles import NotYetError, PodFiles
from tests.cluster.process import end_group, leashed

Publish = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends a status; retries by itself until it is taken or the pod is gone."""


class Container:
    """One container: its process, and the status that the API shows of it."""

    def __init__(self, spec: dict[str, Any], init: bool = False) -> None:
        self.spec, self.init = spec, init
        self.state: dict[str, Any] = {"waiting": {"reason": "PodInitializing" if not init else "ContainerCreating"}}
        self.last: dict[str, Any] = {}
        self.restarts = 0
        self.ready = False
        self.process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def exit_code(self) -> int | None:
        return self.state["terminated"]["exitCode"] if "terminated" in self.state else None

    def status(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "image": self.spec.get("image", ""),
            "imageID": "",
            "state": self.state,
            "lastState": self.last,
            "ready": self.ready or (self.init and self.exit_code == 0),
            "started": "running" in self.state,
            "restartCount": self.restarts,
        } | ({"containerID": f"process://{self.process.pid}"} if self.process else {})

    def signal(self, number: int) -> None:
        """To the container's first process, as a runtime does; SIGKILL to all of them."""
        if self.process is not None and self.process.returncode is None:
            if number == signal.SIGKILL:
                end_group(self.process.pid, number)
            else:
                self.process.send_signal(number)


class Pod:
    """One pod bound to this node, from its first start to its last status."""

    def __init__(self, pod: dict[str, Any], ip: str, folder: Path, files: PodFiles, publish: Publish) -> None:
        self.spec, self._ip, self._folder, self._files, self._publish = pod["spec"], ip, folder, files, publish
        self.uid: str = pod["metadata"]["uid"]
        self._containers = [Container(spec) for spec in self.spec["containers"]]
        self._inits = [Container(spec, init=True) for spec in self.spec.get("initContainers", [])]
        self._began = _now()
        self._conditions: dict[str, dict[str, str]] = {}
        self._changed = asyncio.Event()
        self._policy = self.spec.get("restartPolicy", "Always")
        self.ending = False

    async def run(self) -> None:
        """Until all containers have ended for good; cancel to leave off at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        publisher = asyncio.create_task(self._keep_publishing())
        try:
            await self._prepare()
            for container in self._inits:
                await self._live(container, "OnFailure" if self._policy == "Always" else self._policy)
                if container.exit_code != 0:
                    return
            await asyncio.gather(*(self._live(container, self._policy) for container in self._containers))
        finally:
            publisher.cancel()
            if not self.ending:
                await self._publish(self._status())

    def say_again(self) -> None:
        """Publish the status once more: what the API shows may be older than what was said, after a restore."""
        self._changed.set()

    async def end(self, grace: float) -> None:
        """SIGTERM to all, SIGKILL after `grace` seconds."""
        self.ending = True
        every = [*self._inits, *self._containers]
        for container in every:
            container.signal(signal.SIGTERM if grace > 0 else signal.SIGKILL)
        waiting = [asyncio.create_task(c.process.wait()) for c in every if c.process and c.process.returncode is None]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=max(grace, 0.01))
            for container in every:
                container.signal(signal.SIGKILL)
            if late:
                await asyncio.wait(late)
        for container in every:  # what a shell may have left in its group
            if container.process is not None:
                end_group(container.process.pid, signal.SIGKILL)
        for name in ("volumes", "home"):  # the logs stay
            shutil.rmtree(self._folder / name, ignore_errors=True)
        for file in (*self._folder.glob("*.pid"), *self._folder.glob("kubeconfig")):
            file.unlink(missing_ok=True)

    async def _prepare(self) -> None:
        while True:
            try:
                return await self._files.write()
            except NotYetError as missing:
                for container in (self._inits or self._containers)[:1]:
                    self._to(container, {"waiting": {"reason": missing.reason, "message": str(missing)}})
                await asyncio.sleep(0.5)

    async def _live(self, container: Container, policy: str) -> None:
        """Start, watch and restart one container as the restart policy says."""
        delay = 0.2
        while not self.ending:
            started = time.monotonic()
            try:
                code = await self._once(container)
            except NotYetError as missing:
                self._to(container, {"waiting": {"reason": missing.reason, "message": str(missing)}})
                await asyncio.sleep(0.5)
                continue
            if self.ending or policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            container.last, container.restarts = container.state, container.restarts + 1
            delay = 0.2 if time.monotonic() - started > 10 else min(delay * 2, 5)
            message = f"back-off {delay:.1f}s restarting failed container"
            self._to(container, {"waiting": {"reason": "CrashLoopBackOff", "message": message}})
            await asyncio.sleep(delay)

    async def _once(self, container: Container) -> int:
        environment = await self._files.environment(container.spec)
        command = await self._files.command(container.spec, environment)
        if shutil.which(command[0], path=environment["PATH"]) is None:
            raise NotYetError(f"exec: {command[0]!r}: executable file not found in PATH", "RunContainerError")
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "httpGet" not in container.spec.get(kind, {"httpGet": {}}):
                raise NotYetError(
                    f"the node agent has httpGet probes only, not the {kind} of {container.name!r}", "RunContainerError"
                )
        with (self._folder / f"{container.name}.log").open("ab") as log:
            container.process = process = await asyncio.create_subprocess_exec(
                *leashed(command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._files.directory(container.spec),
                env=environment,
                start_new_session=True,
            )
        (self._folder / f"{container.name}.pid").write_text(str(process.pid))
        began = _now()
        container.ready = "readinessProbe" not in container.spec and not container.init
        self._to(container, {"running": {"startedAt": began}})
        prober = asyncio.create_task(self._probe(container))
        try:
            status = await process.wait()
        finally:
            prober.cancel()
        end_group(process.pid, signal.SIGKILL)
        code = status if status >= 0 else 128 - status
        container.ready = False
        reason = "Completed" if code == 0 else "Error"
        self._to(
            container, {"terminated": {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": _now()}}
        )
        return code

    async def _probe(self, container: Container) -> None:
        """The startup probe first; then readiness (every 0.2 s until ready once) and liveness at their periods."""
        spec = container.spec
        if startup := spec.get("startupProbe"):
            failures = 0
            while not await self._answers(container, startup):
                failures += 1
                if failures * 0.2 > startup.get("failureThreshold", 3) * startup.get("periodSeconds", 10):
                    container.signal(signal.SIGKILL)
                    return
                await asyncio.sleep(0.2)
        probes = [self._keep_probing(container, kind) for kind in ("readinessProbe", "livenessProbe") if spec.get(kind)]
        await asyncio.gather(*probes)

    async def _keep_probing(self, container: Container, kind: str) -> None:
        probe, failures, ever = container.spec[kind], 0, False
        if kind == "livenessProbe":
            await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while True:
            fine = await self._answers(container, probe)
            failures, ever = (0, True) if fine else (failures + 1, ever)
            failed = failures >= probe.get("failureThreshold", 3)
            if kind == "livenessProbe" and failed:
                container.signal(signal.SIGTERM)
                await asyncio.sleep(self.spec.get("terminationGracePeriodSeconds", 30))
                container.signal(signal.SIGKILL)
                return
            if kind == "readinessProbe" and (fine or failed) and container.ready is not fine:
                container.ready = fine
                self._changed.set()
            period = float(probe.get("periodSeconds", 10))
            await asyncio.sleep(period if ever or kind == "livenessProbe" else min(period, 0.2))

    async def _answers(self, container: Container, probe: dict[str, Any]) -> bool:
        get = probe["httpGet"]
        ports = {p.get("name"): p["containerPort"] for p in container.spec.get("ports", [])}
        port, path = ports.get(get["port"], get["port"]), str(get.get("path", "/")).lstrip("/")
        url = f"{get.get('scheme', 'HTTP').lower()}://{get.get('host') or self._ip}:{port}/{path}"
        timeout = aiohttp.ClientTimeout(total=float(probe.get("timeoutSeconds", 1)))
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, ssl=False) as answer:
                return 200 <= answer.status < 400
        return False

    def _to(self, container: Container, state: dict[str, Any]) -> None:
        if container.state != state:
            container.state = state
            self._changed.set()

    async def _keep_publishing(self) -> None:
        while True:
            await self._publish(self._status())
            await self._changed.wait()
            self._changed.clear()

    def _status(self) -> dict[str, Any]:
        codes = [container.exit_code for container in self._containers]
        init_failed = self._policy == "Never" and any(c.exit_code not in (None, 0) for c in self._inits)
        over = self._policy != "Always" and all(code is not None for code in codes)
        done = over and (self._policy == "Never" or all(code == 0 for code in codes))
        started = any("running" in c.state or c.last for c in self._containers) or any(
            code is not None for code in codes
        )
        phase = "Running" if started else "Pending"
        if init_failed or done:
            phase = "Failed" if init_failed or any(codes) else "Succeeded"
        ready = all(container.ready for container in self._containers)
        initialized = all(container.exit_code == 0 for container in self._inits)
        facts = {
            "Initialized": initialized,
            "Ready": ready,
            "ContainersReady": ready,
            "PodReadyToStartContainers": True,
        }
        return {
            "phase": phase,
            "podIP": self._ip,
            "podIPs": [{"ip": self._ip}],
            "startTime": self._began,
            "conditions": [self._condition(name, fact) for name, fact in facts.items()],
            "containerStatuses": [container.status() for container in self._containers],
        } | ({"initContainerStatuses": [c.status() for c in self._inits]} if self._inits else {})

    def _condition(self, name: str, fact: bool) -> dict[str, str]:
        before = self._conditions.get(name)
        since = before["lastTransitionTime"] if before and before["status"] == str(fact) else _now()
        self._conditions[name] = {"type": name, "status": str(fact), "lastTransitionTime": since}
        return self._conditions[name]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
