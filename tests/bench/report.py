"""The page of the benchmarks, made out of the results: one row a target, met or missed, with the reason."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.plot import drawing, figures

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PLOT = PAGE.with_name("benchmarks.svg")
REASONS = {
    3: "three writes stand before the one that contains: the incident, the budget, the intent. An incident is a custom"
    " resource of some kilobytes, and what the API server spends on a write of one goes into decoding, validating and"
    " encoding it, none of it foremost (pprof): the four writes alone take more than the target. Of the rest nearly all"
    " is our own process, which reads, judges and encodes between them in Python; questions about rights, which were"
    " another four requests, are asked once for a namespace now. See [decision"
    " 8](decisions/0008-lists-from-the-cache.md) and [decision 9](decisions/0009-a-held-target-is-remembered.md) for"
    " what it was.",
    4: "the operator is one process in Python, which computes for half of that time, on a machine whose two cores it"
    " shares with the API server; and two thirds of its requests are reads, which the floor W′ does not count. With"
    " 5,000 models in one namespace it takes more than five times as long as with 1,000: the API server finds the"
    " ReplicaSets of one workload, and the incidents of one model, by looking through all of the namespace (a list of"
    " 10,000 takes 155 ms); our own process spends 110 ms an incident instead of 70, 31 of them on the rounds that go"
    " on meanwhile. Measured before rights were asked for a namespace, which takes four of 24 requests away.",
    6: "a tier entry is one write, of an incident, for which the API server takes 25 ms of processor time (decoding,"
    " validating, encoding and telling the watches of some kilobytes; no part foremost, by pprof) and our process 13,"
    " while a write of the floor W′ takes 3. The second ratio is to what this server bears of the very same writes.",
    7: "a policy holds 3.5 kB in the store, 2.5 in the rounds, 0.6 in a memory and 0.8 in kopf, each measured alone, so"
    " that 10,000 would fit; 1,000 do. By the steps of the start (in the table) the lists bring what the store holds;"
    " the first evaluations and the reading of the past bring the rest, most of it room that passed through and that"
    " Python's allocator keeps: a slice of the past holds 44 MB at once (tracemalloc). A start in a cluster where"
    " nothing was written lately took 221 MB, so that the statuses of 9,000 policies that the operator sees for the"
    " first time are part of it; how large a part has not been taken apart. [Decision"
    " 14](decisions/0014-what-ten-thousand-policies-hold.md) says what it was.",
    9: "an evaluation of ours has a fixed part, the Lease, the gauges and one query a round, which 300 models share;"
    " with 1,000 it costs half as much (see how cost grows). Argo Rollouts writes the status of an AnalysisRun at"
    " each evaluation; Tocsin writes nothing.",
    11: "the same process, and the same API server on two cores, open the tenant's thousand incidents meanwhile."
    " Namespaces take turns ([decision 11](decisions/0011-tenants-take-turns.md)), so that others wait for one step of"
    " the tenant's at a time; but the step that both servers are at takes their processors. Before that decision and"
    " [decision 12](decisions/0012-deciding-on-news.md) it was 3.5 ×, and everybody waited for the slow query.",
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
    10: "killed between any two writes, two leaders, a paused leader",
    11: "one flooding tenant",
    12: "a million evaluations",
}
"""What each row is of: told of those that have no result."""
VERDICTS = {True: "met", False: "missed", None: "not compared yet"}


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    results = sorted(document["results"], key=lambda one: one["row"])
    targets = [one for one in results if one["row"]]
    rows = [
        f"| {one['row']} | {one['what']} | {one['target']} | {one['measured']} | {VERDICTS[one['met']]} |"
        for one in targets
    ]
    how = [f"| {one['row']} | {one['how']} |" for one in targets]
    unknown, told = "why is not known yet.", {one["row"] for one in targets}
    missing = [f"- Row {row}: {what}." for row, what in TARGETS.items() if row not in told]
    missed = [f"- Row {one['row']}: {REASONS.get(one['row'], unknown)}" for one in targets if one["met"] is False]
    others = [
        f"- {one['what']}: {one['measured']} ({one['how']})."
        for one in results
        if not one["row"] and not one["numbers"].keys() & {"curve", "peers", "table"}
    ]
    grown = [
        f"| {one['curve']['x']} | {one['curve']['y']} | {_points(one['curve'])} | {one['curve']['exponent']:.2f} |"
        for one in _with("curve", results)
    ]
    gaps = [line for one in _with("table", results) for line in ("```", *one["table"].splitlines(), "```", "")]
    return "\n".join(
        [
            "<!-- Generated from tests/bench/results.json by `make bench`; change tests/bench, not this page. -->",
            "# Benchmarks",
            "",
            *_machines(results),
            "API server, etcd, controllers, Prometheus and the operator share the machine.",
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
            *_section("Why rows are missed", missed),
            *_section("Not measured yet", missing),
            "## How",
            "",
            "| row | by |",
            "| --- | --- |",
            *how,
            "",
            *_beside(results),
            *_section("Without a target", others),
            "## How cost grows",
            "",
            "An exponent of 1 is in proportion, of 0 not at all; it is the slope of the line through the logarithms.",
            "",
            "| by | what | measured | exponent |",
            "| --- | --- | --- | --- |",
            *grown,
            "",
            f"![costs by sizes, in logarithms]({PLOT.name})",
            "",
            *(["## Killed beside every write", "", *gaps] if gaps else []),
            "## Run it",
            "",
            "```sh",
            "make bench                                   # everything, about two hours and a half on two cores",
            ".venv/bin/python -m tests.bench contain --quick   # one case, small: its counts hold",
            "```",
            "",
        ]
    )


def _machines(results: Sequence[dict[str, Any]]) -> list[str]:
    """What each case was measured on: once, when it was all the same."""
    cases: dict[str, list[str]] = {}
    for one in results:
        machine = one["machine"]
        told = (
            f"{machine['cores']} cores ({machine['processor']}), {machine['memory']}, Kubernetes"
            f" {machine['kubernetes']}, Python {machine['python']}, Tocsin {machine['tocsin']}"
        )
        cases.setdefault(told, []).append(one["case"])
    if len(cases) == 1:
        return [f"Measured on {next(iter(cases))}.", ""]
    told_each = [f"- {', '.join(sorted(set(names)))}: on {told}." for told, names in cases.items()]
    return ["Not everything was measured on one machine, and only what was is to be compared:", "", *told_each, ""]


COLUMNS = {
    "name": "",
    "seconds": "seconds, median and p95",
    "writes": "writes",
    "queries": "queries a second for a model",
    "cpu": "processor time a second for 1,000 models",
    "memory": "memory",
    "killed": "killed beside the write",
}
"""What is told of each peer, where it was measured."""


def _beside(results: Iterable[dict[str, Any]]) -> list[str]:
    """What was measured of others beside us."""
    lines: list[str] = []
    for one in results:
        if peers := one["numbers"].get("peers"):
            lines += [f"{one['what'].capitalize()}: {one['how']}.", "", f"**{one['measured']}.**", ""]
            keys = [key for key in COLUMNS if key in peers[0]]
            lines += [f"| {' | '.join(COLUMNS[key] for key in keys)} |", f"|{' --- |' * len(keys)}"]
            lines += [f"| {' | '.join(peer[key] for key in keys)} |" for peer in peers]
            lines += [""]
    return _section("Beside what people would use instead", lines[:-1])


def _with(key: str, results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The raw numbers of those results that have this among them."""
    return [one["numbers"] for one in results if one["numbers"].get(key)]


def _points(curve: dict[str, Any]) -> str:
    return ", ".join(f"{figures(y)} at {x:,}" for x, y in zip(curve["xs"], curve["ys"], strict=True))


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def files(document: dict[str, Any]) -> dict[Path, str]:
    """What is generated: the page, and the picture in it."""
    curves = [one["curve"] for one in _with("curve", sorted(document["results"], key=lambda one: one["row"]))]
    return {PAGE: page(document), PLOT: drawing(curves)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.report", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its picture")
    chosen.add_argument("--check", action="store_true", help="fail when they are not what the results give")
    document = json.loads(RESULTS.read_text())
    if small := sorted({one["case"] for one in document["results"] if one["machine"]["quick"]}):
        parser.error(f"measured with --quick, which is not published: run python -m tests.bench {' '.join(small)}")
    wanted = files(document)
    if parser.parse_args().write:
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if stale:
        print(f"{', '.join(stale)}: not what tests/bench/results.json gives; run python -m tests.bench.report --write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
