"""Does a million evaluations leave anything behind? The rounds on a fake server and clock, in a process alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.bench.meters import Meter
from tests.bench.results import Result
from tests.clocks import T0, FakeClock
from tests.cluster.cluster import ROOT
from tests.observe.fake_prometheus import FakePrometheus
from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy
from tocsin.decide.situation import Sample, Vector
from tocsin.engine.rounds import Group, Rounds
from tocsin.engine.telemetry import Telemetry
from tocsin.settings import Settings

QUERY = "accuracy"
STEP = timedelta(minutes=1)


class Flapping(FakePrometheus):
    """Each model is bad one minute in seven, another minute each."""

    def __init__(self, models: int) -> None:
        super().__init__(confines=False)
        self._models = models

    def _at(self, query: Any, at: Any) -> Vector:
        minute = (at - T0) // STEP
        return Vector(
            Sample({"model": f"m-{number}"}, Decimal("0.5") if (minute + number) % 7 == 0 else Decimal("0.95"))
            for number in range(self._models)
        )


def a_policy(number: int) -> EscalationPolicy:
    signal = {"name": "accuracy", "kind": "Quality", "query": QUERY, "warn": "< 0.9", "every": "1m", "for": "3m"}
    tier = {"name": "owners", "severity": "SEV3", "accountable": "owners"}
    spec = {"models": [{"name": f"m-{number}"}], "signals": [signal | {"recoverAfter": "3m"}], "tiers": [tier]}
    metadata = Metadata(name=f"p-{number}", namespace="models", uid=f"u-{number}", generation=1)
    return EscalationPolicy.model_validate({"metadata": metadata, "spec": spec | {"reopenWindow": "1m"}})


def rounds_of(models: int) -> Rounds:
    server = {"url": "http://prometheus", "tenancy": "Single"}
    made = Rounds(
        sources={"default": Flapping(models)},
        settings=Settings.model_validate({"prometheus": {"default": server}}),
        clock=FakeClock(),
        telemetry=Telemetry(),
        wake=lambda *_: None,
        prove=lambda *_: None,
        tell_policy=lambda _: None,
        tell_health=lambda *_: None,
        is_open=lambda _: False,
    )
    for number in range(models):
        made.guard(a_policy(number))
    return made


async def _play(models: int, evaluations: int) -> dict[str, Any]:
    """Memory after each tenth, and the processor time that each took."""
    rounds, meter = rounds_of(models), Meter(os.getpid())
    count = evaluations // models
    memory, seconds, began = [], [], time.process_time()
    for number in range(count):
        await rounds._round(Group("default", STEP, ""), T0 + number * STEP)
        await asyncio.gather(*rounds._rebuilds._tasks)
        if (number + 1) % (count // 10) == 0:
            memory.append(meter.memory)
            seconds.append(time.process_time() - began)
            began = time.process_time()
    return {"models": models, "evaluations": count * models, "memory": memory, "seconds": seconds}


def soak(models: int, evaluations: int) -> list[Result]:
    """In a process of its own, so that nothing else's memory is counted."""
    command = [sys.executable, "-m", "tests.bench.soak", str(models), str(evaluations)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    numbers = json.loads(done.stdout)
    memory, seconds = numbers["memory"][1:], numbers["seconds"][1:]  # the first tenth fills what is then reused
    grown, slower = memory[-1] / memory[0] - 1, seconds[-1] / seconds[0] - 1
    return [
        Result(
            case="soak",
            row=12,
            what=f"{numbers['evaluations']:,} evaluations of {models} flapping models",
            target="memory slope ≤ 1 %",
            measured=f"memory {grown:+.2%} from the second tenth to the last ({memory[-1]:.0f} MB), time {slower:+.0%}",
            met=grown <= 0.01,
            how="the rounds on a fake server and a fake clock; VmRSS and processor time of the process",
            numbers=numbers,
        )
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("models", type=int)
    parser.add_argument("evaluations", type=int)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(_play(given.models, given.evaluations))))
