"""Which class starts, faults and ends a real cluster? `with Cluster() as c:`, in seconds and half a gigabyte."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import ssl
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import yaml

from tests.cluster import controlplane
from tests.cluster.access import Access, ApiError, Unsupported
from tests.cluster.block import Block
from tests.cluster.certificates import Authority
from tests.cluster.process import Process, end_group, stop_all
from tests.cluster.sink import SinkServer
from tests.cluster.tools import ensure

NODE = "node"
ROOT = Path(__file__).parents[2]


class Cluster(Access):
    """etcd, API server, controllers, scheduler, one node whose pods are processes, Prometheus, and a sink."""

    def __init__(self) -> None:
        self._tools = ensure()
        self._block = Block()
        self.folder = self._block.folder
        self.audit_log = self.folder / "audit.log"
        """One JSON audit event a line, level Metadata."""
        (self.folder / "logs").mkdir()
        self.authority = Authority(self.folder / "pki")
        self._setting = controlplane.Setting(self._block, self.authority, self._tools, self.folder)
        self.address = self._block.address
        """A loopback address of this cluster alone: a good place for servers of a test."""
        self.server = self._setting.server
        self.ca = self.authority.certificate
        self.admin_certificate, self.admin_key = self.authority.user("admin", ["system:masters"])
        self.kubeconfig = self.kubeconfig_for("admin", ["system:masters"])
        self.prometheus_url = self.prometheus_service_url = f"http://{self._block.at('prometheus')}"
        self._tls = ssl.create_default_context(cafile=self.ca)
        self._tls.load_cert_chain(self.admin_certificate, self.admin_key)
        self._anonymous_tls = ssl.create_default_context(cafile=self.ca)
        self._sink: SinkServer | None = None
        self._processes = {process.name: process for process in self._components()}
        self._sigterm: object = None

    def _components(self) -> list[Process]:
        s = self._setting
        admin = self.authority.user("prometheus", ["system:masters"])
        agent = [sys.executable, "-m", "tests.cluster.nodeagent", "--kubeconfig", str(self.kubeconfig), "--name", NODE]
        agent += ["--folder", str(self.folder / "pods"), "--prefix", self._block.prefix]
        commands = {
            "etcd": controlplane.etcd(s),
            "apiserver": controlplane.apiserver(s, self.audit_log),
            "controllers": controlplane.controller_manager(s, self.kubeconfig_for("system:kube-controller-manager")),
            "scheduler": controlplane.scheduler(s, self.kubeconfig_for("system:kube-scheduler")),
            "nodeagent": agent,
            "prometheus": controlplane.prometheus(s, *admin),
        }
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return [
            Process(name, line, self.folder / "logs" / f"{name}.log", environment) for name, line in commands.items()
        ]

    def __enter__(self) -> Self:
        try:
            self._on_sigterm()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        server = SinkServer(self.address)
        self._sink, self.sink = server, server.__enter__()
        self._processes["etcd"].start()
        self.start_apiserver()
        for process in self._processes.values():
            process.start()
        self._processes["prometheus"].until(self._prometheus_ready, 30)
        self._processes["controllers"].until(
            lambda: bool(self.found("/api/v1/namespaces/default/serviceaccounts/default")), 30
        )
        self._processes["nodeagent"].until(self._node_ready, 30)
        for process in self._processes.values():
            process.until(lambda: True, 0)

    def close(self) -> None:
        """End every process, delete the folder; TOCSIN_KEEP keeps the folder."""
        self._processes["nodeagent"].stop()  # first, so that pods end as pods
        stop_all(list(self._processes.values()), grace=0)  # nobody reads their data again
        if self._sink is not None:
            self._sink.close()
            self._sink = None
        self._block.close(keep=bool(os.environ.get("TOCSIN_KEEP")))
        if self._sigterm is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._sigterm = None

    def _on_sigterm(self) -> None:
        """A plain SIGTERM ends Python without unwinding: make it an exit, unless somebody handles it."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._sigterm = signal.signal(signal.SIGTERM, _leave)

    # --- faults

    def stop_apiserver(self, *, kill: bool = False) -> None:
        if kill:
            self._processes["apiserver"].signal(signal.SIGKILL)
        self._processes["apiserver"].stop(grace=20)

    def start_apiserver(self) -> None:
        self._processes["apiserver"].start()
        self._processes["apiserver"].until(self._api_ready, 60)

    def back_up(self, copy: Path) -> None:
        """Copy etcd's data to a folder that is not there yet; the API server is away meanwhile."""
        with self._etcd_stopped() as data:
            shutil.copytree(data, copy)

    def restore(self, copy: Path) -> None:
        """Have everything be as it was when it was backed up; versions go on from there, as without `--bump-revision`.

        The controllers start anew, as one is told to do; whoever else watches finds out by himself.
        """
        with self._etcd_stopped() as data:
            shutil.rmtree(data)
            shutil.copytree(copy, data)
            for name in ("controllers", "scheduler"):
                self._processes[name].stop()
        for name in ("controllers", "scheduler"):
            self._processes[name].start()

    @contextmanager
    def _etcd_stopped(self) -> Iterator[Path]:
        self.stop_apiserver()
        self._processes["etcd"].stop(grace=20)
        yield self.folder / "etcd"
        self._processes["etcd"].start()
        self.start_apiserver()

    def stop_prometheus(self) -> None:
        self._processes["prometheus"].stop()

    def start_prometheus(self) -> None:
        self._processes["prometheus"].start()
        self._processes["prometheus"].until(self._prometheus_ready, 30)

    @contextmanager
    def prometheus_also(self, more: dict[str, Any]) -> Iterator[None]:
        """With further sections of its configuration: it reads the file again, now and at the end."""
        file = self.folder / "prometheus.yaml"
        before = file.read_text()
        self._reread(file, yaml.safe_dump(yaml.safe_load(before) | more))
        try:
            yield
        finally:
            self._reread(file, before)

    def _reread(self, file: Path, text: str) -> None:
        file.write_text(text)
        self._processes["prometheus"].signal(signal.SIGHUP)
        wanted = yaml.safe_load(text)

        def read() -> bool:
            with urllib.request.urlopen(f"{self.prometheus_url}/api/v1/status/config", timeout=5) as answer:
                now = yaml.safe_load(json.load(answer)["data"]["yaml"])
            return bool(now.get("rule_files") == wanted.get("rule_files"))

        self._processes["prometheus"].until(read, 30)

    def pid(self, name: str) -> int:
        """Of the process of one component."""
        return self._processes[name].pid

    def signal_component(self, name: str, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT to etcd, apiserver, controllers, scheduler, nodeagent or prometheus."""
        self._processes[name].signal(number)

    def signal_pod(self, namespace: str, pod: str, number: int = signal.SIGKILL) -> None:
        files = list((self.folder / "pods").glob(f"{namespace}_{pod}_*/*.pid"))
        if not files:
            raise FileNotFoundError(f"pod {namespace}/{pod} has no process")
        for file in files:
            end_group(int(file.read_text()), number)

    # --- access

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        certificate, key = self.authority.user(user, groups)
        files = {"client-certificate": str(certificate), "client-key": str(key)}
        return self.write_kubeconfig(certificate.stem, files)

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        """What the pod printed, also after it was deleted."""
        files = sorted((self.folder / "pods").glob(f"{namespace}_{pod}_*/{container or '*'}.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def component_log(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def pids(self) -> dict[str, int]:
        """The process of each component that runs."""
        return {name: process.pid for name, process in self._processes.items() if process.running}

    # --- readiness

    def _api_ready(self) -> bool:
        try:
            return bool(self.api("GET", "/readyz", timeout=5) == "ok")
        except (OSError, ApiError, http.client.HTTPException):
            return False

    def _prometheus_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.prometheus_url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _node_ready(self) -> bool:
        node = self.found(f"/api/v1/nodes/{NODE}") or {}
        ready = any(
            c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", [])
        )
        return ready and not node.get("spec", {}).get("taints")


def ours(cluster: Access) -> Cluster:
    """The cluster whose processes are ours; for another it raises Unsupported, which skips a test."""
    if not isinstance(cluster, Cluster):
        raise Unsupported("this needs the cluster whose processes are ours")
    return cluster


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
