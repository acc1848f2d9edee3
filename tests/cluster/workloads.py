"""Which workloads do tests run? A model behind a Deployment, whose template says which version and how good."""

from __future__ import annotations

from typing import Any

PORT = 18080
"""Not 8080: pods share the machine with whatever else listens on all its addresses."""
IMAGE = "tocsin-test:dev"
"""Used where pods are containers (kind); the node agent ignores images."""


def model_deployment(
    name: str,
    namespace: str,
    *,
    version: str = "v1",
    accuracy: float = 0.95,
    replicas: int = 1,
    model: str | None = None,
    labels: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    image: str = IMAGE,
    port: int = PORT,
) -> dict[str, Any]:
    """A Deployment of the model server; `env` may set more of its quality, such as `MODEL_LATENCY`."""
    model = model or name
    selector = {"app": name}
    variables = {"MODEL_NAME": model, "MODEL_VERSION": version, "MODEL_ACCURACY": str(accuracy)} | (env or {})
    container = {
        "name": "model",
        "image": image,
        "command": ["python", "-m", "tests.cluster.modelserver"],
        "args": ["--port", str(port)],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": selector | {"model": model} | (labels or {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {
                    "labels": selector | {"model": model} | (labels or {}),
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)},
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 2,
                    "containers": [container],
                },
            },
        },
    }
