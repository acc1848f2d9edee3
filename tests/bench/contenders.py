"""Who else would contain a bad model? Each as it ships, as quick as it can be configured, and as its defaults are."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.bench.audit import OPERATOR, Entry
from tests.bench.ground import Ground, Operator
from tests.bench.meters import Meter
from tests.cluster.cluster import ROOT
from tests.cluster.process import Process
from tests.cluster.proxy import ApiProxy
from tests.cluster.tools import ensure
from tests.e2e.stage import ACCURACY

PORTS = {"alertmanager": 19093, "webhook": 15001}
WEBHOOK = "webhook"
"""The user that the webhook acts as."""


class Contender(Protocol):
    """One that runs, and can be killed."""

    @property
    def meters(self) -> Sequence[Meter]:
        """All its processes."""
        ...

    def crash(self) -> None:
        """Kill the one that writes to the cluster, and start it again at once, as its Deployment would."""
        ...


@dataclass(frozen=True)
class Kind:
    """One that is compared: how it is run, and who it is in the audit log."""

    name: str
    user: str
    running: Callable[[Ground, str | None], Any]
    """With the address of a proxy, if it is to write to the API server through one."""

    def proxied(self, ground: Ground) -> ApiProxy:
        """A proxy that it can write through."""
        ours = self.user == OPERATOR  # which has a token
        return ApiProxy(ground.cluster, None if ours else ground.cluster.authority.user(self.user, ["system:masters"]))

    def contains(self, entry: Entry, model: str) -> bool:
        """Whether this is the accepted write that takes the bad revision away."""
        return entry.is_write and entry.user == self.user and (entry.resource, entry.name) == ("deployments", model)


@dataclass
class Ourselves:
    """The operator."""

    operator: Operator

    @property
    def meters(self) -> Sequence[Meter]:
        return (self.operator.meter,)

    def crash(self) -> None:
        self.operator.process.kill()
        self.operator.process.start()


@contextmanager
def tocsin(ground: Ground, server: str | None = None) -> Iterator[Ourselves]:
    """The operator as every other case has it."""
    with ground.operator(server=server) as operator:
        ground.cluster.wait(lambda: operator.metric("tocsin_rounds_total") >= 3, 300, "three rounds", every=0.2)
        yield Ourselves(operator)


@dataclass
class Alerting:
    """Alertmanager, and the webhook that it calls."""

    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def meters(self) -> Sequence[Meter]:
        return [Meter(process.pid) for process in self.processes.values()]

    def crash(self) -> None:
        self.processes["webhook"].signal(signal.SIGKILL)
        self.processes["webhook"].stop()
        self.processes["webhook"].start()


def alertmanager(grouping: dict[str, str]) -> Callable[[Ground, str | None], Any]:
    """With these waits of its route; Prometheus evaluates one rule for all models, as often as Tocsin."""

    @contextmanager
    def running(ground: Ground, server: str | None = None) -> Iterator[Alerting]:
        cluster = ground.cluster
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            address = {name: f"{cluster.address}:{port}" for name, port in PORTS.items()}
            hook = {"name": "webhook", "webhook_configs": [{"url": f"http://{address['webhook']}/"}]}
            route = {"receiver": "webhook", "group_by": ["namespace", "model"], **grouping}
            (folder / "alertmanager.yaml").write_text(yaml.safe_dump({"route": route, "receivers": [hook]}))
            kubeconfig = cluster.kubeconfig_for(WEBHOOK, ["system:masters"])
            if server:  # a proxy, which has its certificate
                kubeconfig = cluster.write_kubeconfig(f"{WEBHOOK}-proxied", {}, server=server)
            environment = os.environ | {"PYTHONPATH": str(ROOT), "KUBECONFIG": str(kubeconfig)}
            commands = {
                "alertmanager": [
                    str(ensure("alertmanager")["alertmanager"]),
                    f"--config.file={folder / 'alertmanager.yaml'}",
                    f"--storage.path={folder / 'data'}",
                    f"--web.listen-address={address['alertmanager']}",
                    "--cluster.listen-address=",
                    "--log.level=warn",
                ],
                "webhook": [sys.executable, "-m", "tests.bench.webhook", "--bind", cluster.address],
            }
            commands["webhook"] += ["--port", str(PORTS["webhook"])]
            found = Alerting()
            for name, command in commands.items():
                process = Process(name, command, ground.folder / f"{name}.log", environment)
                process.start()
                stack.callback(process.stop)
                found.processes[name] = process
            url = f"http://{address['alertmanager']}/-/ready"
            found.processes["alertmanager"].until(lambda: _answers(url), 30)
            found.processes["webhook"].until(lambda: _answers(f"http://{address['webhook']}/"), 30)
            stack.enter_context(cluster.prometheus_also(_rules(folder, address["alertmanager"])))
            yield found

    return running


def _rules(folder: Path, alertmanager: str) -> dict[str, Any]:
    alert = {"alert": "BadModel", "expr": f"{ACCURACY} < 0.92", "for": "1s"}
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "models", "interval": "1s", "rules": [alert]}]}))
    return {
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
    }


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


KINDS = (
    Kind("Tocsin", OPERATOR, tocsin),
    Kind(
        "Alertmanager and a webhook, group_wait 0s",
        WEBHOOK,
        alertmanager({"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}),
    ),
)
BY_DEFAULT = Kind("Alertmanager and a webhook, as by default", WEBHOOK, alertmanager({}))
