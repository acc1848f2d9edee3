"""The page of the benchmarks, made out of the results: one row a target, met or missed, with the reason."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
REASONS = {
    3: "Three writes stand before the one that contains: the incident, the budget, the intent. Creating an incident and"
    " writing its status take 4 to 7 ms each on this server, as much as five requests r; nine more requests and the"
    " operator's own 20 ms stand beside them. See [decision 8](decisions/0008-lists-from-the-cache.md) and"
    " [decision 9](decisions/0009-a-held-target-is-remembered.md) for what it was. It still grows with incidents that"
    " stay open: a third from the first twenty to the last. Each is decided at every evaluation, here once a second.",
    4: "The operator is one process in Python on a machine that it shares with the API server: an incident costs it"
    " 42 ms of processor time, and two thirds of the requests are reads that the floor W′ does not count.",
}
"""Why a row is missed."""
TARGETS = {
    1: "queries a round while nothing is wrong",
    2: "writes while nothing is wrong",
    3: "from a crossing to its containment",
    4: "everything breaks at once",
    5: "writes to a containment",
    6: "10,000 deadlines due in the same second",
    7: "memory by policies",
    8: "from a start to everything watched",
    9: "processor time beside Argo Rollouts' analysis, in one run",
    10: "killed between any two writes, two leaders, a paused leader: shown by tests/e2e/test_crashes.py and"
    " test_replicas.py, not tabulated here",
    11: "one flooding tenant",
    12: "a million evaluations",
}
"""What each row is of: told of those that have no result."""
VERDICTS = {True: "met", False: "missed", None: "not compared yet"}


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    machine = document["machine"]
    results = sorted(document["results"], key=lambda one: one["row"])
    rows = [
        f"| {one['row']} | {one['what']} | {one['target']} | {one['measured']} | {VERDICTS[one['met']]} |"
        for one in results
    ]
    how = [f"| {one['row']} | {one['how']} |" for one in results]
    unknown, told = "why is not known yet.", {one["row"] for one in results}
    missing = [f"- Row {row}: {what}." for row, what in TARGETS.items() if row not in told]
    missed = [f"- Row {one['row']}: {REASONS.get(one['row'], unknown)}" for one in results if one["met"] is False]
    return "\n".join(
        [
            "<!-- Generated from tests/bench/results.json by `make bench`; change tests/bench, not this page. -->",
            "# Benchmarks",
            "",
            f"Measured on {machine['cores']} cores ({machine['processor']}), {machine['memory']}, Kubernetes"
            f" {machine['kubernetes']}, Python {machine['python']}, Tocsin {machine['tocsin']}: API server, etcd,"
            " controllers, Prometheus and the operator share the machine.",
            "",
            "Every speed is told as a multiple of a floor that was measured in the same run: r is one sequential API"
            " request (GET and PATCH of a ConfigMap by turns, the median), W′ the writes a second that this API server"
            " bears while as many plain rollouts run, a raw list the time to list all of our objects with nobody to"
            " handle them. The raw samples are in `tests/bench/results.json`.",
            "",
            "| row | what | target | measured | verdict |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            *(["## Why rows are missed", "", *missed, ""] if missed else []),
            "## How",
            "",
            "| row | by |",
            "| --- | --- |",
            *how,
            "",
            "## Not measured yet",
            "",
            *missing,
            "",
            "## Run it",
            "",
            "```sh",
            "make bench                                   # everything, about 10 minutes on two cores",
            ".venv/bin/python -m tests.bench contain --quick   # one case, small: its counts hold",
            "```",
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.report", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    chosen.add_argument("--check", action="store_true", help="fail when it is not what the results give")
    wanted = page(json.loads(RESULTS.read_text()))
    if parser.parse_args().write:
        PAGE.write_text(wanted)
        return 0
    if PAGE.read_text() == wanted:
        return 0
    print("docs/benchmarks.md is not what tests/bench/results.json gives: run python -m tests.bench.report --write")
    return 1


if __name__ == "__main__":
    sys.exit(main())
