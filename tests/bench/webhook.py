"""What many would write in an afternoon: a webhook of Alertmanager that rolls the Deployment of a bad model back."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes import client, config

NUMBER = "deployment.kubernetes.io/revision"


def roll_back(namespace: str, name: str) -> None:
    """As `kubectl rollout undo` does: the template of the revision before the present one."""
    apps = client.AppsV1Api()
    deployment = apps.read_namespaced_deployment(name, namespace)
    selector = deployment.spec.selector.match_labels or {}
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    sets: list[Any] = apps.list_namespaced_replica_set(namespace, label_selector=labels).items
    *_, before, _ = sorted(sets, key=lambda one: int(one.metadata.annotations[NUMBER]))
    template = client.ApiClient().sanitize_for_serialization(before.spec.template)
    template["metadata"]["labels"].pop("pod-template-hash")
    change = [{"op": "replace", "path": "/spec/template", "value": template}]
    apps.patch_namespaced_deployment(name, namespace, change)


class Handler(BaseHTTPRequestHandler):
    """Every alert that fires names a namespace and a model, whose Deployment has its name."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            for alert in message["alerts"]:
                if alert["status"] == "firing":
                    roll_back(alert["labels"]["namespace"], alert["labels"]["model"])
            self.send_response(200)
        except Exception as failed:  # noqa: BLE001 - Alertmanager sends it again
            self.log_error("%r", failed)
            self.send_response(500)
        self.end_headers()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001)
    arguments = parser.parse_args()
    config.load_kube_config()
    ThreadingHTTPServer((arguments.bind, arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
