"""How soon do the tools of progressive delivery take a bad revision back, while it is being rolled out?"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.bench.analysis import GROUP as ARGO
from tests.bench.analysis import MODULE, cut, paired, rollouts_controller
from tests.bench.audit import OPERATOR, Entry
from tests.bench.ground import BAD, GOOD, Ground, Street, a_spec, names
from tests.bench.hands import Request
from tests.bench.meters import Meter
from tests.bench.results import Result, quantile
from tests.cluster.process import Process
from tests.cluster.proxy import Proxy
from tests.cluster.tools import ensure, source
from tests.cluster.workloads import model_deployment

FLAGGER = "/apis/flagger.app/v1beta1"
LINE = 0.92
REPLICAS = 2


@dataclass(frozen=True)
class Running:
    """One that runs."""

    meter: Meter
    metrics: Proxy
    """What it asks Prometheus goes through here, and is counted."""


@dataclass(frozen=True)
class Tool:
    """One that is compared."""

    name: str
    user: str
    running: Callable[[Ground, str], Any]
    """By the user that it acts as."""
    roll_out: Callable[[Street, Proxy, Sequence[str]], None]
    """Have a second revision of these models be on its way, and watched."""
    taken: Callable[[Street, str], tuple[str, str]]
    """What it writes to when it takes the bad revision of a model away: a resource and a name."""


@dataclass(frozen=True)
class Block:
    """One spell of one of them."""

    seconds: list[float]
    """From the value at the exporter to the accepted write."""
    writes: float
    """For each model, from its crossing to the end."""
    queries: float
    """Of Prometheus, a second, for each model that is being rolled out."""
    cpu: float
    """Seconds of processor time a second, for each of them."""
    memory: float


def delivery(ground: Ground, blocks: int, each: int, quiet: float) -> list[Result]:
    """Blocks by turns, each with models of its own that break one soon after another, at no particular time."""
    kubectl = ground.cluster.kubectl
    kubectl("apply", "--server-side", "-k", str(source(MODULE, "argo-rollouts") / "manifests" / "crds"))
    crd = source("github.com/fluxcd/flagger", "flagger") / "artifacts" / "flagger" / "crd.yaml"
    kubectl("apply", "--server-side", "-f", str(crd))
    for plural in ("rollouts.argoproj.io", "canaries.flagger.app"):
        kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", plural)
    taken: dict[str, list[Block]] = {tool.name: [] for tool in TOOLS}
    fresh = iter(names(blocks * len(TOOLS) * each))  # what an earlier block said of its models is still heard
    for number in range(blocks):
        for tool in TOOLS if number % 2 == 0 else TOOLS[::-1]:
            taken[tool.name].append(_block(ground, tool, list(islice(fresh, each)), quiet))
    medians = {name: [statistics.median(one.seconds) for one in some] for name, some in taken.items()}
    ours = medians[TOOLS[0].name]
    ratios = [
        f"{ratio:.2f} × the time of {tool.name} ({low:.2f} to {high:.2f})"
        for tool in TOOLS[1:]
        for ratio, low, high in [paired(ours, medians[tool.name])]
    ]
    return [
        Result(
            case="delivery",
            row=0,
            what="from a value beyond its line, while a revision is rolled out, to the accepted write that takes it"
            " back",
            target="",
            measured=f"Tocsin takes {' and '.join(ratios)}, 95 %, {blocks} pairs",
            met=None,
            how=f"by turns, {each} models a block that break one soon after another; every tool as it ships, asking"
            " as often as it can be made to (Tocsin and Argo Rollouts every second, Flagger every ten) and acting on"
            " the first failure; Argo Rollouts and Flagger have a canary of their own kind, Tocsin a Deployment",
            numbers={
                "peers": [_row(name, some) for name, some in taken.items()],
                "blocks": {name: [vars(one) for one in some] for name, some in taken.items()},
            },
        )
    ]


def _block(ground: Ground, tool: Tool, models: Sequence[str], quiet: float) -> Block:
    street, each = ground.street("delivery"), len(models)
    street.voices()
    street.say(models, GOOD)
    with tool.running(ground, tool.user) as running:
        tool.roll_out(street, running.metrics, models)
        asked, cpu, began = len(running.metrics.calls), running.meter.cpu, time.monotonic()
        time.sleep(quiet)
        spent = (time.monotonic() - began) * each
        queries, cpu = (len(running.metrics.calls) - asked) / spent, (running.meter.cpu - cpu) / spent
        memory = running.meter.memory
        wanted = {tool.taken(street, model): model for model in models}
        ground.audit.read(None)
        said = {}
        for model in models:
            said[model] = street.say([model], BAD)
            time.sleep(random.uniform(0, 0.5))  # no model's crossing is in step with anybody's clock
        seconds, entries = _until_taken(ground, tool, wanted, said)
    ground.vacate(street)
    writes = sum(one.is_write and one.resource not in ("leases", "events") for one in entries)
    return Block(seconds, writes / each, queries, cpu, memory)


def _until_taken(
    ground: Ground, tool: Tool, wanted: dict[tuple[str, str], str], said: dict[str, float]
) -> tuple[list[float], list[Entry]]:
    """The seconds of each model, and all that the tool asked of the API server meanwhile."""
    entries: list[Entry] = []
    seconds: dict[str, float] = {}

    def all_taken() -> bool:
        for one in ground.audit.read(tool.user):
            entries.append(one)
            model = wanted.get((one.resource, one.name))
            if model and one.is_write and one.ended.timestamp() >= said[model]:
                seconds.setdefault(model, one.ended.timestamp() - said[model])
        return len(seconds) == len(wanted)

    try:
        ground.cluster.wait(all_taken, 180, f"the end of {len(wanted)} bad revisions by {tool.name}", every=0.1)
    except AssertionError as late:
        late.add_note(f"not taken back: {sorted(set(wanted.values()) - set(seconds))}")
        raise
    return list(seconds.values()), entries


def _row(name: str, blocks: Sequence[Block]) -> dict[str, Any]:
    seconds = [one for block in blocks for one in block.seconds]
    return {
        "name": name,
        "seconds": f"{quantile(seconds, 0.5):.2f}, {quantile(seconds, 0.95):.2f} (n = {len(seconds)})",
        "writes": f"{statistics.fmean(block.writes for block in blocks):.1f}",
        "cpu": f"{statistics.median(block.cpu for block in blocks) * 1e6:.0f} ms",
        "memory": f"{statistics.median(block.memory for block in blocks):.0f} MB",
        "queries": f"{statistics.median(block.queries for block in blocks):.2f}",
    }


def workload(street: Street, model: str, version: str) -> dict[str, Any]:
    """A Deployment whose pods do nothing, and are ready at once."""
    body = model_deployment(model, street.namespace, version=version, replicas=REPLICAS)
    pods = body["spec"]["template"]
    del pods["metadata"]["annotations"], pods["spec"]["containers"][0]["readinessProbe"]
    pods["spec"]["containers"][0] |= {"command": ["sleep", "3600"], "args": []}
    return body


def _apply(street: Street, group: str, plural: str, bodies: Sequence[dict[str, Any]]) -> None:
    street.ground.hands.do([Request("POST", street.path(group, plural), body) for body in bodies])


def _second_revision(street: Street, group: str, plural: str, models: Sequence[str]) -> None:
    requests = [
        Request("PATCH", street.path(group, plural, model), {"spec": {"template": _template(street, model)}})
        for model in models
    ]
    street.ground.hands.do(requests)


def _template(street: Street, model: str) -> Any:
    return workload(street, model, "v2")["spec"]["template"]


def _until(street: Street, group: str, plural: str, holds: Callable[[Any], bool], what: str) -> None:
    """Wait until it holds of all objects of a kind but the exporter."""

    def all_hold() -> bool:
        items = street.ground.cluster.api("GET", street.path(group, plural), timeout=60)["items"]
        return all(holds(one) for one in items if one["metadata"]["name"] != "voices")

    street.ground.cluster.wait(all_hold, 180, what, every=0.3)


# Tocsin.


@contextmanager
def _tocsin(ground: Ground, _: str) -> Iterator[Running]:
    with ground.operator() as operator:
        yield Running(operator.meter, ground.metrics)


def _tocsin_rolls_out(street: Street, _: Proxy, models: Sequence[str]) -> None:
    street.receivers("owners")
    _apply(street, "/apis/apps/v1", "deployments", [workload(street, model, "v1") for model in models])
    _until(street, "/apis/apps/v1", "deployments", _is_available, "the first revisions")
    street.policies(models, _at_first_failure)
    _second_revision(street, "/apis/apps/v1", "deployments", models)
    _until(street, "/apis/apps/v1", "deployments", _is_available, "the second revisions")
    street.measured()


def _at_first_failure(model: str) -> dict[str, Any]:
    spec = a_spec(model)
    (signal,) = spec["signals"]
    return spec | {"signals": [signal | {"for": "0s"}]}


def _is_available(deployment: Any) -> bool:
    status = deployment.get("status", {})
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(seen and status.get("updatedReplicas") == status.get("availableReplicas") == REPLICAS)


# Argo Rollouts.


@contextmanager
def _argo(ground: Ground, user: str) -> Iterator[Running]:
    with rollouts_controller(ground, ground.cluster.kubeconfig_for(user, ["system:masters"])) as (process, metrics):
        yield Running(Meter(process.pid), metrics)


def _argo_rolls_out(street: Street, metrics: Proxy, models: Sequence[str]) -> None:
    """Half of the replicas, and an analysis every second beside them that ends the rollout at its first failure."""
    template = cut(street, metrics, "{{args.model}}", 1) | {
        "kind": "AnalysisTemplate",
        "metadata": {"name": "accuracy"},
    }
    template["spec"]["args"] = [{"name": "model"}]
    _apply(street, ARGO, "analysistemplates", [template])
    analysis = {"templates": [{"templateName": "accuracy"}]}
    rollouts = []
    for model in models:
        body = workload(street, model, "v1")
        watched = analysis | {"args": [{"name": "model", "value": model}]}
        canary = {"steps": [{"setWeight": 50}, {"pause": {}}], "analysis": watched}
        body |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
        body["spec"]["strategy"] = {"canary": canary}
        rollouts.append(body)
    _apply(street, ARGO, "rollouts", rollouts)
    _until(street, ARGO, "rollouts", lambda one: one.get("status", {}).get("phase") == "Healthy", "the first revisions")
    _second_revision(street, ARGO, "rollouts", models)
    _until(street, ARGO, "rollouts", lambda one: one["status"].get("phase") == "Paused", "the canaries")
    _until(street, ARGO, "analysisruns", lambda one: one.get("status", {}).get("phase") == "Running", "the analyses")


def _canary_set(street: Street, model: str) -> tuple[str, str]:
    query = f"replicasets?labelSelector=app%3D{model}"
    sets = street.ground.cluster.api("GET", street.path("/apis/apps/v1", query))["items"]
    number = "rollout.argoproj.io/revision"
    return "replicasets", next(
        one["metadata"]["name"] for one in sets if one["metadata"]["annotations"].get(number) == "2"
    )


# Flagger.


@contextmanager
def _flagger(ground: Ground, user: str) -> Iterator[Running]:
    command = [str(ensure("flagger")["flagger"]), "--mesh-provider", "kubernetes", "--log-level", "error"]
    command += ["--kubeconfig", str(ground.cluster.kubeconfig_for(user, ["system:masters"])), "--port", "18081"]
    command += ["--control-loop-interval", "1s", "--kubeconfig-qps", "1000", "--kubeconfig-burst", "2000"]
    with Proxy(ground.cluster.prometheus_service_url) as metrics:
        process = Process("flagger", [*command, "--metrics-server", metrics.url], ground.folder / "flagger.log")
        process.start()
        try:
            yield Running(Meter(process.pid), metrics)
        finally:
            process.stop()


def _flagger_rolls_out(street: Street, metrics: Proxy, models: Sequence[str]) -> None:
    """Blue and green, with an analysis as often as it allows that ends the rollout at its first failure."""
    query = f'avg(model_quality_ratio{{metric="accuracy",namespace="{street.namespace}",model="{{{{ target }}}}"}})'
    template = {"provider": {"type": "prometheus", "address": metrics.url}, "query": query}
    kind = {"apiVersion": "flagger.app/v1beta1"}
    _apply(street, FLAGGER, "metrictemplates",
           [kind | {"kind": "MetricTemplate", "metadata": {"name": "accuracy"}, "spec": template}])  # fmt: skip
    _apply(street, "/apis/apps/v1", "deployments", [workload(street, model, "v1") for model in models])
    metric = {"name": "accuracy", "templateRef": {"name": "accuracy"}, "thresholdRange": {"min": LINE}}
    analysis = {"interval": "10s", "threshold": 1, "iterations": 1000, "metrics": [metric | {"interval": "1m"}]}
    spec = {"service": {"port": 80}, "progressDeadlineSeconds": 120, "analysis": analysis}
    canaries = []
    for model in models:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": model}
        canaries.append(kind | {"kind": "Canary", "metadata": {"name": model}, "spec": spec | {"targetRef": target}})
    _apply(street, FLAGGER, "canaries", canaries)
    _until(street, FLAGGER, "canaries", lambda one: _phase(one) == "Initialized", "the first revisions")
    _second_revision(street, "/apis/apps/v1", "deployments", models)
    _until(street, FLAGGER, "canaries", lambda one: _phase(one) == "Progressing", "the canaries")
    _until(street, FLAGGER, "canaries", lambda one: one["status"].get("iterations", 0) >= 1, "the analyses")


def _phase(canary: Any) -> str:
    return str(canary.get("status", {}).get("phase"))


def _the_deployment(_: Street, model: str) -> tuple[str, str]:
    return "deployments", model


TOOLS = (
    Tool("Tocsin", OPERATOR, _tocsin, _tocsin_rolls_out, _the_deployment),
    Tool("Argo Rollouts", "argo-rollouts", _argo, _argo_rolls_out, _canary_set),
    Tool("Flagger", "flagger", _flagger, _flagger_rolls_out, _the_deployment),
)
