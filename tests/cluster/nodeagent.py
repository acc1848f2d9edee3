"""Who runs the pods? A node that starts each container's command as a process on a loopback address of its own."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import shutil
import signal
import ssl
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.cluster.pod import Pod
from tests.cluster.podfiles import PodFiles

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_OUTAGE = (aiohttp.ClientError, TimeoutError, OSError)


class RefusedError(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """The requests of the agent, with the client certificate of its kubeconfig."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        self.server: str = document["clusters"][0]["cluster"]["server"]
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"]))
        authority = ssl.create_default_context(cafile=self.ca)
        user = document["users"][0]["user"]
        authority.load_cert_chain(user["client-certificate"], user["client-key"])
        connector = aiohttp.TCPConnector(ssl=authority, limit=0)
        self._session = aiohttp.ClientSession(self.server, connector=connector)

    async def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        timeout, headers = aiohttp.ClientTimeout(total=30), {"Content-Type": kind}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers, timeout=timeout) as answer:
            document = await answer.json(content_type=None)
            if answer.status >= 400:
                raise RefusedError(answer.status, str(document.get("message")))
            return document

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=600)
        async with self._session.get(path, timeout=timeout, read_bufsize=2**24) as answer:
            if answer.status >= 400:
                raise RefusedError(answer.status, await answer.text())
            async for line in answer.content:
                yield json.loads(line)

    async def close(self) -> None:
        await self._session.close()


