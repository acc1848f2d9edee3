"""What can a test do with a cluster, whichever it is? Everything here needs only a kubeconfig and the tools."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import ssl
import subprocess
import time
import unittest
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.cluster.resources import Resources
from tests.cluster.sink import Sink

T = TypeVar("T")
Manifest = str | dict[str, Any] | list[dict[str, Any]] | Path


class CommandError(Exception):
    """kubectl or helm failed; the message is what it printed."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"{' '.join(command)} ended with {code}:\n{output}")
        self.code, self.output = code, output


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, `body` its Status object."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{method} {path}: {status}: {message}")
        self.status, self.body = status, body


class Unsupported(unittest.SkipTest):
    """This kind of cluster cannot do that; a test that asks for it is skipped."""


class Access(ABC):
    """A cluster as its tests see it; cluster.py starts one, existing.py finds one."""

    kubeconfig: Path
    """The administrator's."""
    folder: Path
    """For files of this run: kubeconfigs, logs."""
    server: str
    """The API server's URL."""
    ca: Path | None = None
    """The authority that the server's certificate is checked against."""
    prometheus_url: str
    """Prometheus as this process reaches it."""
    prometheus_service_url: str
    """Prometheus as a pod reaches it."""
    sink: Sink

    _tools: dict[str, Path]
    _api_url: str | None = None
    _tls: ssl.SSLContext | None = None
    _anonymous_tls: ssl.SSLContext | None = None

    # --- commands

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - subprocess's word for it
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """kubectl's output; with `check=False` that of a failure too."""
        return self._run([str(self._tools["kubectl"]), *args], input, check, kubeconfig)

    def helm(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - subprocess's word for it
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        return self._run([str(self._tools["helm"]), *args], input, check, kubeconfig)

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """The variables under which kubectl, helm or the operator talk to this cluster; nothing lands in the home."""
        home = self.folder / "home"
        own = {"HELM_CACHE_HOME": "helm-cache", "HELM_CONFIG_HOME": "helm-config", "HELM_DATA_HOME": "helm-data"}
        folders = [str(self._tools[name].parent) for name in ("kubectl", "helm")]
        path = os.pathsep.join([*folders, os.environ["PATH"]])
        return (
            os.environ
            | {name: str(home / folder) for name, folder in own.items()}
            | {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "KUBECACHEDIR": str(home / "kube"), "PATH": path}
        )

    def _run(self, command: list[str], text: str | None, check: bool, kubeconfig: Path | None) -> str:
        environment = self.environment(kubeconfig)
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)
        if done.returncode and check:
            raise CommandError(command, done.returncode, done.stderr + done.stdout)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    # --- the API

    @cached_property
    def _resources(self) -> Resources:
        return Resources(lambda path: self.api("GET", path))

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
        timeout: float = 30.0,
    ) -> Any:
        """One request as the administrator, or with a token; PATCH is a merge patch unless `content_type` says else."""
        if method == "PATCH" and content_type == "application/json":
            content_type = "application/merge-patch+json"
        url = urllib.parse.urlsplit(self._api_url or self.server)
        port, context = url.port or 443, self._tls if token is None else self._anonymous_tls
        connection = (
            http.client.HTTPConnection(str(url.hostname), port, timeout=timeout)
            if url.scheme == "http"
            else http.client.HTTPSConnection(str(url.hostname), port, timeout=timeout, context=context)
        )
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, url.path + path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        data = json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else text
        if answer.status == 429 and method == "GET" and timeout > 0:  # after a restart, storages begin one by one
            time.sleep(0.5)
            return self.api(method, path, token=token, timeout=timeout - 0.5)
        if answer.status >= 400:
            raise ApiError(method, path, answer.status, data)
        return data

    def apply(self, manifest: Manifest, *, kubeconfig: Path | None = None) -> str:
        """`kubectl apply` of a file or folder, of YAML text, or of objects."""
        if isinstance(manifest, Path):
            return self.kubectl("apply", "-f", str(manifest), kubeconfig=kubeconfig)
        text = manifest if isinstance(manifest, str) else yaml.safe_dump_all(_listed(manifest))
        return self.kubectl("apply", "-f", "-", input=text, kubeconfig=kubeconfig)

    def declare(self, *objects: dict[str, Any]) -> None:
        """Server-side apply as the administrator: what `apply` does, without starting a process for it."""
        for one in objects:
            kind, metadata = one["kind"].lower(), one["metadata"]
            group = one["apiVersion"].rpartition("/")[0]
            where = self._resources.path(f"{kind}.{group}", metadata.get("namespace"))
            query = "?fieldManager=tests&force=true"
            self.api("PATCH", f"{where}/{metadata['name']}{query}", one, content_type="application/apply-patch+yaml")

    def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        """The object of a kind as kubectl names it, or None when there is none."""
        return self.found(f"{self._resources.path(kind, namespace)}/{name}")

    def items(self, kind: str, namespace: str | None = None, selector: str = "") -> Any:
        query = f"?labelSelector={urllib.parse.quote(selector)}" if selector else ""
        return self.api("GET", self._resources.path(kind, namespace) + query)["items"]

    # --- namespaces and users

    def namespace(self, prefix: str = "test", labels: dict[str, str] | None = None) -> str:
        """A fresh namespace, usable at once (its service account is there)."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.wait(lambda: self.found(path), 30, f"the default service account of {name}")
        return name

    def delete_namespace(self, name: str) -> None:
        """Ask for the deletion, do not wait for it."""
        if self.found(f"/api/v1/namespaces/{name}"):
            self.api("DELETE", f"/api/v1/namespaces/{name}")

    def found(self, path: str) -> Any:
        """The object at this path, or None where the answer is 404."""
        try:
            return self.api("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def token(self, namespace: str, service_account: str, seconds: int = 86400) -> str:
        """A fresh token of a service account, with its rights and no others."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        answer = self.api("POST", path, {"spec": {"expirationSeconds": seconds}})
        return str(answer["status"]["token"])

    @abstractmethod
    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with which kubectl acts as this person."""

    def kubeconfig_for_token(self, token: str, server: str | None = None) -> Path:
        """A kubeconfig with this token, at the API server or at a proxy in front of it."""
        return self.write_kubeconfig(f"token-{secrets.token_hex(4)}", {"token": token}, server=server)

    def write_kubeconfig(
        self, name: str, user: dict[str, Any], server: str | None = None, ca: Path | None = None
    ) -> Path:
        cluster: dict[str, Any] = {"server": server or self.server}
        if (authority := ca or self.ca) is not None and cluster["server"].startswith("https"):
            cluster["certificate-authority-data"] = base64.b64encode(authority.read_bytes()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tocsin-test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "tocsin-test", "context": {"cluster": "tocsin-test", "user": name}}],
            "current-context": "tocsin-test",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))
        return path

    # --- pods

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        """What the pod printed, all its containers or one."""
        return self.kubectl("logs", "-n", namespace, pod, *(("-c", container) if container else ("--all-containers",)))

    @abstractmethod
    def signal_pod(self, namespace: str, pod: str, number: int = 9) -> None:
        """Send a signal to the processes of the pod: 9 to crash it, SIGSTOP to freeze it."""

    # --- faults

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """End the API server; the data stays. `kill` is a crash: no goodbye to open connections."""
        raise Unsupported("the API server is not ours to stop")

    def start_apiserver(self) -> None:
        """Start it at the same address and wait until it is ready."""
        raise Unsupported("the API server is not ours to start")

    def restart_apiserver(self, *, kill: bool = False) -> None:
        self.stop_apiserver(kill=kill)
        self.start_apiserver()

    def stop_prometheus(self) -> None:
        """End Prometheus; its data is kept."""
        raise Unsupported("Prometheus is a pod without a volume here")

    def start_prometheus(self) -> None:
        raise Unsupported("Prometheus is a pod without a volume here")

    # --- waiting and asking

    def wait(self, predicate: Callable[[], T], timeout: float, what: str, every: float = 0.1) -> T:
        """The first true answer of `predicate`; AssertionError with `what` and the last answer at the time-out."""
        deadline = time.monotonic() + timeout
        while True:
            answer = predicate()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout:g} s in vain for {what}; the last answer was {answer!r}")
            time.sleep(every)

    def query(self, expression: str) -> Any:
        """The result list of an instant query, [] while Prometheus does not answer."""
        url = f"{self.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def value(self, expression: str) -> float | None:
        """The value of the only result, else None."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else None


def _listed(manifest: dict[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return manifest if isinstance(manifest, list) else [manifest]
