"""Does ``plan`` read only, with a person's rights, and show what a person needs before they approve?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders import HOUR, MIN, T0, a_decision, a_policy
from tests.clocks import FakeClock
from tocsin.api.policy import EscalationPolicy
from tocsin.apiserver import ApiError, ApiServer
from tocsin.cli.files import Mistake, load_policy
from tocsin.cli.main import main, parser
from tocsin.cli.planning import CLASSES, approvals_in_words, diff_of, lines_of, plain, show
from tocsin.cli.surveying import placed, plan_in
from tocsin.decide.defaults import freeze
from tocsin.decide.planned import Change, Planned, PlannedModel, PlannedOption
from tocsin.observe.onlooker import Account

ACCOUNT = Account("tocsin-system", "tocsin")
NS = "/apis/{}/namespaces/models/{}"
POLICIES = NS.format("tocsin.dev/v1alpha1", "escalationpolicies")
DEPLOYMENTS, SETS = NS.format("apps/v1", "deployments"), NS.format("apps/v1", "replicasets")
SCALERS = NS.format("autoscaling/v2", "horizontalpodautoscalers")
REVIEWS = NS.format("authorization.k8s.io/v1", "localsubjectaccessreviews")
DECISIONS, INCIDENTS = (NS.format("tocsin.dev/v1alpha1", one) for one in ("decisions", "incidents"))


class Recorded(ApiServer):
    """An API server that has some objects, keeps nothing, and remembers what it was asked."""

    def __init__(self, has: Mapping[str, Any], denied: frozenset[str] = frozenset()) -> None:
        super().__init__(None)
        self.has, self.denied = has, denied
        """By path; of the reviews those verbs and resources are denied to the account, as ``patch deployments``."""
        self.asked: list[tuple[str, str]] = []

    async def call(self, method: str, where: str, body: Any = None, **_: Any) -> Any:
        self.asked.append((method, where))
        found = self.has.get(where)
        if isinstance(found, int):
            raise ApiError(found, "Forbidden", f"may not {method} {where}")
        if method == "POST":
            asked = body["spec"]["resourceAttributes"]
            words = "/".join(filter(None, (f"{asked['verb']} {asked['resource']}", asked["subresource"])))
            assert body["spec"]["user"] == "system:serviceaccount:tocsin-system:tocsin"
            return {"status": {"allowed": words not in self.denied}}
        if found is None:
            raise ApiError(404, "NotFound", f"{where} not found")
        return {"metadata": {"resourceVersion": "1"}, "items": found} if isinstance(found, list) else found


def a_template(version: int) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "fraud"}},
        "spec": {"containers": [{"name": "m", "image": f"fraud:{version}"}]},
    }


def a_replica_set(version: int) -> dict[str, Any]:
    metadata = {
        "name": f"fraud-{version}",
        "uid": f"rs-{version}",
        "creationTimestamp": f"2026-11-2{version}T00:00:00Z",
        "labels": {"app": "fraud", "pod-template-hash": f"h{version}"},
        "annotations": {"deployment.kubernetes.io/revision": str(version)},
        "ownerReferences": [{"kind": "Deployment", "name": "fraud", "uid": "d-uid", "controller": True}],
    }
    return {"metadata": metadata, "spec": {"template": a_template(version)}}


DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "fraud", "uid": "d-uid", "resourceVersion": "7", "generation": 2},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "fraud"}}, "template": a_template(2)},
}


def a_raw_policy() -> dict[str, Any]:
    return a_policy().model_dump(mode="json", by_alias=True, exclude_unset=True) | {"status": {"observedGeneration": 1}}


def a_cluster(**changes: Any) -> dict[str, Any]:
    """One policy, its Deployment in the middle of a bad rollout, and nothing else; a number is what is answered."""
    return {
        f"{POLICIES}/fraud": a_raw_policy(),
        f"{DEPLOYMENTS}/fraud": DEPLOYMENT,
        SETS: [a_replica_set(1), a_replica_set(2)],
        SCALERS: [],
        DECISIONS: [],
        INCIDENTS: [],
        "/api/v1/namespaces/models": {"metadata": {"name": "models"}},
        "/api/v1/namespaces/tocsin-system": {"metadata": {"name": "tocsin-system"}},
        REVIEWS: "answered",
    } | changes


def surveyed(api: Recorded, which: str | EscalationPolicy = "fraud") -> Planned:
    return asyncio.run(plan_in(api, FakeClock(), "models", which, ACCOUNT))


def test_it_reads_and_asks_for_rights_and_does_nothing_else() -> None:
    api = Recorded(a_cluster())
    found = surveyed(api)
    assert found.feasible
    assert [option.summary for option in found.models[0].options] == [
        "roll Deployment/fraud back from revision 2 (fraud:2) to revision 1 (fraud:1)",
        "scale Deployment/fraud from 3 to 0 replicas",
    ]
    assert [len(option.changes) for option in found.models[0].options] == [1, 1]
    assert (found.unknown, found.brakes) == ((), ())
    assert {where for method, where in api.asked if method != "GET"} == {REVIEWS}
    assert {method for method, where in api.asked if where == REVIEWS} == {"POST"}


@pytest.mark.parametrize(
    ("denied", "reasons"),
    [
        pytest.param((), ["", ""], id="nothing"),
        pytest.param(("patch deployments",), ["Forbidden", ""], id="the right to roll back"),
        pytest.param(("patch deployments/scale",), ["", "Forbidden"], id="the right to scale"),
        pytest.param(("list horizontalpodautoscalers",), ["", "Forbidden"], id="the right to see an autoscaler"),
        pytest.param(("get deployments",), ["Forbidden", "Forbidden"], id="the right to read the target"),
        pytest.param(("list replicasets",), ["Forbidden", "Forbidden"], id="the right to read its revisions"),
    ],
)
def test_rights_that_tocsin_lacks_refuse_what_needs_them(denied: tuple[str, ...], reasons: list[str]) -> None:
    found = surveyed(Recorded(a_cluster(), frozenset(denied)))
    assert [option.reason for option in found.models[0].options] == reasons
    lacks = [option.message for option in found.models[0].options if option.reason]
    assert all("lacks the right to" in message for message in lacks)


AUTOSCALERS = (
    "whether an autoscaler would be pinned: you may not list them: kubectl get horizontalpodautoscalers -n models"
)
HELD = "is on hold: you may not read it: kubectl get namespace"


@pytest.mark.parametrize(
    ("where", "code", "unknown", "reasons"),
    [
        pytest.param(
            "/api/v1/namespaces/models",
            403,
            (f"whether namespace models {HELD} models --show-labels",),
            ["", ""],
            id="the brake",
        ),
        pytest.param(
            "/api/v1/namespaces/tocsin-system",
            404,
            ("what runs in namespace tocsin-system, which is not there: --operator-namespace names another",),
            ["", ""],
            id="another namespace of the operator",
        ),
        pytest.param(SCALERS, 403, (AUTOSCALERS,), ["", ""], id="autoscalers"),
        pytest.param(f"{DEPLOYMENTS}/fraud", 403, (), ["Unreadable", "Unreadable"], id="the target"),
        pytest.param(f"{DEPLOYMENTS}/fraud", 404, (), ["TargetMissing", "TargetMissing"], id="no target at all"),
    ],
)
def test_what_a_person_may_not_read_is_said_and_refuses_nothing_by_itself(
    where: str, code: int, unknown: tuple[str, ...], reasons: list[str]
) -> None:
    found = surveyed(Recorded(a_cluster(**{where: code})))
    assert found.unknown == unknown
    assert [option.reason for option in found.models[0].options] == reasons


def test_rights_that_nobody_may_ask_for_are_named_with_the_command_that_tells() -> None:
    found = surveyed(Recorded(a_cluster(**{REVIEWS: 403})))
    assert found.feasible
    assert (
        "whether Tocsin may patch deployments.apps/scale in namespace models: kubectl auth can-i patch"
        " deployments.apps/fraud --subresource=scale -n models --as=system:serviceaccount:tocsin-system:tocsin"
    ) in found.unknown
    assert len(found.unknown) == 5


def test_brakes_are_read_from_both_namespaces() -> None:
    held = {
        f"/api/v1/namespaces/{name}": {"metadata": {"name": name, "labels": {"tocsin.dev/hold": why}}}
        for name, why in (("models", "freeze"), ("tocsin-system", "audit"))
    }
    words = [brake.partition(": nothing")[0] for brake in surveyed(Recorded(a_cluster(**held))).brakes]
    assert words == ["the whole cluster is on hold: audit", "the namespace is on hold: freeze"]


def test_a_policy_that_is_not_applied_is_planned_too() -> None:
    policy = a_policy(containment=[{"name": "stop", "type": "Scale", "scale": {"replicas": 1}}])
    found = surveyed(Recorded(a_cluster(**{f"{POLICIES}/fraud": 404})), placed(policy, None, "models"))
    assert [option.summary for option in found.models[0].options] == ["scale Deployment/fraud from 3 to 1 replicas"]
    assert found.brakes == ()


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        pytest.param({}, "dan", id="it holds for an option that is still as it was"),
        pytest.param({"approval": {"required": 0}}, None, id="not for one that the file changes"),
        pytest.param({"uid": "another"}, None, id="nor where the policy was made anew"),
    ],
)
def test_an_authorisation_of_the_policy_that_a_file_would_change(changes: dict[str, Any], by: str | None) -> None:
    option = {"name": "stop", "type": "Scale", "scale": {"replicas": 0}}
    policy = a_policy(containment=[option])
    digest = freeze(policy, policy.spec.models[0]).digests["stop"]
    fields: dict[str, Any] = {
        "option": "stop",
        "digest": digest,
        "expireTime": "2099-01-01T00:00:00Z",
        "reason": "rehearsed",
    }
    decision = a_decision("Authorise", "dan", **fields).dump()
    decision["spec"]["policyRef"]["uid"] = changes.get("uid", "policy-uid")
    edited = option | ({"approval": changes["approval"]} if "approval" in changes else {})
    api = Recorded(a_cluster(**{DECISIONS: [decision]}))
    found = surveyed(api, placed(a_policy(containment=[edited]), None, "default"))
    assert found.models[0].options[0].authorised_by == by


def test_a_policy_that_is_not_there_shows_the_next_command() -> None:
    with pytest.raises(Mistake, match="there is no escalationpolicies/loans in namespace models"):
        surveyed(Recorded(a_cluster()), "escpol/loans")


@pytest.mark.parametrize(
    ("own", "given", "then"),
    [
        pytest.param("", None, "default", id="neither: that of the context"),
        pytest.param("models", None, "models", id="the object's"),
        pytest.param("", "loans", "loans", id="the one that is given"),
        pytest.param("models", "models", "models", id="both, the same"),
    ],
)
def test_a_file_is_planned_where_it_would_be_applied(own: str, given: str | None, then: str) -> None:
    policy = a_policy()
    policy = policy.model_copy(update={"metadata": policy.metadata.model_copy(update={"namespace": own})})
    assert placed(policy, given, "default").metadata.namespace == then


def test_two_namespaces_are_a_mistake() -> None:
    with pytest.raises(Mistake, match=r"--namespace: is loans, and metadata\.namespace of the policy is models"):
        placed(a_policy(), "loans", "default")


def test_a_file_comes_in_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    raw = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "EscalationPolicy"} | a_raw_policy()
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(raw)))
    assert load_policy(Path("-"))[0].spec == a_policy().spec


AN_OPTION = PlannedOption(
    name="last-healthy",
    type="RollBack",
    class_="B",
    approvals={"SEV1": 1, "SEV2": 1, "SEV3": 0, "SEV4": 0},
    verify_within=15 * MIN,
    helped=("latency <= 0.24", "errors < 0.01"),
    summary="roll it back",
    notes=("the images are the same",),
    digest="sha256:" + "1" * 64,
    changes=(Change("Deployment/fraud", {"spec": {"replicas": 3}}, {"spec": {"replicas": 0}}),),
    revision=6,
    healthy=False,
    undo="bring it back",
    by_hand="kubectl rollout undo deployment/fraud",
)
REFUSED = PlannedOption(
    name="stop",
    type="Scale",
    class_="C",
    approvals=dict.fromkeys(("SEV1", "SEV2", "SEV3", "SEV4"), 2),
    verify_within=HOUR,
    helped=("latency <= 0.24",),
    reason="AlreadyThere",
    message="it has 0 replicas",
    then="nothing need be done",
    fail_safe_after=timedelta(minutes=5),
    expire_after=2 * HOUR,
    authorised_by="dan",
    authorised_until=T0,
)
A_PLAN = Planned(
    policy="fraud",
    namespace="models",
    mode="Observe",
    account=ACCOUNT.user,
    brakes=("spec.mode is Observe",),
    unknown=("whether it may",),
    models=(
        PlannedModel("bare"),
        PlannedModel("fraud", "Deployment/fraud", "3 replicas", ("Flux applies it",), "fraud-1 is open", (AN_OPTION,)),
        PlannedModel("loans", "Deployment/loans", "0 replicas", options=(AN_OPTION, REFUSED)),
    ),
)


def test_people_read_it_from_top_to_bottom() -> None:
    lines = [line for line, _ in lines_of(A_PLAN)]
    assert lines[: lines.index("model loans: Deployment/loans, 0 replicas")] == [
        "policy fraud in namespace models, mode Observe",
        "  rights are those of system:serviceaccount:tocsin-system:tocsin",
        "  spec.mode is Observe",
        "  could not be told:",
        "    whether it may",
        "",
        "model bare: no target",
        "  it is watched, and never contained: the policy names no target",
        "",
        "model fraud: Deployment/fraud, 3 replicas",
        "  Flux applies it",
        "  fraud-1 is open",
        "",
        "  1. last-healthy: RollBack, class B (reversible and wide)",
        "     would roll it back",
        "     revision 6 is not marked healthy",
        "     approvals: 1 at SEV1 and SEV2, none at SEV3 and SEV4; at least 1 where a person reported it",
        "     undecided: it waits, for no standing authorisation holds",
        "     it has helped when each signal that breached is well again (latency <= 0.24, errors < 0.01), by values"
        " from after it, within 15m; else nothing further is tried",
        "     undo: kubectl tocsin undo would bring it back",
        "     undo by hand: kubectl rollout undo deployment/fraud",
        "     note: the images are the same",
        "     --- Deployment/fraud now",
        "     +++ Deployment/fraud then",
        "     @@ -1,2 +1,2 @@",
        "      spec:",
        "     -  replicas: 3",
        "     +  replicas: 0",
        "",
    ]
    assert lines[lines.index("  2. stop: Scale, class C (stops service)") :] == [
        "  2. stop: Scale, class C (stops service)",
        "     would be refused: AlreadyThere: it has 0 replicas",
        "     next: nothing need be done",
        "     approvals: 2 at every severity; at least 1 where a person reported it",
        "     undecided: it runs after 5m, under the authorisation of dan that ends 2026-11-23T09:00:00Z; it stops"
        " asking after 2h",
        "     it has helped when each signal that breached is well again (latency <= 0.24), by values from after it,"
        " within 1h; else nothing further is tried",
    ]
    assert any("else stop is tried" in line for line in lines)


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        pytest.param((2, 2, 1, 1), "2 at SEV1 and SEV2, 1 at SEV3 and SEV4", id="two numbers"),
        pytest.param((1, 1, 1, 0), "1 at SEV1, SEV2 and SEV3, none at SEV4", id="three of four"),
        pytest.param((0, 0, 0, 0), "none at every severity", id="none"),
    ],
)
def test_approvals_are_told_by_severity(needed: tuple[int, ...], words: str) -> None:
    assert approvals_in_words(dict(zip(("SEV1", "SEV2", "SEV3", "SEV4"), needed, strict=True))) == words


def test_every_class_has_words() -> None:
    assert set(CLASSES) == set("ABCD")


def test_a_diff_shows_what_is_added_removed_and_around_it() -> None:
    before = {"spec": {"template": a_template(1)}}
    after = {"spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "m", "image": "fraud:2"}]}}}}
    assert list(diff_of(Change("Deployment/fraud", before, after))) == [
        "--- Deployment/fraud now",
        "+++ Deployment/fraud then",
        "@@ -1,9 +1,7 @@",
        " spec:",
        "   template:",
        "-    metadata:",
        "-      labels:",
        "-        app: fraud",
        "+    metadata: {}",
        "     spec:",
        "       containers:",
        "-      - image: fraud:1",
        "+      - image: fraud:2",
        "         name: m",
    ]


def test_programs_get_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    show("json", A_PLAN)
    as_json = json.loads(capsys.readouterr().out)
    show("yaml", A_PLAN)
    assert yaml.safe_load(capsys.readouterr().out) == as_json == plain(A_PLAN)
    option = as_json["models"][1]["options"][0]
    assert (option["class"], option["verifyWithin"], option["healthy"]) == ("B", "15m", False)
    assert option["changes"] == [
        {"object": "Deployment/fraud", "before": {"spec": {"replicas": 3}}, "after": {"spec": {"replicas": 0}}}
    ]
    assert (option["byHand"], "reason" in option) == ("kubectl rollout undo deployment/fraud", False)
    assert as_json["models"][2]["options"][1]["authorisedUntil"] == "2026-11-23T09:00:00Z"


def test_markup_in_what_was_read_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show("table", Planned("[bold]x[/bold]", "models", "Enforce", "a"))
    assert capsys.readouterr().out.splitlines()[0] == "policy [bold]x[/bold] in namespace models, mode Enforce"


@pytest.mark.parametrize("words", [[], ["fraud", "-f", "policy.yaml"]], ids=["neither", "both"])
def test_either_a_name_or_a_file(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["plan", *words])
    assert "-f/--file" in capsys.readouterr().err


@pytest.mark.parametrize(("found", "code"), [(Planned("p", "n", "Enforce", "a"), 0), (A_PLAN, 1)], ids=["all", "one"])
def test_the_exit_code_says_whether_every_option_could_be_done(
    found: Planned, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def look(_: Any) -> Planned:
        return found

    monkeypatch.setattr("tocsin.cli.planning._look", look)
    assert main(["plan", "fraud"]) == code
    assert capsys.readouterr().out
