"""What do volumes and environment become when containers are processes? Files in a folder, rewritten paths."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

Fetch = Callable[[str, str], Awaitable[dict[str, Any] | None]]
"""(kind in plural, name) → the object of the pod's namespace, or None."""
Token = Callable[[str | None], Awaitable[str]]
"""An audience → a token of the pod's service account."""


class NotYetError(Exception):
    """Something that the pod refers to is missing; reason and message are those of a waiting state."""

    def __init__(self, message: str, reason: str = "CreateContainerConfigError") -> None:
        super().__init__(message)
        self.reason = reason


class PodFiles:
    """The folder of one pod: its volumes, and what its containers see of them."""

    def __init__(
        self, pod: dict[str, Any], ip: str, folder: Path, server: str, ca: Path, fetch: Fetch, token: Token
    ) -> None:
        self._pod, self._ip, self._folder = pod, ip, folder
        self._server, self._ca, self._fetch, self._token = server, ca, fetch, token

    async def write(self) -> None:
        """Make every volume; NotYetError while one cannot be made."""
        for volume in self._pod["spec"].get("volumes", []):
            folder = self._folder / "volumes" / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            sources = volume["projected"].get("sources", []) if "projected" in volume else [volume]
            for source in sources:
                for name, data in (await self._contents(source)).items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(data)
        (self._folder / "home").mkdir(exist_ok=True)

    async def _contents(self, source: dict[str, Any]) -> dict[str, bytes]:
        match source:
            case {"configMap": reference}:
                return _chosen(reference, await self._data("configmaps", reference))
            case {"secret": reference}:
                return _chosen(reference, await self._data("secrets", reference))
            case {"serviceAccountToken": wanted}:
                return {wanted["path"]: (await self._token(wanted.get("audience"))).encode()}
            case {"downwardAPI": wanted}:
                return {item["path"]: self._field(item["fieldRef"]).encode() for item in wanted.get("items", [])}
            case {"emptyDir": _}:
                return {}
        kind = next((key for key in source if key != "name"), "?")
        raise NotYetError(f"the node agent has no volumes of type {kind}", "UnsupportedVolume")

    async def _data(self, kind: str, reference: dict[str, Any]) -> dict[str, bytes] | None:
        name = reference.get("name") or reference.get("secretName") or ""
        found = await self._fetch(kind, name)
        if found is None:
            if reference.get("optional"):
                return None
            raise NotYetError(f"{kind[:-1]} {name!r} not found")
        plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        if kind == "secrets":
            return {key: base64.b64decode(value) for key, value in plain.items()}
        return plain | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}

    async def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """The variables of a container: the spec's, and what the node gives to each."""
        own: dict[str, str] = {}
        for source in container.get("envFrom", []):
            kind = "configmaps" if "configMapRef" in source else "secrets"
            data = await self._data(kind, source.get("configMapRef") or source["secretRef"])
            own |= {source.get("prefix", "") + key: value.decode() for key, value in (data or {}).items()}
        for item in container.get("env", []):
            value = await self._value(item)
            if value is not None:
                own[item["name"]] = _expand(value, own)
        return self._given() | {name: self._rewritten(container, value) for name, value in own.items()}

    async def command(self, container: dict[str, Any], environment: dict[str, str]) -> list[str]:
        if not container.get("command"):
            message = f"the node agent runs processes, not images: give container {container['name']!r} a `command`"
            raise NotYetError(message, "ErrImagePull")
        words = [*container["command"], *container.get("args", [])]
        return [self._rewritten(container, _expand(word, environment)) for word in words]

    def directory(self, container: dict[str, Any]) -> str:
        return self._rewritten(container, container.get("workingDir", "")) or str(ROOT)

    def _given(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name in ("LANG", "TZ", "TMPDIR")}
        given = inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'operator'}",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self._folder / "home"),
            "HOSTNAME": self._pod["metadata"]["name"],
            "POD_IP": self._ip,
        }
        mounts = [m for c in self._pod["spec"]["containers"] for m in c.get("volumeMounts", [])]
        account = next((m for m in mounts if m["mountPath"] == _ACCOUNT), None)
        return given | ({"KUBECONFIG": str(self._kubeconfig(account["name"]))} if account else {})

    def _kubeconfig(self, volume: str) -> Path:
        """Who the pod is: its service account's token, at the API server or at the proxy that its annotation names."""
        annotations = self._pod["metadata"].get("annotations", {})
        cluster = {
            "server": annotations.get("tests.tocsin.dev/api-server", self._server),
            "certificate-authority": str(self._ca),
        }
        token = (self._folder / "volumes" / volume / "token").read_text()
        context = {"cluster": "c", "user": "pod", "namespace": self._pod["metadata"]["namespace"]}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": context}],
            "current-context": "c",
        }
        path = self._folder / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    async def _value(self, item: dict[str, Any]) -> str | None:
        match item.get("valueFrom"):
            case None:
                return str(item.get("value", ""))
            case {"fieldRef": reference}:
                return self._field(reference)
            case {"configMapKeyRef": reference}:
                return await self._key("configmaps", reference)
            case {"secretKeyRef": reference}:
                return await self._key("secrets", reference)
            case other:
                raise NotYetError(f"the node agent has no {', '.join(other)} for env {item['name']}")

    async def _key(self, kind: str, reference: dict[str, Any]) -> str | None:
        data = await self._data(kind, reference) or {}
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if reference.get("optional"):
            return None
        raise NotYetError(f"couldn't find key {reference['key']} in {kind[:-1]} {reference['name']}")

    def _field(self, reference: dict[str, Any]) -> str:
        path = str(reference["fieldPath"])
        if path in ("status.podIP", "status.podIPs"):
            return self._ip
        if path == "status.hostIP":
            return self._server.split("//")[1].split(":")[0]
        section, _, rest = path.partition(".")
        entry = re.fullmatch(r"(labels|annotations)\['(.+)'\]", rest)
        if entry:
            return str(self._pod["metadata"].get(entry[1], {}).get(entry[2], ""))
        return str(self._pod.get(section, {}).get(rest, ""))

    def _rewritten(self, container: dict[str, Any], text: str) -> str:
        """Every path under a mount, as the path in this pod's folder; the longest mount first."""
        places = {
            mount["mountPath"].rstrip("/"): self._folder / "volumes" / mount["name"] / mount.get("subPath", "")
            for mount in container.get("volumeMounts", [])
        }
        if not places:
            return text
        paths = "|".join(re.escape(path) for path in sorted(places, key=len, reverse=True))
        return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda found: str(places[found[1]]), text)


def _chosen(reference: dict[str, Any], data: dict[str, bytes] | None) -> dict[str, bytes]:
    if data is None or not reference.get("items"):
        return data or {}
    return {item["path"]: data[item["key"]] for item in reference["items"] if item["key"] in data}


def _expand(text: str, environment: dict[str, str]) -> str:
    """`$(VAR)` as Kubernetes expands it: unknown names stay, `$$` is a dollar."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else environment.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([\w.-]+)\)", value, text)
