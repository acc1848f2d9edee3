"""What does a model export that says anything? The text of the variable METRICS, until another text is posted."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cluster.workloads import IMAGE, PORT, model_deployment


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = os.environ["METRICS"].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        os.environ["METRICS"] = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """One line a scrape would bury what matters."""


def exporting(name: str, namespace: str, *lines: str) -> dict[str, Any]:
    """A Deployment that exports these lines."""
    body = model_deployment(name, namespace)
    body["spec"]["template"]["spec"]["containers"] = [
        {
            "name": "model",
            "image": IMAGE,
            "command": ["python", "-m", "tests.e2e.exporter"],
            "env": [{"name": "METRICS", "value": "".join(f"{line}\n" for line in lines)}],
            "ports": [{"name": "http", "containerPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/metrics", "port": "http"}, "periodSeconds": 1},
        }
    ]
    return body


if __name__ == "__main__":
    with ThreadingHTTPServer((os.environ.get("POD_IP", "0.0.0.0"), PORT), _Handler) as server:
        server.serve_forever()
