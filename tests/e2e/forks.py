"""How does an operator come back a moment after each kill? A process that has imported everything forks it anew.

An operator takes two seconds of processor time to import; a matrix of a hundred kills has no time for that. Each fork
is a process of its own that runs the operator's `main`, and dies by a real SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.access import Access
from tests.cluster.process import leashed

SHIFT = "TESTS_CLOCK_SHIFT"
"""In the environment of an operator: a file with the seconds that its wall clock is ahead."""


class Forks:
    """The parent of operators that all use one kubeconfig: `with Forks(cluster, kubeconfig) as forks:`."""

    def __init__(self, cluster: Access, kubeconfig: Path) -> None:
        command = leashed([sys.executable, "-m", "tests.e2e.forks"])
        environment = cluster.environment(kubeconfig)
        self._parent = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._ask(do="ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(10)
        self._parent.stdout.close()

    def start(self, arguments: list[str], environment: dict[str, str], log: Path) -> int:
        """Fork an operator; returns its process id."""
        return int(self._ask(do="start", arguments=arguments, environment=environment, log=str(log)))

    def kill(self, pid: int) -> None:
        """End it without a word, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def wait(self, pid: int) -> int:
        """Wait until it has ended; returns its exit code, negative for a signal."""
        return int(self._ask(do="wait", pid=pid))

    def _ask(self, **order: Any) -> Any:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with self._lock:
            self._parent.stdin.write(json.dumps(order) + "\n")
            self._parent.stdin.flush()
            return json.loads(self._parent.stdout.readline())


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with Path(order["log"]).open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.stdin.close()
        os.environ.update(order["environment"])
        if SHIFT in os.environ:
            SystemClock.now = _shifted  # type: ignore[method-assign, assignment]  # this process has a clock of its own
        code = operator(order["arguments"])
    finally:
        os._exit(code)


def _shifted(_: object) -> datetime:
    """The wall clock of a machine on which it is set to and fro."""
    shift = timedelta(seconds=float(Path(os.environ[SHIFT]).read_text()))
    return datetime.now(UTC) + shift  # noqa: TID251 - what the wall clock of that machine says


def _serve() -> None:
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        answer = 0
        match order["do"]:
            case "start":
                answer = _start(order)
                children.add(answer)
            case "wait":
                answer = os.waitstatus_to_exitcode(os.waitpid(order["pid"], 0)[1])
                children.discard(order["pid"])
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer to the other end of the pipe
    for pid in children:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    from tocsin.__main__ import main as operator
    from tocsin.clock import SystemClock

    _serve()
