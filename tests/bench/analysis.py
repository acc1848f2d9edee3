"""What does an evaluation cost beside Argo Rollouts' analysis, of the same models by the same Prometheus?"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.ground import GOOD, Ground, Street, names
from tests.bench.hands import Request
from tests.bench.meters import Meter
from tests.bench.results import Result
from tests.bench.steady import watching
from tests.cluster.process import Process
from tests.cluster.proxy import Proxy
from tests.cluster.tools import ensure, source

GROUP = "/apis/argoproj.io/v1alpha1"
MODULE = "github.com/argoproj/argo-rollouts"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""The 97.5 % quantiles of Student's t for so many pairs."""


@dataclass(frozen=True)
class Block:
    """One spell of one of the two."""

    cpu: float
    memory: float
    evaluations: float
    writes: int

    @property
    def per_thousand(self) -> float:
        """Milliseconds of processor time for a thousand evaluations."""
        return self.cpu * 1e6 / self.evaluations


def analysis(ground: Ground, models: int, every: int, seconds: float, pairs: int) -> list[Result]:
    """The same lines on the same models, by turns (ABBA): Tocsin's policies, and an endless AnalysisRun for each."""
    crds = source(MODULE, "argo-rollouts") / "manifests" / "crds"
    ground.cluster.kubectl("apply", "--server-side", "-k", str(crds))
    ground.cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "analysisruns.argoproj.io")
    ours, theirs = ground.street("ours"), ground.street("theirs")
    crowd = names(models)
    for street in (ours, theirs):
        street.voices()
        street.say(crowd, GOOD)
    ours.policies(crowd, lambda model: watching(model, every))
    blocks: dict[str, list[Block]] = {"ours": [], "theirs": []}
    for number in range(pairs):
        for which in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            one = _ours(ground, models, every, seconds) if which == "ours" else _theirs(theirs, crowd, every, seconds)
            blocks[which].append(one)
    for street in (ours, theirs):
        street.close()
    ratio, low, high = paired(
        [one.per_thousand for one in blocks["ours"]], [one.per_thousand for one in blocks["theirs"]]
    )
    told = {
        which: f"{statistics.median(one.per_thousand for one in some):.0f} ms,"
        f" {statistics.median(one.memory for one in some):.0f} MB,"
        f" {sum(one.writes for one in some) / sum(one.evaluations for one in some) * 1000:.0f} writes"
        for which, some in blocks.items()
    }
    return [
        Result(
            case="analysis",
            row=9,
            what=f"processor time for 1,000 evaluations of {models} models every {every} s",
            target="≤ 1/50 of Argo Rollouts' analysis",
            measured=f"1/{1 / ratio:.0f} (1/{1 / high:.0f} to 1/{1 / low:.0f}, 95 %): {told['ours']} and"
            f" {told['theirs']} for 1,000 evaluations",
            met=ratio <= 1 / 50,
            how=f"/proc of both, by turns, {pairs} pairs of {seconds:.0f} s; Argo Rollouts as it ships, with --qps"
            " raised so that it keeps up, only its analysis running",
            numbers={which: [vars(one) for one in some] for which, some in blocks.items()},
        )
    ]


def paired(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """The ratio of costs that were measured in pairs, and its 95 % interval: Student's, of the logarithms."""
    logs = [math.log(one / other) for one, other in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(logs)
    margin = STUDENT[len(logs)] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - margin), math.exp(mean + margin)


def _ours(ground: Ground, models: int, every: int, seconds: float) -> Block:
    with ground.operator() as operator:
        kind = 'kind="EscalationPolicy"'
        ground.cluster.wait(lambda: operator.metric("tocsin_objects", kind) >= models, 120, "the policies", every=0.5)
        ground.until_quiet(2 * every)
        rounds, cpu = operator.metric("tocsin_rounds_total"), operator.meter.cpu
        ground.audit.read()
        time.sleep(seconds)
        return Block(
            cpu=operator.meter.cpu - cpu,
            memory=operator.meter.memory,
            evaluations=(operator.metric("tocsin_rounds_total") - rounds) * models,
            writes=len(ground.written()),
        )


def _theirs(street: Street, crowd: list[str], every: int, seconds: float) -> Block:
    with rollouts_controller(street.ground, street.ground.cluster.kubeconfig, "--controllers", "analysis") as (
        process,
        metrics,
    ):
        runs = [cut(street, metrics, model, every) | {"metadata": {"generateName": f"{model}-"}} for model in crowd]
        street.ground.hands.do([Request("POST", street.path(GROUP, "analysisruns"), run) for run in runs])
        began = len(metrics.calls)
        street.ground.cluster.wait(lambda: len(metrics.calls) >= began + 2 * len(crowd), 300, "two rounds", every=0.5)
        meter = Meter(process.pid)
        calls, cpu = len(metrics.calls), meter.cpu
        street.ground.audit.read(None)
        time.sleep(seconds)
        entries = [one for one in street.ground.audit.read(None) if one.is_write and one.resource == "analysisruns"]
        block = Block(meter.cpu - cpu, meter.memory, len(metrics.calls) - calls, len(entries))
        street.ground.hands.do([Request("DELETE", street.path(GROUP, "analysisruns"))])
        return block


@contextmanager
def rollouts_controller(ground: Ground, kubeconfig: Path, *more: str) -> Iterator[tuple[Process, Proxy]]:
    """Argo Rollouts as a process, and the proxy that counts its queries."""
    binary = ensure("argo-rollouts")["rollouts-controller"]
    command = [str(binary), "--kubeconfig", str(kubeconfig), "--leader-elect=false", "--loglevel", "error", *more]
    command += ["--qps", "1000", "--burst", "2000"]
    with Proxy(ground.cluster.prometheus_service_url) as metrics:
        process = Process("rollouts-controller", command, ground.folder / "rollouts-controller.log")
        process.start()
        try:
            yield process, metrics
        finally:
            process.stop()


def cut(street: Street, metrics: Proxy, model: str, every: int) -> dict[str, Any]:
    """An AnalysisRun of one model, without a name."""
    query = f'avg(model_quality_ratio{{metric="accuracy",namespace="{street.namespace}",model="{model}"}})'
    metric = {
        "name": "accuracy",
        "interval": f"{every}s",
        "successCondition": "result[0] >= 0.92",
        "provider": {"prometheus": {"address": metrics.url, "query": query}},
    }
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "spec": {"metrics": [metric]}}
