"""Measure Tocsin: `python -m tests.bench`, every case, or those that are named."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.analysis import analysis
from tests.bench.contain import contain
from tests.bench.crashes import crashes
from tests.bench.deadlines import deadlines
from tests.bench.delivery import delivery
from tests.bench.flood import flood
from tests.bench.ground import Ground
from tests.bench.growth import growth
from tests.bench.peers import peers
from tests.bench.report import VERDICTS
from tests.bench.results import Result
from tests.bench.soak import soak
from tests.bench.steady import steady
from tests.bench.storm import storm
from tests.bench.unrest import unrest
from tests.cluster.cluster import Cluster
from tests.cluster.tools import KUBERNETES
from tests.e2e.stage import Installed
from tocsin import __version__

POWERS = [1, 2, 4, 8]


@dataclass(frozen=True)
class Case:
    """What can be measured by itself."""

    what: str
    full: Callable[[Ground], list[Result]]
    quick: Callable[[Ground], list[Result]]


CASES = {
    "steady": Case(
        "cost when nothing is wrong, and starts",
        full=lambda ground: steady(ground, [100, 1000, 10_000], 20, 5),
        quick=lambda ground: steady(ground, [50, 100], 10, 1),
    ),
    "storm": Case(
        "everything breaks at once",
        full=lambda ground: storm(ground, [100, 300, 1000, 5000], row=1000),
        quick=lambda ground: storm(ground, [10, 30], row=30),
    ),
    "unrest": Case(
        "models that flap, policies that are edited",
        full=lambda ground: unrest(ground, 100, 5, 1000, 30),
        quick=lambda ground: unrest(ground, 5, 2, 50, 2),
    ),
    "deadlines": Case(
        "very many deadlines in one second",
        full=lambda ground: deadlines(ground, [1000, 10_000]),
        quick=lambda ground: deadlines(ground, [10, 20], 20, 5),
    ),
    "flood": Case(
        "one tenant floods",
        full=lambda ground: flood(ground, 60, 1000),
        quick=lambda ground: flood(ground, 5, 20),
    ),
    "contain": Case(
        "time and writes to a containment",
        full=lambda ground: contain(ground, 200),
        quick=lambda ground: contain(ground, 10),
    ),
    "analysis": Case(
        "beside Argo Rollouts' analysis",
        full=lambda ground: analysis(ground, 300, 5, 20, 5),
        quick=lambda ground: analysis(ground, 20, 2, 6, 2),
    ),
    "peers": Case(
        "beside Alertmanager and a webhook",
        full=lambda ground: peers(ground, 5, 6, 1000, 15, 3),
        quick=lambda ground: peers(ground, 2, 2, 20, 2, 1),
    ),
    "delivery": Case(
        "beside Argo Rollouts and Flagger",
        full=lambda ground: delivery(ground, 5, 10, 15),
        quick=lambda ground: delivery(ground, 2, 2, 2),
    ),
    "growth": Case(
        "by signals, and by responders",
        full=lambda ground: growth(ground, POWERS, POWERS, 50, 20),
        quick=lambda ground: growth(ground, [1, 2], [1, 2], 5, 5),
    ),
    "crashes": Case("killed beside every write", full=lambda _: crashes(), quick=lambda _: crashes()),
    "soak": Case(
        "a million evaluations",
        full=lambda _: soak(1000, 1_000_000),
        quick=lambda _: soak(100, 20_000),
    ),
}


def run(wanted: list[str], quick: bool, say: Callable[[str], object]) -> Iterator[list[Result]]:
    """One after another, each case on a cluster of its own: the incidents of a storm go on for long after it."""
    for name in wanted:
        began = time.monotonic()
        case = CASES[name]
        say(f"{name}: {case.what} …")
        with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
            ground = Ground(cluster, Installed.install(cluster, Path(folder)), Path(folder))
            results = (case.quick if quick else case.full)(ground)
            for result in results:
                verdict = VERDICTS[result.met]
                say(f"  row {result.row}: {result.what}: {result.measured}; target {result.target}: {verdict}")
        say(f"  {time.monotonic() - began:.0f} s")
        yield results


def machine() -> dict[str, Any]:
    """What it was measured on."""
    with Path("/proc/cpuinfo").open() as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GB",
        "python": platform.python_version(),
        "kubernetes": KUBERNETES,
        "tocsin": __version__,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"default: {' '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: counts are right, times say little")
    parser.add_argument("--out", type=Path, help="write the results as JSON to this file, beside those of other cases")
    arguments = parser.parse_args()
    if unknown := set(arguments.case) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    for results in run(arguments.case or list(CASES), arguments.quick, lambda line: print(line, flush=True)):
        if arguments.out:  # after each case: what is measured is kept if a later one fails
            document = {"results": kept(arguments.out, results, machine() | {"quick": arguments.quick})}
            arguments.out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0


def kept(out: Path, results: list[Result], where: dict[str, Any]) -> list[dict[str, Any]]:
    """These results with what they were measured on, and those that are there already of cases that were not run."""
    before = json.loads(out.read_text())["results"] if out.exists() else []
    fresh = {one.case for one in results}
    return [one for one in before if one["case"] not in fresh] + [one.dump() | {"machine": where} for one in results]


if __name__ == "__main__":
    sys.exit(main())
