"""What is left of an incident's life that was killed beside each of its writes? The end-to-end tests, told as a row."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.bench.results import Result
from tests.cluster.cluster import ROOT

TESTS = ("tests/e2e/test_crashes.py", "tests/e2e/test_replicas.py")
TABLE = re.compile(r"(\d+) kills of the operator in (\d+) lives.*\n((?:.+\n)+?)(?=\.|\n|$)")


def crashes() -> list[Result]:
    """On a cluster of their own; the table of gaps and outcomes is what the tests print."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *TESTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = TABLE.search(done.stdout)
    assert found, done.stdout[-4000:]
    kills, lives, table = found[1], found[2], found[3].rstrip()
    passed = re.search(r"(\d+) passed", done.stdout)
    gaps = 2 * (len(table.splitlines()) - 1)
    same = table.count("the same end")
    return [
        Result(
            case="crashes",
            row=10,
            what="killed before sending and after the answer of every write; two leaders; a paused leader",
            target="0 lost, 0 doubled; notices at most once more for each kill",
            measured=f"{gaps} gaps, {same} with the same end; {kills} kills in {lives} lives;"
            f" {passed[1] if passed else 0} tests of crashes and replicas hold",
            met=done.returncode == 0,
            how=f"{' and '.join(TESTS)}: the incident, the target's history and the receiver's record of each life are"
            " compared with those of an undisturbed one; a gap that is not reached belongs to a write that a life need"
            " not have",
            numbers={"kills": int(kills), "lives": int(lives), "table": table},
        )
    ]
