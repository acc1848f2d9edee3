"""How does a test get a real Prometheus with exactly its series? One process without targets, fed over OTLP."""

from __future__ import annotations

import json
import math
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster import tools
from tests.cluster.process import Process

FEATURES = (
    "promql-experimental-functions",
    "promql-duration-expr",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
)


class RecordedPrometheus:
    """A Prometheus process that scrapes nothing: it holds what it is told, at any instant of some months."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        configuration = folder / "prometheus.yaml"
        configuration.write_text(
            "otlp: {translation_strategy: NoTranslation}\nstorage: {tsdb: {out_of_order_time_window: 30d}}\n"
        )
        command = [
            str(tools.ensure("prometheus")["prometheus"]),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--web.enable-otlp-receiver",
            f"--enable-feature={','.join(FEATURES)}",
            "--log.level=warn",
        ]
        self.url = f"http://{address}"
        self._process = Process("prometheus", command, folder / "log")

    def start(self) -> None:
        self._process.start()
        self._process.until(self._ready, 30)

    def stop(self) -> None:
        self._process.stop()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def record(
        self, metric: str, labels: Mapping[str, str], points: Mapping[datetime, float | None], histogram: bool = False
    ) -> None:
        """Store samples; None is the mark by which a scraped series ends. A histogram has the value as its count."""
        attributes = [{"key": name, "value": {"stringValue": value}} for name, value in labels.items()]
        found = [self._point(at, value, histogram) | {"attributes": attributes} for at, value in points.items()]
        kind: dict[str, Any] = {"gauge": {"dataPoints": found}}
        if histogram:
            kind = {"exponentialHistogram": {"dataPoints": found, "aggregationTemporality": 2}}
        self._send([{"name": metric} | kind])

    @staticmethod
    def _point(at: datetime, value: float | None, histogram: bool) -> dict[str, Any]:
        point: dict[str, Any] = {"timeUnixNano": str(round(at.timestamp() * 1000) * 1_000_000)}
        if value is None:
            return point | {"flags": 1}
        if histogram:
            return point | {"count": str(int(value)), "sum": value, "scale": 0, "zeroCount": str(int(value))}
        return point | {"asDouble": value if math.isfinite(value) else str(value).replace("inf", "Infinity")}

    def _send(self, metrics: Sequence[dict[str, Any]]) -> None:
        body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": list(metrics)}]}]}
        request = urllib.request.Request(
            f"{self.url}/api/v1/otlp/v1/metrics",
            json.dumps(body).replace('"nan"', '"NaN"').encode(),
            {"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as bad:
            raise AssertionError(f"{bad.code}: {bad.read().decode()}") from bad
