"""Is the test cluster what it claims to be?"""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.access import Access, ApiError, CommandError
from tests.cluster.cluster import ours
from tests.cluster.proxy import Answer, ApiProxy, CallAfter, CallBefore, Delay, DropAfter, DropBefore, Proxy
from tests.cluster.sink import Sink, SinkServer
from tests.cluster.workloads import model_deployment


def roll_out(c: Access, manifest: dict[str, Any]) -> None:
    c.apply(manifest)
    name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
    c.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=60s")


def only_pod(c: Access, namespace: str) -> Any:
    def one() -> Any:
        pods = [pod for pod in c.items("pods", namespace) if "deletionTimestamp" not in pod["metadata"]]
        return pods[0] if len(pods) == 1 else None

    return c.wait(one, 20, f"one pod in {namespace}")


def process_pod(name: str, command: list[str] | None, restart: str = "Always", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "ignored"} | ({"command": command} if command else {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": restart, "containers": [container | spec.pop("container", {})], **spec},
    }


def post(url: str, body: Any = None) -> int:
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


class TestModels:
    def test_a_bad_version_shows_in_prometheus_and_undo_brings_the_quality_back(
        self, cluster: Access, namespace: str
    ) -> None:
        accuracy = f'avg by (namespace, model) (model_quality_ratio{{namespace="{namespace}"}})'

        def shows(value: float) -> None:
            cluster.wait(lambda: cluster.value(accuracy) == value, 30, f"an accuracy of {value}")

        roll_out(cluster, model_deployment("credit", namespace, version="v1", accuracy=0.95))
        shows(0.95)
        roll_out(cluster, model_deployment("credit", namespace, version="v2", accuracy=0.81))
        shows(0.81)
        cluster.kubectl("rollout", "undo", "deployment/credit", "-n", namespace)
        shows(0.95)

    def test_the_targets_labels_win_over_what_a_pod_claims(self, cluster: Access, namespace: str) -> None:
        manifest = model_deployment("liar", namespace, env={"MODEL_VERSION": 'v1",namespace="somebody-elses'})
        roll_out(cluster, manifest)
        selector = f'model_quality_ratio{{exported_namespace="somebody-elses",namespace="{namespace}"}}'
        found = cluster.wait(lambda: cluster.query(selector), 20, "the series of the liar")
        labels = {"namespace": namespace, "model": "liar", "app": "liar"}
        assert labels.items() <= found[0]["metric"].items()

    def test_the_knob_changes_the_metrics(self, cluster: Access, namespace: str) -> None:
        roll_out(cluster, model_deployment("knob", namespace))
        address = only_pod(cluster, namespace)["status"]["podIP"]
        assert post(f"http://{address}:18080/quality", {"accuracy": 0.5, "unsafe": 0.1}) == 200
        assert post(f"http://{address}:18080/quality", {"nonsense": 1}) == 400
        value = f'model_quality_ratio{{namespace="{namespace}"}}'
        cluster.wait(lambda: cluster.value(value) == 0.5, 20, "the knob's accuracy")
        cluster.wait(
            lambda: cluster.value(value.replace("quality_ratio", "unsafe_outputs_total")), 20, "unsafe outputs"
        )

    def test_a_scale_to_zero_ends_the_series(self, cluster: Access, namespace: str) -> None:
        series = f'model_quality_ratio{{namespace="{namespace}"}}'
        roll_out(cluster, model_deployment("gone", namespace, replicas=2))
        cluster.wait(lambda: len(cluster.query(series)) == 2, 20, "two series")
        cluster.kubectl("scale", "deployment/gone", "-n", namespace, "--replicas=0")
        cluster.wait(lambda: not cluster.items("pods", namespace), 20, "no pods")
        cluster.wait(lambda: not cluster.query(series), 20, "no series")


class TestPods:
    def test_a_crashed_process_starts_again(self, cluster: Access, namespace: str) -> None:
        roll_out(cluster, model_deployment("crash", namespace))
        name = only_pod(cluster, namespace)["metadata"]["name"]
        cluster.signal_pod(namespace, name, signal.SIGKILL)

        def restarted() -> bool:
            status = cluster.get("pod", name, namespace)["status"]["containerStatuses"][0]
            code = status["lastState"].get("terminated", {}).get("exitCode")
            return bool(status["ready"] and (status["restartCount"], code) == (1, 137))

        cluster.wait(restarted, 20, "a restart")

    @pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
    def test_a_pod_that_ends_keeps_its_exit_code(self, cluster: Access, namespace: str, code: int, phase: str) -> None:
        cluster.kubectl(
            "create",
            "-n",
            namespace,
            "-f",
            "-",
            input=json.dumps(process_pod("once", ["sh", "-c", f"exit {code}"], "Never")),
        )
        pod = cluster.wait(lambda: _in_phase(cluster.get("pod", "once", namespace), phase), 20, phase)
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code

    def test_a_job_completes(self, cluster: Access, namespace: str) -> None:
        pod = process_pod("unused", ["sh", "-c", "echo done"], "Never")
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": namespace}}
        cluster.apply(job | {"spec": {"template": {"spec": pod["spec"]}}})
        cluster.kubectl("wait", "--for=condition=Complete", "job/job", "-n", namespace, "--timeout=20s")
        assert cluster.logs(namespace, only_pod(cluster, namespace)["metadata"]["name"]) == "done\n"

    def test_environment_and_volumes_arrive(self, cluster: Access, namespace: str) -> None:
        run = ("-n", namespace)
        cluster.kubectl("create", "configmap", "settings", "--from-literal=mode=Enforce", *run)
        cluster.kubectl("create", "secret", "generic", "channel", "--from-literal=key=hush", *run)
        container = {
            "args": [
                "$(MODE) $(KEY) $(WHO) $(FILE) $$(MODE); cat /etc/settings/mode $(FILE); ls /scratch; echo $POD_IP"
            ],
            "env": [
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "channel", "key": "key"}}},
                {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "FILE", "value": "/etc/channel/key"},
            ],
            "volumeMounts": [
                {"name": "settings", "mountPath": "/etc/settings"},
                {"name": "channel", "mountPath": "/etc/channel"},
                {"name": "scratch", "mountPath": "/scratch"},
            ],
        }
        volumes = [
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "channel", "secret": {"secretName": "channel"}},
            {"name": "scratch", "emptyDir": {}},
        ]
        shell = ["sh", "-c", 'echo "$0"; set -- ; eval "${0#*; }"']
        pod = process_pod("all", shell, "Never", container=container, volumes=volumes)
        cluster.kubectl("create", *run, "-f", "-", input=json.dumps(pod))
        ended = cluster.wait(lambda: _in_phase(cluster.get("pod", "all", namespace), "Succeeded"), 20, "success")
        text = cluster.logs(namespace, "all")
        assert text.startswith("Enforce hush all ")
        assert "$(MODE)" in text
        assert "Enforcehush" in text
        assert text.endswith(f"{ended['status']['podIP']}\n")

    def test_what_cannot_start_says_why(self, cluster: Access, namespace: str) -> None:
        def waiting(name: str) -> Any:
            pod = cluster.get("pod", name, namespace)
            statuses = pod["status"].get("containerStatuses", [{}])
            return statuses[0].get("state", {}).get("waiting", {}).get("message")

        for pod in (
            process_pod("imageonly", None),
            process_pod("nosuch", ["no-such-program"]),
            process_pod("nosecret", ["true"], volumes=[{"name": "s", "secret": {"secretName": "absent"}}]),
        ):
            cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
        cluster.wait(
            lambda: "give container 'main' a `command`" in (waiting("imageonly") or ""), 10, "the image's words"
        )
        cluster.wait(lambda: "executable file not found" in (waiting("nosuch") or ""), 10, "the program's words")
        cluster.wait(lambda: "secret 'absent' not found" in (waiting("nosecret") or ""), 10, "the secret's words")

    def test_deletion_gives_grace_then_kills(self, cluster: Access, namespace: str) -> None:
        stubborn = ["sh", "-c", "trap 'echo asked' TERM; while true; do sleep 0.1; done"]
        pod = process_pod("stubborn", stubborn, terminationGracePeriodSeconds=1)
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/stubborn", "-n", namespace, "--timeout=20s")
        time.sleep(0.2)  # the shell sets its trap
        cluster.kubectl("delete", "pod", "stubborn", "-n", namespace, "--timeout=20s")
        assert cluster.logs(namespace, "stubborn") == "asked\n"


