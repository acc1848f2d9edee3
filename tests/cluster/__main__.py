"""How does a developer keep a cluster? `python -m tests.cluster up`, then `env`, `status` and `down`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.process import StartError
from tests.cluster.tools import ToolError, cache, ensure

_HOLD = "--hold"


def _file(name: str) -> Path:
    return cache() / name


def _state() -> dict[str, Any] | None:
    """What the running cluster wrote of itself; None when its process is gone."""
    try:
        state: dict[str, Any] = json.loads(_file("cluster.json").read_text())
        command = Path(f"/proc/{state['pid']}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return state if _HOLD.encode() in command else None


def _hold() -> None:
    """Be the cluster until SIGTERM."""
    with Cluster() as c:
        state = {
            "pid": os.getpid(),
            "folder": str(c.folder),
            "pids": c.pids(),
            "environment": {
                "KUBECONFIG": str(c.kubeconfig),
                "PROMETHEUS_URL": c.prometheus_url,
                "SINK_URL": c.sink.url().rstrip("/"),
                "PATH": c.environment()["PATH"].removesuffix(os.environ["PATH"]),
            },
        }
        file = _file("cluster.json")
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps(state))
        scratch.rename(file)
        try:
            signal.pause()
        finally:
            file.unlink(missing_ok=True)


def _up() -> int:
    if _state() is None:
        ensure()
        cache().mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.cluster", "up", _HOLD]
        with _file("cluster.log").open("w") as log:
            child = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        while _state() is None:
            if child.poll() is not None:
                sys.stderr.write(_file("cluster.log").read_text()[-4000:])
                return 1
            time.sleep(0.05)
        child.returncode = 0  # it lives on, by design; Popen would warn
    return _env()


def _env() -> int:
    state = _state()
    if state is None:
        sys.stderr.write("No cluster is up: start one by `python -m tests.cluster up`.\n")
        return 1
    for name, value in state["environment"].items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}{'$PATH' if name == 'PATH' else ''}\n")
    return 0


def _status() -> int:
    state = _state()
    if state is None:
        sys.stdout.write("down\n")
        return 1
    sys.stdout.write(f"up; process {state['pid']}, files and logs in {state['folder']}\n")
    for name, pid in state["pids"].items():
        sys.stdout.write(f"  {name:12} {pid}\n")
    return 0


def _down() -> int:
    state = _state()
    if state is None:
        sys.stdout.write("No cluster is up.\n")
        return 0
    os.kill(state["pid"], signal.SIGTERM)
    for _ in range(300):
        if not Path(f"/proc/{state['pid']}").exists():
            sys.stdout.write("The cluster is down.\n")
            return 0
        time.sleep(0.1)
    sys.stderr.write(f"Process {state['pid']} does not end; see {_file('cluster.log')}.\n")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("action", choices=("up", "env", "status", "down"))
    parser.add_argument(_HOLD, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        if arguments.hold:
            _hold()
            return 0
        return {"up": _up, "env": _env, "status": _status, "down": _down}[arguments.action]()
    except (ToolError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
