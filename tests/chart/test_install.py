"""Can it be installed, upgraded and removed on a real cluster, and are the operator's rights no wider than enabled?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chart.conftest import Release
from tests.cluster.access import Access

ADMISSION = ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies")
EVERYWHERE = "clusterroles,clusterrolebindings,priorityclasses"
NAMESPACED = "all,configmaps,roles,rolebindings,serviceaccounts,networkpolicies,poddisruptionbudgets"


def may(release: Release, verb: str, what: str, namespace: str) -> bool:
    """Whether the operator's ServiceAccount may, as the API server judges; ``resource.group/subresource#name``."""
    thing, _, name = what.partition("#")
    thing, _, subresource = thing.partition("/")
    resource, _, group = thing.partition(".")
    asked = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name}
    user = f"system:serviceaccount:{release.namespace}:tocsin"
    spec = {"user": user, "resourceAttributes": asked | {"namespace": namespace}}
    answer = release.cluster.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    return bool(answer["status"]["allowed"])


ALWAYS = (
    ("watch", "escalationpolicies.tocsin.dev"),
    ("watch", "decisions.tocsin.dev"),
    ("watch", "messagetemplates.tocsin.dev"),
    ("patch", "messagetemplates.tocsin.dev/status"),
    ("create", "incidents.tocsin.dev"),
    ("patch", "incidents.tocsin.dev/status"),
    ("create", "events.events.k8s.io"),
    ("watch", "namespaces"),
    ("watch", "deployments.apps"),
    ("watch", "cronjobs.batch"),
    ("list", "horizontalpodautoscalers.autoscaling"),
    ("get", "validatingadmissionpolicies.admissionregistration.k8s.io#tocsin-decisions"),
)
CONTAINING = (
    ("patch", "deployments.apps"),
    ("patch", "deployments.apps/scale"),
    ("patch", "replicasets.apps"),
    ("patch", "horizontalpodautoscalers.autoscaling"),
)
NEVER = (
    ("create", "decisions.tocsin.dev"),
    ("delete", "incidents.tocsin.dev"),
    ("patch", "incidents.tocsin.dev"),
    ("patch", "escalationpolicies.tocsin.dev"),
    ("patch", "messagetemplates.tocsin.dev"),
    ("patch", "namespaces"),
    ("get", "pods"),
    ("create", "events"),
    ("list", "secrets"),
    ("get", "secrets"),
    ("get", "configmaps"),
    ("delete", "deployments.apps"),
    ("update", "deployments.apps"),
    ("patch", "cronjobs.batch"),  # unless containment.cronjobs.enabled
    ("get", "validatingadmissionpolicies.admissionregistration.k8s.io#tocsin-records"),
    ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io#tocsin-decisions"),
    ("impersonate", "users"),
)


@pytest.mark.parametrize(("verb", "what"), [*ALWAYS, *CONTAINING])
def test_the_operator_may(release: Release, verb: str, what: str) -> None:
    assert may(release, verb, what, "default")


@pytest.mark.parametrize(("verb", "what"), NEVER)
def test_the_operator_may_not(release: Release, verb: str, what: str) -> None:
    assert not may(release, verb, what, "default")


@pytest.mark.parametrize(
    ("verb", "what"),
    [("create", "leases.coordination.k8s.io"), ("patch", "leases.coordination.k8s.io"), ("patch", "configmaps")],
)
def test_in_its_own_namespace_the_operator_may_also(release: Release, verb: str, what: str) -> None:
    assert may(release, verb, what, release.namespace)
    assert not may(release, verb, what, "default")


def test_two_replicas_become_ready(release: Release) -> None:
    release.cluster.kubectl("rollout", "status", "deployment/tocsin", "-n", release.namespace, "--timeout=90s")


@pytest.fixture
def lifetime(cluster: Access, release: Release) -> Iterator[Release]:
    """The module's release, put back as it was."""
    yield release
    release.install("--reset-values")


def test_an_upgrade_changes_rights_and_settings_and_leaves_admission_alone(lifetime: Release) -> None:
    cluster, namespace = lifetime.cluster, lifetime.namespace

    def generations() -> dict[str, int]:
        return {
            f"{kind}/{one['metadata']['name']}": one["metadata"]["generation"]
            for kind in ADMISSION
            for one in cluster.items(kind)
        }

    def template() -> str:
        found = cluster.get("deployment", "tocsin", namespace)["spec"]["template"]["metadata"]["annotations"]
        return str(found["checksum/settings"])

    models = cluster.namespace("models")
    before, settings = generations(), template()
    lifetime.install(
        "--set=containment.deployments.enabled=false",
        f"--set=channelNamespaces={{{models}}}",
        "--set=settings.budget.containments=2",
    )
    assert "validatingadmissionpolicies/tocsin-decisions" in before
    assert generations() == before
    assert template() != settings, "the pods restart with the new settings"
    assert [one for one in CONTAINING if may(lifetime, *one, "default")] == []
    assert [one for one in ALWAYS if not may(lifetime, *one, "default")] == []
    assert may(lifetime, "get", "secrets", models)
    assert not may(lifetime, "list", "secrets", models)
    assert not may(lifetime, "get", "secrets", "default")
    cluster.delete_namespace(models)


def test_removed_it_leaves_the_records_and_nothing_else(cluster: Access, release: Release, namespace: str) -> None:
    report = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Incident",
        "metadata": {"name": "kept", "namespace": namespace},
        "spec": {"origin": "Person", "policyRef": {"name": "a"}, "model": "a", "reason": "seen", "by": "admin"},
    }
    cluster.apply(report)
    cluster.helm("uninstall", "tocsin", "-n", release.namespace, "--wait")
    try:
        kinds = ",".join([*ADMISSION, EVERYWHERE, NAMESPACED])
        ours = (kinds, "-A", "-o", "name", "-l", "app.kubernetes.io/part-of=tocsin")
        cluster.wait(lambda: cluster.kubectl("get", *ours) == "", 40, "the last pod to go, and all else before it")
        assert cluster.get("incident", "kept", namespace) is not None
    finally:
        release.install()


def test_what_helm_says_after_an_installation(release: Release) -> None:
    said = release.install("--set=containment.deployments.enabled=false")
    assert f"kubectl -n {release.namespace} rollout status deployment/tocsin" in said
    assert "Containment is off" in said
    assert "nobody is told: list the namespaces of your Responders in channelNamespaces" in said
    assert "kubectl apply --server-side --force-conflicts -f crds/" in said
    assert "settings.prometheus" not in said
    assert release.cluster.prometheus_service_url in said