class TestRights:
    def test_a_token_has_the_rights_of_its_service_account_only(self, cluster: Access, namespace: str) -> None:
        run = ("-n", namespace)
        cluster.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps", *run)
        cluster.kubectl("create", "serviceaccount", "reader", *run)
        cluster.kubectl(
            "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader", *run
        )
        token = cluster.token(namespace, "reader")
        path = f"/api/v1/namespaces/{namespace}"
        assert cluster.api("GET", f"{path}/configmaps", token=token)["kind"] == "ConfigMapList"
        with pytest.raises(ApiError) as refused:
            cluster.api("GET", f"{path}/secrets", token=token)
        assert refused.value.status == 403

    def test_a_pod_acts_as_its_service_account(self, cluster: Access, namespace: str) -> None:
        pod = process_pod("who", ["kubectl", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"], "Never")
        kubectl = str(cluster._tools["kubectl"])
        pod["spec"]["containers"][0]["command"][0] = kubectl
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
        cluster.wait(lambda: _in_phase(cluster.get("pod", "who", namespace), "Succeeded"), 20, "an answer")
        assert cluster.logs(namespace, "who") == f"system:serviceaccount:{namespace}:default"

    def test_a_person_may_do_what_a_binding_says_and_no_more(self, cluster: Access, namespace: str) -> None:
        alice = cluster.kubeconfig_for("alice", ["owners"])
        get = ("get", "pods", "-n", namespace)
        with pytest.raises(CommandError, match='User "alice" cannot list resource "pods"'):
            cluster.kubectl(*get, kubeconfig=alice)
        cluster.kubectl("create", "rolebinding", "owners", "--clusterrole=view", "--group=owners", "-n", namespace)
        cluster.wait(
            lambda: "No resources" in cluster.kubectl(*get, kubeconfig=alice, check=False) or True, 5, "rights"
        )
        assert cluster.kubectl(*get, "-o", "name", kubeconfig=alice) == ""


class TestFaults:
    def test_a_restart_of_the_api_server_keeps_data_and_pods(self, cluster: Access, namespace: str) -> None:
        roll_out(cluster, model_deployment("stays", namespace))
        before = only_pod(cluster, namespace)["metadata"]["uid"]
        cluster.restart_apiserver(kill=True)
        assert only_pod(cluster, namespace)["metadata"]["uid"] == before
        cluster.kubectl("scale", "deployment/stays", "-n", namespace, "--replicas=2")
        cluster.kubectl("rollout", "status", "deployment/stays", "-n", namespace, "--timeout=60s")

    def test_after_a_restore_pods_are_as_they_are_and_end_when_they_are_deleted(
        self, cluster: Access, namespace: str, tmp_path: Path
    ) -> None:
        where = f"/api/v1/namespaces/{namespace}/pods"

        def ready(name: str) -> bool:
            conditions = cluster.api("GET", f"{where}/{name}")["status"].get("conditions", [])
            return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

        for name in ("told", "ended"):
            pod = process_pod(name, ["sleep", "3600"], terminationGracePeriodSeconds=1)
            cluster.api("POST", where, pod)
            cluster.wait(partial(ready, name), 20, name)
        unready = [{"type": "Ready", "status": "False"}]  # backed up before the node had said that it is ready
        cluster.api("PATCH", f"{where}/told/status", {"status": {"phase": "Pending", "conditions": unready}})
        ours(cluster).back_up(tmp_path / "backup")
        cluster.api("DELETE", f"{where}/ended")
        cluster.wait(lambda: cluster.found(f"{where}/ended") is None, 20, "its end")

        ours(cluster).restore(tmp_path / "backup")

        cluster.wait(lambda: ready("told"), 20, "a node that says again what it has said")
        cluster.wait(lambda: ready("ended"), 20, "one that is there again")
        cluster.api("DELETE", f"{where}/ended")
        cluster.wait(lambda: cluster.found(f"{where}/ended") is None, 20, "its end once more")

    def test_prometheus_keeps_its_data_over_a_restart(self, cluster: Access, namespace: str) -> None:
        roll_out(cluster, model_deployment("series", namespace))
        count = f'count_over_time(model_quality_ratio{{namespace="{namespace}"}}[1h])'
        cluster.wait(lambda: (cluster.value(count) or 0) >= 3, 20, "three samples")
        cluster.stop_prometheus()
        assert cluster.query(count) == []
        cluster.start_prometheus()
        assert (cluster.value(count) or 0) >= 3

    def test_every_request_is_in_the_audit_log(self, cluster: Access, namespace: str) -> None:
        cluster.kubectl("create", "configmap", "seen", "-n", namespace)
        log = ours(cluster).audit_log

        def events() -> list[Any]:
            lines = [json.loads(line) for line in log.read_text().splitlines() if namespace in line and "seen" in line]
            return [(e["verb"], e["user"]["username"]) for e in lines if e["objectRef"].get("name") == "seen"]

        cluster.wait(lambda: ("create", "admin") in events(), 5, "the audit event")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with SinkServer() as opened:
        yield opened


class TestSink:
    def test_it_records_in_order(self, sink: Sink) -> None:
        post(sink.url("/page?x=1"), {"n": 1})
        post(sink.url("/page"), {"n": 2})
        assert [(r.number, r.path, r.query, r.body) for r in sink.received("/page")] == [
            (1, "/page", "x=1", {"n": 1}),
            (2, "/page", "", {"n": 2}),
        ]
        sink.clear()
        assert sink.received() == []

    def test_it_fails_as_told_then_recovers(self, sink: Sink) -> None:
        sink.behave("/page", status=429, headers={"Retry-After": "1"}, failures=2)
        assert [post(sink.url("/page")) for _ in range(3)] == [429, 429, 200]

    def test_it_hangs(self, sink: Sink) -> None:
        sink.behave("/page", hang=0.3)
        started = time.monotonic()
        assert post(sink.url("/page")) == 200
        assert time.monotonic() - started > 0.3

    def test_it_closes_without_an_answer_but_has_read(self, sink: Sink) -> None:
        sink.behave("/page", close=True)
        with pytest.raises(OSError, match="closed connection"):
            post(sink.url("/page"), {"n": 1})
        assert [r.body for r in sink.received()] == [{"n": 1}]

    def test_the_clusters_sink_is_reached(self, cluster: Access) -> None:
        cluster.sink.clear()
        assert cluster.sink.received() == []


@pytest.fixture
def proxied(cluster: Access, namespace: str) -> Iterator[tuple[ApiProxy, Callable[[str], str]]]:
    """A proxy, and a way to create a config map through it with the rights of a service account."""
    cluster.kubectl(
        "create", "rolebinding", "e", "--clusterrole=edit", f"--serviceaccount={namespace}:default", "-n", namespace
    )
    with ApiProxy(cluster) as proxy:
        kubeconfig = proxy.kubeconfig_for_token(cluster.token(namespace, "default"))

        def create(name: str) -> str:
            return cluster.kubectl("create", "configmap", name, "-n", namespace, kubeconfig=kubeconfig, check=False)

        yield proxy, create


class TestProxy:
    def test_it_passes_on_and_counts(self, proxied: tuple[ApiProxy, Callable[[str], str]]) -> None:
        proxy, create = proxied
        assert create("one") == "configmap/one created\n"
        assert [(call.method, call.status) for call in proxy.writes] == [("POST", 201)]
        assert proxy.count("configmaps") == 1

    def test_drop_before_loses_the_request(
        self, cluster: Access, namespace: str, proxied: tuple[ApiProxy, Callable[[str], str]]
    ) -> None:
        proxy, create = proxied
        proxy.rule(DropBefore(), path="configmaps")
        assert "created" not in create("lost")
        assert cluster.get("configmap", "lost", namespace) is None

    def test_drop_after_loses_the_answer_only(
        self, cluster: Access, namespace: str, proxied: tuple[ApiProxy, Callable[[str], str]]
    ) -> None:
        proxy, create = proxied
        proxy.rule(DropAfter(), path="configmaps")
        assert "created" not in create("kept")
        assert cluster.get("configmap", "kept", namespace) is not None

    def test_rules_hit_the_nth_match(self, proxied: tuple[ApiProxy, Callable[[str], str]]) -> None:
        proxy, create = proxied
        rule = proxy.rule(Answer(500), path="configmaps", first=2)
        assert ["created" in create(name) for name in ("a", "b", "c")] == [True, False, True]
        assert (rule.seen, rule.fired) == (3, 1)

    def test_callbacks_see_the_world_before_and_after(
        self, cluster: Access, namespace: str, proxied: tuple[ApiProxy, Callable[[str], str]]
    ) -> None:
        proxy, create = proxied
        path, seen = f"/api/v1/namespaces/{namespace}/configmaps/watched", []
        proxy.rule(CallBefore(lambda _: seen.append(cluster.found(path) is not None)))
        proxy.rule(CallAfter(lambda _: seen.append(cluster.found(path) is not None)))
        assert "created" in create("watched")
        assert seen == [False, True]

    def test_watches_stream_through(
        self, cluster: Access, namespace: str, proxied: tuple[ApiProxy, Callable[[str], str]]
    ) -> None:
        proxy, _ = proxied
        kubeconfig = proxy.kubeconfig_for_token(cluster.token(namespace, "default"))
        cluster.kubectl("create", "configmap", "awaited", "-n", namespace)
        wait = ("wait", "configmap/awaited", "-n", namespace, "--for=jsonpath={.data.k}=v", "--timeout=10s")
        path = f"/api/v1/namespaces/{namespace}/configmaps/awaited"
        patch = CallAfter(lambda _: cluster.api("PATCH", path, {"data": {"k": "v"}}))
        rule = proxy.rule(patch, methods={"GET"}, path="watch=true")
        assert "condition met" in cluster.kubectl(*wait, kubeconfig=kubeconfig)
        assert rule.fired == 1

    def test_it_fronts_prometheus(self, cluster: Access) -> None:
        with Proxy(cluster.prometheus_url) as proxy:
            proxy.rule(Answer(200, "<html>", "text/html"), methods={"GET"}, first=2)
            proxy.rule(Delay(0.2), methods={"GET"}, first=3)
            answers = []
            for _ in range(3):
                started = time.monotonic()
                with urllib.request.urlopen(f"{proxy.url}/api/v1/query?query=1", timeout=5) as answer:
                    answers.append((answer.read()[:6], time.monotonic() - started > 0.2))
        assert answers == [(b'{"stat', False), (b"<html>", False), (b'{"stat', True)]


def _in_phase(pod: Any, phase: str) -> Any:
    return pod if pod["status"].get("phase") == phase else None
