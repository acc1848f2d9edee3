"""How are the cluster's processes started and ended, so that nothing is ever left behind?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class StartError(Exception):
    """A component did not come up; the message ends with the tail of its log."""


# "Die with the parent" means the thread that forked: one thread, alive as long as we are, starts everything.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def leashed(command: Sequence[str]) -> list[str]:
    """The command, killed by the kernel when the thread that starts it ends, however it ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


def end_group(pid: int, number: int) -> None:
    """Send a signal to the process group of one of our own children."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


class Process:
    """One component: a child in its own process group, its output in one log file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._environment = dict(environment) if environment is not None else None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise StartError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        if self.running:
            return
        with self.log.open("ab") as log:
            self._child = _spawner.submit(
                subprocess.Popen,
                leashed(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            ).result()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it still runs."""
        if self.running:
            end_group(self.pid, number)

    def stop(self, grace: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; returns when the process is gone."""
        if self._child is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._child.wait()
        end_group(self._child.pid, signal.SIGKILL)

    def tail(self, lines: int = 25) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until it answers; an early exit or a time-out raises with the end of its log."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.running:
                code = self._child.returncode if self._child else "?"
                raise StartError(f"{self.name} ended with {code}; its log, {self.log}, ends:\n{self.tail()}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} is not ready after {timeout:.0f} s; its log, {self.log}, ends:\n{self.tail()}"
                )
            time.sleep(0.03)


def stop_all(processes: Sequence[Process], grace: float = 5.0) -> None:
    """Ask all at once (with no grace: kill all at once), then wait for each: as quick as the slowest."""
    for process in processes:
        process.signal(signal.SIGTERM if grace > 0 else signal.SIGKILL)
    deadline = time.monotonic() + grace
    for process in processes:
        process.stop(max(0.1, deadline - time.monotonic()))
