"""With which flags and files does each component run? One function a component, returning its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.block import Block
from tests.cluster.certificates import Authority

_NO_CONTROLLERS = (  # what pods that are processes on loopback addresses have no use for
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "node-ipam-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "certificatesigningrequest-signing-controller",
)


@dataclass(frozen=True)
class Setting:
    """What all components share."""

    block: Block
    authority: Authority
    binaries: dict[str, Path]
    folder: Path

    @property
    def server(self) -> str:
        return f"https://{self.block.at('apiserver')}"

    def write(self, name: str, document: Any) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(document))
        return path


def etcd(s: Setting) -> list[str]:
    client, peer = f"http://{s.block.at('etcd')}", f"http://{s.block.at('peer')}"
    return [
        str(s.binaries["etcd"]),
        f"--data-dir={s.folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--logger=zap",
        "--log-level=warn",
    ]


def apiserver(s: Setting, audit_log: Path) -> list[str]:
    addresses = [s.block.address, "127.0.0.1", "localhost", "10.96.0.1", "kubernetes", "kubernetes.default.svc"]
    certificate, key = s.authority.server("apiserver", addresses)
    signer = s.authority.signing_key("service-accounts")
    audit = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    policy = s.write("audit-policy.yaml", audit | {"rules": [{"level": "Metadata"}]})
    return [
        str(s.binaries["kube-apiserver"]),
        f"--etcd-servers=http://{s.block.at('etcd')}",
        f"--bind-address={s.block.address}",
        f"--secure-port={s.block.port('apiserver')}",
        "--advertise-address=10.255.255.254",  # a loopback address is refused; nobody asks for this one
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={s.authority.certificate}",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signer}",
        f"--service-account-signing-key-file={signer}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        "--profiling=false",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={audit_log}",
        "--audit-log-maxsize=4096",
        f"--cert-dir={s.folder / 'apiserver'}",
    ]


def controller_manager(s: Setting, kubeconfig: Path) -> list[str]:
    return [
        str(s.binaries["kube-controller-manager"]),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",  # real user names, such as the namespace controller's
        f"--service-account-private-key-file={s.authority.certificate.parent / 'service-accounts.key'}",
        f"--root-ca-file={s.authority.certificate}",
        f"--bind-address={s.block.address}",
        f"--secure-port={s.block.port('controllers')}",
        f"--cert-dir={s.folder / 'controllers'}",
        f"--controllers=*,{','.join('-' + name for name in _NO_CONTROLLERS)}",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--profiling=false",
    ]


def scheduler(s: Setting, kubeconfig: Path) -> list[str]:
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 1000, "burst": 2000},
    }
    return [
        str(s.binaries["kube-scheduler"]),
        f"--config={s.write('scheduler.yaml', configuration)}",
        f"--bind-address={s.block.address}",
        f"--secure-port={s.block.port('scheduler')}",
        f"--cert-dir={s.folder / 'scheduler'}",
    ]


def prometheus(s: Setting, certificate: Path, key: Path) -> list[str]:
    access = {
        "api_server": s.server,
        "tls_config": {"ca_file": str(s.authority.certificate), "cert_file": str(certificate), "key_file": str(key)},
    }
    configuration = prometheus_configuration([{"role": "pod"} | access])
    return [
        str(s.binaries["prometheus"]),
        f"--config.file={s.write('prometheus.yaml', configuration)}",
        f"--storage.tsdb.path={s.folder / 'prometheus'}",
        f"--web.listen-address={s.block.at('prometheus')}",
        "--scrape.discovery-reload-interval=1s",
        "--log.level=warn",
    ]


def prometheus_configuration(discovery: list[dict[str, Any]]) -> dict[str, Any]:
    """Every pod that asks by annotation; the labels of the target win over what a pod claims (`exported_…`)."""
    meta = "__meta_kubernetes_pod"
    rules: list[dict[str, Any]] = [
        {"source_labels": [f"{meta}_annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{meta}_container_init"], "regex": "true", "action": "drop"},
        {"source_labels": [f"{meta}_phase"], "regex": "Pending|Succeeded|Failed|Completed", "action": "drop"},
        {
            "source_labels": [f"{meta}_ip", f"{meta}_annotation_prometheus_io_port"],
            "separator": ":",
            "regex": r"(.+:\d+)",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{meta}_name"], "target_label": "pod"},
        {"source_labels": [f"{meta}_label_app"], "target_label": "app"},
        {"source_labels": [f"{meta}_label_model"], "target_label": "model"},
    ]
    job = {"job_name": "pods", "kubernetes_sd_configs": discovery, "relabel_configs": rules}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
