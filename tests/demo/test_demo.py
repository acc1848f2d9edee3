"""Does the demo tell the whole story in time, and leave nothing behind, whether it ends or is interrupted?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.cluster import ROOT

MARK = "TOCSIN_DEMO_TEST"

pytestmark = pytest.mark.skipif(
    os.environ.get("TOCSIN_CLUSTER", "processes") not in ("", "processes"), reason="it starts a cluster of its own"
)


def descendants() -> list[str]:
    """The command lines of all processes that were started under our mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}={os.getpid()}".encode() in (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if marked and command:
            found.append(command)
    return found


def folder(said: str) -> Path:
    """The cluster's folder, as the story names it."""
    found = re.search(r"-f (\S+)/values.yaml", said)
    assert found, said
    return Path(found[1])


@contextmanager
def demo() -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {MARK: str(os.getpid()), "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


STORY = (
    r"The operator runs as the chart's Deployment: tocsin-\S+ leads",
    r"credit-scoring +Enforce +True +Accepted +True",
    r"PAGE to owners: SEV3 credit-scoring: accuracy — you are asked to act",
    r"Incident credit-scoring-\w+, SEV3, risk \d+: found, and contained without anybody's help",
    r"automatic: roll Deployment/credit-scoring back from revision 2 \S+ to revision 1 ",
    r"PAGE to compliance: SEV3 credit-scoring:",
    r"   ada\$ echo '\{.*\"type\":\"Acknowledge\".*\}' \| kubectl create -f -",
    r"decision.tocsin.dev/acknowledge-\w+ created",
    r"PAGE to owners: SEV3 credit-scoring: resolved",
    r"Incident fraud-detection-\w+, SEV2, risk 68: it asks before it acts",
    r"   67.5  SEV2",
    r"it will not run by itself: no standing authorisation holds for this option",
    r"spec.by must be who asks: it is ben, and you are mallory",
    r"no authorisation stands, so it still asks, and v2 still serves",
    r"Contained: approved by ben. v1 serves again",
    r"decision.tocsin.dev/authorise-\w+ created",
    r"Contained under authorisation authorise-\w+ by eve; approved by nobody",
    r"recommender: nothing happened",
    r"── The incident's own story ──",
    r"opened$",
    r"ben: Approve: approved last-healthy \(1 of 1\) — v1 was well",
    r"episode 2: the breach began anew",
    r"Executing: authorisation authorise-\w+ by eve",
    r"ben: Resolve: resolved; ben writes the post-mortem by \S+ — v3 is withdrawn too",
    r"── Look around ──",
    r"Everything that was started is gone.",
)


def test_the_demo_tells_the_whole_story_and_cleans_up() -> None:
    with demo() as process:
        said, _ = process.communicate(timeout=300)

    assert process.returncode == 0, said
    place = 0
    for line in STORY:
        found = re.compile(line, re.MULTILINE).search(said, place)
        assert found, f"{line} is not there, or not in its place:\n{said}"
        place = found.end()
    # It comes when it comes: what people do meanwhile may be said before or after it.
    assert re.search(r"PAGE to executives: SEV3 credit-scoring: .* you are asked to act", said)
    assert "\x1b" not in said, "no colours without a terminal"
    assert descendants() == []
    assert not folder(said).exists()


def test_an_interrupted_demo_cleans_up() -> None:
    with demo() as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "helm upgrade" in line:
                break
        assert any("kube-apiserver" in command for command in descendants())
        assert folder(said).exists()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        code = process.wait(30)

    assert code == 130, rest
    assert "Interrupted; everything that was started is gone." in rest
    assert descendants() == []
    assert not folder(said).exists()