class Agent:
    """One node and its pods."""

    def __init__(self, api: Api, name: str, folder: Path, prefix: str) -> None:
        self._api, self._name, self._folder, self._prefix = api, name, folder, prefix
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._killing: set[asyncio.Task[None]] = set()
        self._address = 255

    async def run(self) -> None:
        await asyncio.gather(self._beat(), self._watch())

    async def stop(self) -> None:
        await asyncio.gather(*(pod.end(1) for pod in self._pods.values()))

    # --- the node

    async def _beat(self) -> None:
        while True:
            try:
                await self._report()
            except (*_OUTAGE, RefusedError) as error:
                _log(f"heartbeat: {error}")
            await asyncio.sleep(3)

    async def _report(self) -> None:
        path = f"/api/v1/nodes/{self._name}"
        metadata = {"name": self._name, "labels": {"kubernetes.io/hostname": self._name, "kubernetes.io/os": "linux"}}
        with suppress(RefusedError):
            await self._api.call("POST", "/api/v1/nodes", {"metadata": metadata})
        now = datetime.now(UTC)
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        room = {"cpu": "64", "memory": "256Gi", "pods": "2000", "ephemeral-storage": "100Gi"}
        conditions = [
            {"type": kind, "status": str(kind == "Ready"), "reason": "NodeAgent", "lastHeartbeatTime": at}
            for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": f"{self._prefix}.0.1"}],
            "nodeInfo": _NODE_INFO,
        }
        await self._patch(f"{path}/status", {"status": status})
        spec = {"holderIdentity": self._name, "leaseDurationSeconds": 40}
        lease = {"spec": spec | {"renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
        try:
            await self._patch(f"{_LEASES}/{self._name}", lease)
        except RefusedError as error:
            if error.status == 404:
                await self._api.call("POST", _LEASES, lease | {"metadata": {"name": self._name}})

    async def _patch(self, path: str, body: Any) -> Any:
        return await self._api.call("PATCH", path, body, "application/strategic-merge-patch+json")

    # --- its pods

    async def _watch(self) -> None:
        path = f"/api/v1/pods?fieldSelector=spec.nodeName={self._name}"
        while True:
            try:
                listed = await self._api.call("GET", path)
                present = {pod["metadata"]["uid"] for pod in listed["items"]}
                for uid in set(self._pods) - present:
                    self._forget(uid)
                for pod in listed["items"]:
                    if known := self._pods.get(pod["metadata"]["uid"]):
                        known.say_again()
                    self._see(pod)
                version = listed["metadata"]["resourceVersion"]
                async for event in self._api.watch(f"{path}&watch=true&resourceVersion={version}"):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] == "DELETED":
                        self._forget(event["object"]["metadata"]["uid"])
                    else:
                        self._see(event["object"])
            except (*_OUTAGE, RefusedError, ValueError) as error:
                _log(f"watch: {error}")
                await asyncio.sleep(0.2)

    def _see(self, pod: dict[str, Any]) -> None:
        uid, metadata = pod["metadata"]["uid"], pod["metadata"]
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if "deletionTimestamp" in metadata:
            if uid not in self._ending:
                grace = metadata.get("deletionGracePeriodSeconds", 30)
                self._ending[uid] = asyncio.create_task(self._end(pod, grace))
                self._ending[uid].add_done_callback(lambda _: self._ending.pop(uid))  # it may come back from a backup
        elif uid not in self._pods and not over:
            self._pods[uid] = running = self._new(pod)
            self._tasks[uid] = asyncio.create_task(running.run())
            self._tasks[uid].add_done_callback(_complain)

    def _new(self, pod: dict[str, Any]) -> Pod:
        metadata, spec = pod["metadata"], pod["spec"]
        base = f"/api/v1/namespaces/{metadata['namespace']}"
        folder = self._folder / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        self._address += 1
        ip = f"{self._prefix}.{self._address // 256 % 255 or 1}.{self._address % 256}"

        async def fetch(kind: str, name: str) -> dict[str, Any] | None:
            try:
                found: dict[str, Any] | None = await self._until_up("GET", f"{base}/{kind}/{name}")
            except RefusedError as error:
                if error.status == 404:
                    return None
                raise
            return found

        async def token(audience: str | None) -> str:
            bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
            wanted = {"expirationSeconds": 86400, "boundObjectRef": bound} | (
                {"audiences": [audience]} if audience else {}
            )
            path = f"{base}/serviceaccounts/{spec.get('serviceAccountName', 'default')}/token"
            answer = await self._until_up("POST", path, {"spec": wanted})
            return str(answer["status"]["token"])

        async def publish(status: dict[str, Any]) -> None:
            body = {"metadata": {"uid": metadata["uid"]}, "status": status | {"hostIP": f"{self._prefix}.0.1"}}
            with suppress(RefusedError):  # the pod is gone
                await self._until_up("PATCH", f"{base}/pods/{metadata['name']}/status", body)

        files = PodFiles(pod, ip, folder, self._api.server, self._api.ca, fetch, token)
        return Pod(pod, ip, folder, files, publish)

    async def _until_up(self, method: str, path: str, body: Any = None) -> Any:
        """A request that outlives an outage of the API server."""
        kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
        while True:
            try:
                return await self._api.call(method, path, body, kind)
            except _OUTAGE as error:
                _log(f"{method} {path}: {error!r}")
            except RefusedError as error:
                if error.status < 500 and error.status not in (409, 429):
                    raise
                _log(f"{method} {path}: {error}")
            await asyncio.sleep(0.3)

    async def _end(self, pod: dict[str, Any], grace: float) -> None:
        metadata = pod["metadata"]
        await self._stop(metadata["uid"], grace)
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with suppress(RefusedError):
            await self._until_up("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", body)

    async def _stop(self, uid: str, grace: float) -> None:
        if uid in self._pods:
            await self._pods[uid].end(grace)
            self._tasks[uid].cancel()
            self._pods.pop(uid, None)

    def _forget(self, uid: str) -> None:
        """The pod is gone from the API, by force perhaps: its processes go at once."""
        if uid in self._pods:
            self._killing.add(asyncio.create_task(self._stop(uid, 0)))


_NODE_INFO = {
    "kubeletVersion": "v1.37.2-tocsin",
    "osImage": "processes",
    "operatingSystem": "linux",
    "architecture": "amd64",
    "containerRuntimeVersion": "process://1",
    "kernelVersion": "",
    "kubeProxyVersion": "",
    "machineID": "",
    "systemUUID": "",
    "bootID": "",
}


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log("".join(traceback.format_exception(error)))


def _log(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC).isoformat()} {line}\n")


async def _main(arguments: argparse.Namespace) -> None:
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    api = Api(arguments.kubeconfig, arguments.folder)
    agent = Agent(api, arguments.name, arguments.folder, arguments.prefix)
    running = asyncio.create_task(agent.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        await agent.stop()
    finally:
        await api.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.nodeagent", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for the pods' files; emptied at start")
    parser.add_argument("--prefix", required=True, help="127.N: pods get addresses 127.N.x.y")
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
