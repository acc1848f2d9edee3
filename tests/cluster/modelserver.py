"""What does a model look like to Prometheus? A server whose quality is its version's, until told otherwise."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True)
class Quality:
    """How the model does now; each field can be set by `POST /quality`."""

    accuracy: float | None = 0.95
    """None takes the metric away, as a model without fresh labels does; NaN and the infinities are served as such."""
    samples: float = 1000
    """How many labelled outputs the accuracy comes from."""
    latency: float = 0.03
    """Mean seconds an output."""
    errors: float = 0.0
    """Share of outputs that fail."""
    unsafe: float = 0.0
    """Share of outputs that are unsafe."""
    rate: float = 50.0
    """Outputs a second."""
    report_age: float = 0.0
    """Seconds by which the reported time lies back."""
    drift: float = 0.02
    """Population stability index of the feature `income`."""


class Model:
    """Counters that grow with time, by the quality of the moment."""

    def __init__(self, name: str, version: str, quality: Quality) -> None:
        self.name, self.version, self.quality = name, version, quality
        self._lock = threading.Lock()
        self._at = time.monotonic()
        self._outputs = self._errors = self._unsafe = self._seconds = 0.0
        self._buckets = [0.0] * len(BUCKETS)

    def change(self, wanted: dict[str, Any]) -> Quality:
        """Set some fields; unknown ones raise."""
        with self._lock:
            self._grow()
            changes: dict[str, Any] = {k: None if v is None else float(v) for k, v in wanted.items()}
            self.quality = replace(self.quality, **changes)
            return self.quality

    def _grow(self) -> None:
        now = time.monotonic()
        made = (now - self._at) * self.quality.rate
        self._at = now
        self._outputs += made
        self._errors += made * self.quality.errors
        self._unsafe += made * self.quality.unsafe
        self._seconds += made * self.quality.latency
        for index, bound in enumerate(BUCKETS):
            self._buckets[index] += made if bound >= self.quality.latency else 0.0

    def metrics(self) -> str:
        with self._lock:
            self._grow()
            own = f'model="{self.name}",version="{self.version}"'
            q = self.quality
            lines = [
                f'model_quality_samples{{{own},metric="accuracy"}} {q.samples}',
                f"model_outputs_total{{{own}}} {self._outputs}",
                f"model_output_errors_total{{{own}}} {self._errors}",
                f"model_unsafe_outputs_total{{{own}}} {self._unsafe}",
                f'model_drift_psi{{{own},feature="income"}} {q.drift}',
                f"model_report_timestamp_seconds{{{own}}} {time.time() - q.report_age}",
            ]
            if q.accuracy is not None:
                lines.append(f'model_quality_ratio{{{own},metric="accuracy"}} {q.accuracy}')
            name = "model_latency_seconds"
            lines.append(f"# TYPE {name} histogram")
            lines += [
                f'{name}_bucket{{{own},le="{bound}"}} {count}'
                for bound, count in zip(BUCKETS, self._buckets, strict=True)
            ]
            lines.append(f'{name}_bucket{{{own},le="+Inf"}} {self._outputs}')
            lines += [f"{name}_sum{{{own}}} {self._seconds}", f"{name}_count{{{own}}} {self._outputs}"]
            return "\n".join(lines) + "\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        match self.path:
            case "/metrics":
                self._reply(200, self.model.metrics(), "text/plain; version=0.0.4")
            case "/healthz":
                self._reply(200, "ok\n")
            case _:
                self._reply(404, "not found\n")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/predict":
            failed = random.random() < self.model.quality.errors
            time.sleep(self.model.quality.latency)
            self._reply(500 if failed else 200, json.dumps({"version": self.model.version}))
            return
        try:
            quality = self.model.change(json.loads(text))
        except (TypeError, ValueError):
            self._reply(400, f"give a JSON object of {', '.join(field.name for field in fields(Quality))}\n")
            return
        self._reply(200, json.dumps(vars(quality)), "application/json")

    def _reply(self, status: int, text: str, kind: str = "text/plain") -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """One line a scrape would bury what matters."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.modelserver", description=__doc__)
    environment = os.environ
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--name", default=environment.get("MODEL_NAME", "model"))
    parser.add_argument("--version", default=environment.get("MODEL_VERSION", "v1"))
    for field in fields(Quality):
        default = environment.get(f"MODEL_{field.name.upper()}", field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=float(str(default)))
    arguments = parser.parse_args()
    quality = Quality(**{field.name: getattr(arguments, field.name) for field in fields(Quality)})
    _Handler.model = Model(arguments.name, arguments.version, quality)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _Server((environment.get("POD_IP", "0.0.0.0"), arguments.port), _Handler) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
