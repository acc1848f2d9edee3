"""How does a cluster that exists already serve the same tests? With Prometheus and the sink as pods."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.access import Access, Unsupported
from tests.cluster.controlplane import prometheus_configuration
from tests.cluster.process import Process, stop_all
from tests.cluster.sink import Sink
from tests.cluster.tools import ToolError, ensure
from tests.cluster.workloads import IMAGE

NAMESPACE = "tocsin-test"
ROOT = Path(__file__).parents[2]
PROMETHEUS_IMAGE = "prom/prometheus:v3.15.0"
_CSR = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class ExistingCluster(Access):
    """The cluster of a kubeconfig; its nodes must have the image `tocsin-test:dev` (`docker build --target test`)."""

    def __init__(self, kubeconfig: Path | None = None) -> None:
        found = {name: shutil.which(name) for name in ("kubectl", "helm")}
        self._tools = {name: Path(path) for name, path in found.items() if path}
        if len(self._tools) < len(found):
            self._tools = ensure("kubernetes", "helm")
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-"))
        self._forwards: list[Process] = []
        self._given = kubeconfig

    def __enter__(self) -> Self:
        try:
            self._connect()
            self._install()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what we installed, and our own processes."""
        if self._forwards:
            self.kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found", check=False)
            self.kubectl("delete", "clusterrolebinding", NAMESPACE, "--ignore-not-found", check=False)
            self.kubectl("delete", "clusterrole", NAMESPACE, "--ignore-not-found", check=False)
        stop_all(self._forwards)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self) -> None:
        if self._given is None and not os.environ.get("KUBECONFIG"):
            raise ToolError("TOCSIN_CLUSTER=kubeconfig needs KUBECONFIG, the path of an administrator's kubeconfig")
        self.kubeconfig = self.folder / "admin.kubeconfig"
        given = self._given or Path(os.environ["KUBECONFIG"])
        flat = self.kubectl("config", "view", "--raw", "--flatten", "--minify", kubeconfig=given)
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(flat)
        cluster = yaml.safe_load(flat)["clusters"][0]["cluster"]
        self.server = str(cluster["server"])
        if "certificate-authority-data" in cluster:
            self.ca = self.folder / "ca.crt"
            self.ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self._api_url = self._forward("proxy", "--port=0")

    def _install(self) -> None:
        self.apply(_namespaced())
        for name in ("prometheus", "sink"):
            self.kubectl("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=180s")
        self.prometheus_url = self._forward("port-forward", "-n", NAMESPACE, "service/prometheus", ":9090")
        self.prometheus_service_url = f"http://prometheus.{NAMESPACE}.svc:9090"
        address = self._forward("port-forward", "-n", NAMESPACE, "service/sink", ":8080")
        self.sink = Sink(address, f"http://sink.{NAMESPACE}.svc:8080")
        self.sink.clear()

    def _forward(self, *args: str) -> str:
        """Start `kubectl proxy` or `port-forward`; the address that it chose."""
        log = self.folder / f"forward-{len(self._forwards)}.log"
        forward = Process(f"kubectl {args[0]}", [str(self._tools["kubectl"]), *args], log, self.environment())
        self._forwards.append(forward)
        forward.start()
        forward.until(lambda: re.search(r"127\.0\.0\.1:\d+", forward.tail()) is not None, 30)
        found = re.search(r"127\.0\.0\.1:\d+", forward.tail())
        return f"http://{found[0]}" if found else ""

    def api(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        if options.get("token") is not None:
            raise Unsupported("kubectl proxy replaces the token: use kubeconfig_for_token here")
        return super().api(method, path, body, **options)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        request = x509.CertificateSigningRequestBuilder(x509.Name(subject)).sign(key, hashes.SHA256())
        pem = request.public_bytes(serialization.Encoding.PEM)
        name = f"{NAMESPACE}-{secrets.token_hex(4)}"
        signer = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
        spec = signer | {"request": base64.b64encode(pem).decode(), "expirationSeconds": 86400}
        self.api("POST", _CSR, {"metadata": {"name": name}, "spec": spec})
        self.kubectl("certificate", "approve", name)
        path = f"{_CSR}/{name}"
        signed = self.wait(
            lambda: self.api("GET", path).get("status", {}).get("certificate"), 30, "a signed certificate"
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        data = {"client-certificate-data": signed, "client-key-data": base64.b64encode(secret).decode()}
        return self.write_kubeconfig(f"user-{name}", data)

    def signal_pod(self, namespace: str, pod: str, number: int = 9) -> None:
        if number != signal.SIGKILL:
            raise Unsupported("pods of this cluster can be killed, not stopped")
        self.kubectl("delete", "pod", "-n", namespace, pod, "--grace-period=0", "--force", "--wait=false")


class KindCluster(ExistingCluster):
    """A cluster of kind, created for the run and deleted after it."""

    def __init__(self) -> None:
        docker = shutil.which("docker")
        if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
            raise ToolError("TOCSIN_CLUSTER=kind needs a Docker engine that answers `docker info`; none does")
        super().__init__()
        self._kind = str(ensure("kind")["kind"])
        self._docker, self._name = docker, f"tocsin-{secrets.token_hex(3)}"

    def _connect(self) -> None:
        self._given = self.folder / "kind.kubeconfig"
        where = ["--name", self._name]
        subprocess.run([self._docker, "build", "-t", IMAGE, "--target", "test", ROOT], check=True)
        subprocess.run(
            [self._kind, "create", "cluster", *where, "--kubeconfig", self._given, "--wait", "180s"], check=True
        )
        subprocess.run([self._kind, "load", "docker-image", IMAGE, *where], check=True)
        super()._connect()

    def close(self) -> None:
        stop_all(self._forwards)
        self._forwards = []
        subprocess.run([self._kind, "delete", "cluster", "--name", self._name], check=False)
        super().close()


def _namespaced() -> list[dict[str, Any]]:
    """A namespace with a Prometheus that scrapes all annotated pods, and a sink."""
    role = {"name": NAMESPACE}
    rules = [{"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list", "watch"]}]
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAMESPACE}
    configuration = yaml.safe_dump(prometheus_configuration([{"role": "pod"}]))
    prometheus = {
        "name": "main",
        "image": PROMETHEUS_IMAGE,
        "args": ["--config.file=/config/prometheus.yml", "--scrape.discovery-reload-interval=1s"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    sink = {"name": "main", "image": IMAGE, "command": ["python", "-m", "tests.cluster.sink", "--port", "8080"]}
    config = [{"name": "config", "configMap": {"name": "prometheus"}}]
    rbac = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": role, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "subjects": [subject],
            "roleRef": reference,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prometheus", "namespace": NAMESPACE},
            "data": {"prometheus.yml": configuration},
        },
        *_served("prometheus", prometheus, 9090, config),
        *_served("sink", sink, 8080, []),
    ]


def _served(name: str, container: dict[str, Any], port: int, volumes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    labels, metadata = {"app": name}, {"name": name, "namespace": NAMESPACE}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": port}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]
