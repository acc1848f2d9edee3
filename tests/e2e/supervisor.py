"""Who starts the operator again after each kill?"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from tests.cluster.proxy import Call
from tests.e2e.forks import Forks
from tests.e2e.stage import SYSTEM, OperatorProcess


@dataclass
class Supervisor:
    """Starts the operator again at once whenever it was killed, as a Deployment does."""

    forks: Forks
    operator: OperatorProcess
    pid: int = 0
    kills: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def log(self) -> str:
        """The end of what all of them said."""
        return (self.operator.home / "log").read_text()[-20_000:]

    def start(self) -> None:
        arguments = ["run", "--settings", str(self.operator.home / "settings.yaml")]
        arguments += ["--probe-port", "0", "--metrics-port", "0"]
        environment = {"POD_NAMESPACE": SYSTEM, "POD_NAME": self.operator.name}
        self.pid = self.forks.start(arguments, environment, self.operator.home / "log")

    def crash(self, call: Call | None = None) -> None:
        """Kill the operator that sent this, or that runs; one that is dead already is not killed twice."""
        with self.lock:
            if call and self.kills and call.started < self.kills[-1]:
                return
            self.forks.kill(self.pid)
            self.kills.append(time.monotonic())
            self.start()
