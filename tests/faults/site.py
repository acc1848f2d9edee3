"""What can fail, and how is it made to? Replicas, the API server, Prometheus and a receiver, all behind proxies."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from tests.cluster.access import ApiError
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Answer, ApiProxy, Call, Delay, DropAfter, DropBefore, Fault, Proxy
from tests.e2e.forks import Forks
from tests.e2e.stage import SYSTEM, Installed
from tests.e2e.supervisor import Supervisor

CHANGES = {"POST", "PUT", "PATCH"}
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/tocsin"
APART = r"^(?!.*(/leases|/events))"
"""Every request but those of the election, which has faults of its own, and of Events, which are never tried again."""
NO_SERIES = '{"status":"success","data":{"resultType":"vector","result":[]}}'
NOT_JSON = '{"status":"success","data":{"resultType":"vec'


class FirstTries:
    """The first try of each write is disturbed, the next comes through."""

    def __init__(self) -> None:
        self._tries = Counter[tuple[str, str]]()

    def __call__(self, call: Call) -> bool:
        self._tries[call.method, call.path] += 1
        return self._tries[call.method, call.path] == 1


@dataclass
class Site:
    """Everything that a life needs, and that can fail."""

    cluster: Cluster
    replicas: list[Supervisor]
    servers: list[ApiProxy]
    """In front of the API server, one for each replica."""
    metrics: Proxy
    receiver: Proxy
    lost: list[float] = field(default_factory=list)
    """When, on the monotonic clock, a receiver's answer was lost: whoever sent it sends it again."""
    struck: int = 0
    """How many requests were disturbed."""

    def leader(self) -> Supervisor:
        """Who holds the Lease, or the first when nobody does."""
        try:
            holder = self.cluster.api("GET", LEASE)["spec"].get("holderIdentity", "")
        except (ApiError, OSError):
            holder = ""
        return next((one for one in self.replicas if one.operator.name == holder), self.replicas[0])

    def faults(self) -> dict[str, Callable[[], AbstractContextManager[None]]]:
        """By what each is called in a forecast."""
        api = partial(self._api, methods=CHANGES)
        metrics = partial(self._rules, [self.metrics], methods={"GET", "POST"})
        receiver = partial(self._rules, [self.receiver], methods={"POST"})
        html = Answer(200, "<html>Sign in</html>", "text/html")
        return {
            "the leader is killed": self._killed,
            "the leader is stopped, and continued": self._paused,
            "the Lease is deleted": self._unleased,
            "the API server is killed": self._api_server_killed,
            "writes are in conflict": partial(api, Answer(409)),
            "writes fail": partial(api, Answer(500)),
            "the API server is busy": partial(api, Answer(429, headers={"Retry-After": "1"})),
            "writes are lost": partial(api, DropBefore()),
            "answers of writes are lost": partial(api, DropAfter()),
            "the API server is slow": partial(self._rules, self.servers, Delay(0.4), path=APART, methods=CHANGES),
            "watches freeze": self._frozen,
            "Prometheus fails": partial(metrics, Answer(500)),
            "Prometheus is slow": partial(metrics, Delay(3)),
            "Prometheus answers with a page": partial(metrics, html),
            "Prometheus answers half": partial(metrics, Answer(200, NOT_JSON)),
            "Prometheus has lost its series": partial(metrics, Answer(200, NO_SERIES)),
            "the receiver fails": partial(receiver, Answer(503)),
            "the receiver hangs": partial(receiver, Delay(4)),
            "answers of the receiver are lost": partial(receiver, DropAfter(), where=self._is_lost),
        }

    def _api(self, fault: Fault, methods: set[str]) -> AbstractContextManager[None]:
        return self._rules(self.servers, fault, path=APART, methods=methods, where=FirstTries())

    @contextmanager
    def _rules(
        self,
        proxies: list[Proxy] | list[ApiProxy],
        fault: Fault,
        *,
        methods: set[str],
        path: str = "",
        where: Callable[[Call], bool] = lambda _: True,
    ) -> Iterator[None]:
        rules = [(one, one.rule(fault, methods=methods, path=path, times=None, where=where)) for one in proxies]
        yield
        for proxy, rule in rules:
            proxy.lift(rule)
            self.struck += rule.fired

    def _is_lost(self, _: Call) -> bool:
        self.lost.append(time.monotonic())
        return True

    def terms(self) -> list[float]:
        """When, on the monotonic clock, each leader began: it may send again what was not yet written down."""
        since = time.time() - time.monotonic()
        said = "".join((one.operator.home / "log").read_text() for one in self.replicas)
        found = re.findall(r'"event": "leading".*"timestamp": "([^"]+)"', said)
        return [datetime.fromisoformat(one).timestamp() - since for one in found]

    @contextmanager
    def _killed(self) -> Iterator[None]:
        self.leader().crash()
        yield

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Long enough for the other to lead, or not."""
        one = self.leader()
        with one.lock:
            os.kill(one.pid, signal.SIGSTOP)
            yield
            os.kill(one.pid, signal.SIGCONT)

    @contextmanager
    def _unleased(self) -> Iterator[None]:
        with suppress(ApiError, OSError):  # it may be gone, or the API server be away
            self.cluster.api("DELETE", LEASE)
        yield

    @contextmanager
    def _api_server_killed(self) -> Iterator[None]:
        """While nobody may write longer than the Lease lasts, whoever leads must stop."""
        self.cluster.restart_apiserver(kill=True)
        yield

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        for server in self.servers:
            server.freeze()
        yield
        for server in self.servers:
            server.thaw()


@contextmanager
def site(cluster: Cluster, installed: Installed) -> Iterator[Site]:
    """Two replicas that come back after each kill; all that they ask or tell goes through proxies."""
    with ExitStack() as stack:
        metrics = stack.enter_context(Proxy(cluster.prometheus_service_url))
        receiver = stack.enter_context(Proxy(cluster.sink.url().rstrip("/"), host=cluster.address))
        servers, replicas = list[ApiProxy](), list[Supervisor]()
        for number in range(2):
            server = stack.enter_context(ApiProxy(cluster))
            operator = installed.operator(
                f"tocsin-{number}",
                server=server.url,
                prometheus={"default": {"url": metrics.url, "timeout": "2s"}},
                leaseDuration="4s",
                budget={"containments": 1000},
            )
            forks = stack.enter_context(Forks(cluster, operator.kubeconfig))
            replicas.append(Supervisor(forks, operator))
            servers.append(server)
        for replica in replicas:
            replica.start()
        try:
            yield Site(cluster, replicas, servers, metrics, receiver)
        finally:
            for replica in replicas:
                replica.forks.kill(replica.pid)
