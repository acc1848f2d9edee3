"""Do the commands that look say what a person needs, in eighty columns, and give programs the objects?"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from tests.builders import HOUR, MIN, ROSTER, T0, a_decision, a_freeze, a_policy, an_incident, the_rules
from tests.cli.test_desk import use
from tests.cluster.access import Access
from tests.decide.test_containment import a_record
from tests.decide.test_roster import ROTATION, a_role, a_roster
from tests.decide.test_tiers import an_entered
from tocsin.api.incident import Incident, IncidentStatus, OptionRecord, OptionState
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.apiserver import ApiError, ApiServer
from tocsin.cli.files import Mistake
from tocsin.cli.looking import listed, removed
from tocsin.cli.main import main, parser
from tocsin.cli.unguarded import MODEL_LABEL, unguarded
from tocsin.cli.views import show

STATUS: dict[str, Any] = {
    "severity": "SEV2",
    "opened_time": T0 - 22 * MIN,
    "phase": "Contained",
    "risk": 61,
    "waiting_for": "compliance: decide",
    "next_deadline_time": T0 + 12 * MIN,
    "signals": ({"name": "latency", "state": "Firing", "sustained": True, "message": "0.9 breaches warn > 0.3"},),
    "containment": (a_record(OptionState.ASKING, message="0 of 1 approvals"),),
    "tiers": (
        an_entered("owners", acknowledged_by="alice", acknowledged_time=T0, contain_deadline=None),
        an_entered("compliance", at=T0 - HOUR),
    ),
    "score": {
        "risk": "61.6",
        "band": "SEV2",
        "severity": "SEV2",
        "terms": [{"name": "signals", "value": "26.1", "because": "35 × 0.747: psi 0.747"}],
        "floors": ["signals at warn level only"],
    },
    "timeline": tuple({"time": T0 + number * MIN, "what": f"line {number} [of the story]"} for number in range(15)),
}


def an_open(**changes: Any) -> Incident:
    return an_incident().model_copy(update={"status": IncidentStatus.model_validate(STATUS | changes)})


def printed(
    capsys: pytest.CaptureFixture[str], found: Any, *words: str, roster: dict[str, Any] = ROSTER
) -> Sequence[str]:
    arguments: argparse.Namespace = parser().parse_args(words)
    show(arguments, found, roster, T0)
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b" not in "".join(lines)
    return lines


def table_of(lines: Sequence[str]) -> Sequence[str]:
    """The table, without the sections after it."""
    return lines[: [*lines, ""].index("")]


def test_status_shows_what_is_open_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    resolved = an_open(resolved_time=T0)
    mild = an_open(severity="SEV4", next_deadline_time=None)
    worst = an_open(severity="SEV1", next_deadline_time=T0 - 3 * MIN)
    head, *lines = table_of(printed(capsys, [mild, an_open(), resolved, worst], "status"))
    assert head.split() == ["INCIDENT", "SEV", "PHASE", "WAITING", "FOR", "DUE"]
    assert [line.split()[1] for line in lines] == ["SEV1", "SEV2", "SEV4"]
    assert [line.rstrip().rpartition("decide")[2].strip() for line in lines] == ["3m late", "in 12m", ""]
    assert all(len(line) <= 80 for line in lines)
    assert printed(capsys, [resolved], "status") == ["nothing is open"]


def test_status_of_several_namespaces_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    other = an_open()
    other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"namespace": "loans"})})
    lines = printed(capsys, [an_open(), other], "status", "-A")
    head, *rows = table_of(lines)
    assert head.split()[0] == "NAMESPACE"
    assert sorted(line.split()[0] for line in rows) == ["loans", "models"]
    asked = lines[lines.index("to approve or reject") + 1 :]
    assert [line.split(":")[0] for line in asked] == ["  models/fraud-1"] * 3 + ["  loans/fraud-1"] * 3


BROKEN = {"option": "stop", "digest": "sha256:" + "a" * 64, "by": "eve", "time": T0, "reason": "patients wait"}
BROKEN |= {"approveDeadline": T0 + 12 * MIN}
SUMMARY = a_record(OptionState.ASKING).summary
ASKED = [
    "  fraud-1: If last-healthy runs, people will experience: Payments are checked by the older rules.",
    "  fraud-1: By hand meanwhile: The desk reviews large payments by hand.",
    f"  fraud-1: last-healthy: Asking: {SUMMARY} — 0 of 1 approvals",
]


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        pytest.param({}, ASKED, id="what asks"),
        pytest.param(
            {"break_glass": (BROKEN,), "containment": (a_record(OptionState.HELPED, name="stop"),)},
            [
                "  fraud-1: While stop holds, people experience: Payments above 500 wait.",
                "  fraud-1: By hand meanwhile: The desk releases waiting payments by hand.",
                f"  fraud-1: stop: Helped: {SUMMARY}",
            ],
            id="what one person has ordered alone",
        ),
        pytest.param({"containment": (a_record(OptionState.HELPED),)}, None, id="nothing"),
        pytest.param({"resolved_time": T0}, None, id="nothing of an incident that is over"),
    ],
)
def test_status_shows_what_people_feel_of_what_waits_for_an_approval_before_what_would_be_written(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], section: list[str] | None
) -> None:
    lines = printed(capsys, [an_open(**changes)], "status")
    title = "to approve or reject"
    assert (lines[lines.index(title) + 1 :] if title in lines else None) == section


@pytest.mark.parametrize(
    ("record", "section"),
    [
        pytest.param(
            a_record(OptionState.ASKING, message="0 of 1 approvals"),
            [line.replace("fraud-1: ", "") for line in ASKED],
            id="before what asks",
        ),
        pytest.param(
            a_record(OptionState.HELPED),
            [
                f"  last-healthy: Helped: {SUMMARY}",
                "    While last-healthy holds, people experience: Payments are checked by the older rules.",
                "    By hand meanwhile: The desk reviews large payments by hand.",
            ],
            id="beneath what is in place",
        ),
        pytest.param(
            a_record(OptionState.REVERTED), [f"  last-healthy: Reverted: {SUMMARY}"], id="not of what is gone"
        ),
    ],
)
def test_show_says_what_people_feel(
    capsys: pytest.CaptureFixture[str], record: OptionRecord, section: list[str]
) -> None:
    lines = printed(capsys, an_open(containment=(record,)), "show", "fraud-1")
    assert list(table_of(lines[lines.index("containment") + 1 :])) == section


def test_show_says_what_was_done_and_who_must_do_what(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(capsys, an_open(), "show", "fraud-1"))
    for words in (
        "fraud-1  SEV2 Contained, model fraud",
        "waiting for compliance: decide — in 12m",
        "latency: 0.9 breaches warn > 0.3",
        "last-healthy: Asking: ",
        "owners, acknowledged by alice, on duty: Alice (owners)",
        "compliance, acknowledge 45m late, decide in 3h, on duty: Carol (compliance)",
        "line 14 [of the story]",
        "all of it: kubectl tocsin timeline fraud-1 -n models",
    ):
        assert words in text
    assert "line 2 [of the story]" not in text


def words_of(lines: list[str]) -> str:
    """What is printed, wherever a line ends."""
    return " ".join(" ".join(lines).split())


def test_show_says_what_was_judged_and_what_is_owed(capsys: pytest.CaptureFixture[str]) -> None:
    judged = {"impact": "Severe", "legalExposure": "Likely", "materiality": "Unknown", "by": "ben", "time": T0}
    broken = {"option": "stop", "digest": "sha256:" + "a" * 64, "by": "eve", "time": T0, "reason": "patients wait"}
    found = an_open(
        classification=judged | {"reason": "seen"},
        break_glass=(broken | {"approveDeadline": T0 + 12 * MIN},),
        post_mortem={"owner": "nora", "dueTime": T0 + 48 * HOUR},
    )
    text = words_of(printed(capsys, found, "show", "fraud-1"))
    for words in (
        "classified by ben: impact Severe, legal exposure Likely, materiality Unknown — seen",
        "stop was ordered by eve alone, approval due in 12m: patients wait",
        "post-mortem by nora, due in 48h",
    ):
        assert words in text
    late = an_open(break_glass=(broken | {"approveDeadline": T0, "overdue": True},))
    assert "approval overdue: patients wait" in words_of(printed(capsys, late, "show", "fraud-1"))
    settled = an_open(break_glass=(broken | {"approveDeadline": T0, "verdict": "Approved"},))
    assert "alone" not in words_of(printed(capsys, settled, "show", "fraud-1"))


def a_deployment(name: str, model: str, namespace: str = "models") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {MODEL_LABEL: model}}}


LONG = "customer-lifetime-value-prediction-in-western-europe-by-quarter"
"""As long as a name may be."""
WAITED = "model-risk-management-committee: decide, and acknowledge through the deputy"


def named(thing: Any, name: str = LONG, namespace: str = "models") -> Any:
    metadata = thing.metadata.model_copy(update={"name": name, "namespace": namespace})
    return thing.model_copy(update={"metadata": metadata})


def columns(lines: Sequence[str]) -> dict[str, str]:
    """What stands under each head, without the spaces at which it was folded."""
    heads = list(re.finditer(r"\S+( \S+)*", lines[0]))
    starts = [*(head.start() for head in heads), None]
    cells = zip(heads, starts, starts[1:], strict=False)
    return {head[0]: "".join("".join(line[a:b].split()) for line in lines[1:]) for head, a, b in cells}


@pytest.mark.parametrize(
    ("word", "found", "cells"),
    [
        pytest.param(
            "status",
            [named(an_open(waiting_for=WAITED))],
            {"INCIDENT": LONG, "SEV": "SEV2", "PHASE": "Contained", "WAITING FOR": WAITED, "DUE": "in 12m"},
            id="what is open",
        ),
        pytest.param(
            "status",
            [named(an_open(waiting_for=WAITED)), named(an_open(waiting_for=WAITED), LONG, LONG[:40])],
            {"NAMESPACE": f"models{LONG[:40]}", "INCIDENT": LONG * 2, "WAITING FOR": WAITED * 2, "DUE": "in 12m" * 2},
            id="what is open, of several namespaces",
        ),
        pytest.param(
            "coverage",
            [
                named(a_policy(models=[{"name": LONG}])),
                *unguarded("Deployment", [a_deployment("x", "churn", LONG[:40])], []),
            ],
            {"MODEL": f"churn{LONG}", "POLICY": f"none in {LONG[:40]}models/{LONG}", "CONTAINED": "nevernever"},
            id="what is covered, of several namespaces",
        ),
        pytest.param("oncall", [a_role(LONG, "ada")], {"ROLE": LONG, "ON DUTY": "Ada"}, id="who is on duty"),
        pytest.param(
            "explain",
            named(
                an_open(score=STATUS["score"] | {"terms": [{"name": "signals", "value": "1", "because": WAITED * 2}]})
            ),
            {"TERM": "signals", "ADDS": "1", "BECAUSE": WAITED * 2},
            id="why",
        ),
    ],
)
def test_long_names_are_folded_to_eighty_columns_and_no_letter_is_lost(
    capsys: pytest.CaptureFixture[str], word: str, found: Any, cells: dict[str, str]
) -> None:
    names = [LONG] if word == "explain" else []
    roster = a_roster(*found) if word == "oncall" else {}
    lines = printed(capsys, found, word, *names, roster=roster)
    table = lines[1 : lines.index("The sum alone gives SEV2.")] if word == "explain" else table_of(lines)
    assert max(map(len, table)) <= 80
    shown = columns(table)
    assert {head: shown[head] for head in cells} == {head: "".join(text.split()) for head, text in cells.items()}


def test_a_command_to_copy_is_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, named(an_open(waiting_for=WAITED)), "show", LONG)
    assert lines[-1] == f"all of it: kubectl tocsin timeline {LONG} -n models"
    assert f"  waiting for {WAITED} — in 12m" in lines


def test_show_says_what_the_model_is_and_which_incident_has_the_same_cause(capsys: pytest.CaptureFixture[str]) -> None:
    model = {"name": "fraud", "version": "7", "upstream": ["feature-store"], "owners": {"data": "compliance"}}
    incident = an_incident(the_rules(a_policy(models=[model], containment=[])))
    child = STATUS | {"parent": "loans/loan-1", "upstream": "feature-store"}
    found = incident.model_copy(update={"status": IncidentStatus.model_validate(child)})
    text = "\n".join(printed(capsys, found, "show", "fraud-1"))
    for words in (
        "Incident loans/loan-1 pages for it: both fail of feature-store",
        "Version 7.",
        "Owners: data: Carol (compliance).",
        "Upstream: feature-store.",
    ):
        assert words in text
    parent = an_open(children=5, upstream="feature-store")
    text = "\n".join(printed(capsys, parent, "show", "fraud-1"))
    assert "It pages for 5 or more other incidents, which fail of the same: feature-store" in text


HOSTILE = "a [bold]loan[/] was [/nothing] refused :bomb:"


@pytest.mark.parametrize("word", ["status", "show", "timeline", "explain"])
def test_what_people_write_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], word: str) -> None:
    written = an_open(
        waiting_for=HOSTILE,
        held={"by": "ada", "time": T0, "reason": HOSTILE},
        timeline=({"time": T0, "what": HOSTILE},),
        score=STATUS["score"] | {"terms": [{"name": "signals", "value": "1", "because": HOSTILE}]},
    )
    found, names = ([written], []) if word == "status" else (written, ["fraud-1"])
    text = " ".join(printed(capsys, found, word, *names))
    assert all(piece in text for piece in HOSTILE.split())


@pytest.mark.parametrize(
    ("code", "namespace", "command"),
    [
        (403, "models", "see whether you may: kubectl auth can-i list incidents -n models"),
        (403, "", "see whether you may: kubectl auth can-i list incidents -A"),
        (404, "models", "see whether Tocsin is installed: kubectl get crd incidents.tocsin.dev"),
        (429, "models", "try again in a moment, or see how it is: kubectl get --raw /readyz"),
    ],
)
def test_a_refusal_shows_the_next_command(code: int, namespace: str, command: str) -> None:
    class Refusing(ApiServer):
        async def get(self, where: str, **params: str) -> Any:
            raise ApiError(code, "", "no")

    with pytest.raises(Mistake) as refused:
        asyncio.run(listed(Refusing(None), "incidents", namespace))
    assert str(refused.value).splitlines() == ["incidents: no", command]


def test_one_role_of_all_namespaces_is_refused_with_the_way_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["oncall", "owners", "-A"]) == 2
    assert capsys.readouterr().err == "-A shows every role: name a namespace to see owners, with -n\n"


def test_the_timeline_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, an_open(timeline_dropped=3), "timeline", "fraud-1")
    assert lines[0] == "(3 older lines were dropped)"
    assert [line.split("  ", 1)[1] for line in lines[1:]] == [f"line {number} [of the story]" for number in range(15)]


def test_explain_shows_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(capsys, an_open(), "explain", "fraud-1"))
    assert "SEV2: risk 61.6 of 100" in text
    assert "35 × 0.747: psi 0.747" in text
    assert "Besides: signals at warn level only." in text
    assert "owners: because" in text
    assert printed(capsys, an_open(score=None), "explain", "fraud-1") == ["no risk was computed yet"]


def test_oncall_shows_who_until_when_who_stands_in_and_the_holes(capsys: pytest.CaptureFixture[str]) -> None:
    away = {"nora": (T0 + HOUR, T0 + 2 * HOUR)}
    roles = [a_role("owners", "ada", "ben", rotation=ROTATION, deputies=["ben"]), a_role("night", "nora", away=away)]
    head, first, second = printed(capsys, roles, "oncall", roster=a_roster(*roles))
    assert head.split() == ["ROLE", "ON", "DUTY", "UNTIL", "DEPUTY", "THIS", "WEEK"]
    assert first.split() == ["owners", "Ada", "Mon", "11-30", "09:00Z", "Ben"]
    assert second.split() == ["night", "Nora", *(when := ["Mon", "11-23", "10:00Z"]), "nobody", "from", *when]
    assert all(len(line) <= 80 for line in (head, first, second))
    assert printed(capsys, [], "oncall", roster={}) == ["there is no Responder"]


def a_covered(name: str, *conditions: tuple[str, str, str], **spec: Any) -> EscalationPolicy:
    made = a_policy(**spec)
    facts = [
        {"type": kind, "status": status, "reason": reason, "lastTransitionTime": T0}
        for kind, status, reason in (("Ready", "True", "Accepted"), ("Measured", "True", "HasData"), *conditions)
    ]
    until = (T0 + HOUR) if name == "agreed" else None
    option = {"name": "stop", "class": "C", "digest": f"sha256:{'0' * 64}", "authorisedUntil": until}
    status = EscalationPolicyStatus.model_validate({"conditions": facts, "options": [option]})
    metadata = made.metadata.model_copy(update={"name": name})
    return made.model_copy(update={"metadata": metadata, "status": status})


def test_coverage_shows_what_lacks_something_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    staffed = ("Staffed", "True", "Staffed")
    bare = [{"name": "churn"}]
    policies = [
        a_covered("asks", staffed),
        a_covered("agreed", staffed, ("Attested", "True", "Attested")),
        a_covered("watched", staffed, mode="Observe"),
        a_covered("frozen", staffed, freezes=[a_freeze().dump()]),
        a_covered("alone", ("Staffed", "False", "Hole"), ("Attested", "False", "Loosened")),
        a_covered("tight", staffed, ("Attested", "True", "Tightened"), reviewBy=T0 + HOUR),
        a_covered("never", staffed, ("Attested", "False", "NeverAttested")),
        a_covered("new"),
        a_covered("bare", staffed, models=bare, containment=[]),
    ]
    head, *lines = printed(capsys, policies, "coverage")
    assert head.split() == ["MODEL", "POLICY", "READY", "DATA", "PEOPLE", "CONTAINED", "ATTESTED"]
    assert [" ".join(line.split()) for line in lines] == [
        "churn bare yes yes yes never no",
        "fraud alone yes yes Hole asks Loosened",
        "fraud new yes yes unknown asks no",
        "fraud asks yes yes yes asks no",
        "fraud frozen yes yes yes frozen until Mon 11-23 10:00Z no",
        "fraud never yes yes yes asks no",
        "fraud watched yes yes yes rehearsed only no",
        "fraud agreed yes yes yes authorised until Mon 11-23 10:00Z yes",
        "fraud tight yes yes yes asks until 2026-11-23",
    ]
    nothing = "there is no policy, and no workload with the label tocsin.dev/model"
    assert printed(capsys, [], "coverage") == [nothing]


def test_coverage_shows_models_that_no_policy_guards_before_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    policy = a_covered("alone", ("Staffed", "False", "Hole"))
    bare = unguarded("Deployment", [a_deployment("x", "zeta")], [policy])
    _, *lines = printed(capsys, [policy, *bare], "coverage")
    assert [line.split() for line in lines] == [
        ["zeta", "none", "no", "no", "no", "never", "no"],
        ["fraud", "alone", "yes", "yes", "Hole", "asks", "no"],
    ]
    elsewhere = unguarded("Deployment", [a_deployment("x", "zeta", "loans")], [policy])
    assert "none in loans" in printed(capsys, [policy, *elsewhere], "coverage", "-A")[1]
    assert json.loads("".join(printed(capsys, bare, "coverage", "-o", "json"))) == [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": a_deployment("x", "zeta")["metadata"]}
    ]


@pytest.mark.parametrize(
    ("deployment", "model"),
    [
        pytest.param(a_deployment("churn", "churn"), "churn", id="no policy names it"),
        pytest.param(a_deployment("churn", ""), "churn", id="it is called as its Deployment"),
        pytest.param(a_deployment("fraud", "fraud", "loans"), "fraud", id="a policy of another namespace does"),
        pytest.param(a_deployment("fraud", "cards"), None, id="it is the target of a policy"),
        pytest.param(a_deployment("fraud-canary", "fraud"), None, id="a policy watches that model"),
    ],
)
def test_which_workloads_no_policy_guards(deployment: dict[str, Any], model: str | None) -> None:
    assert [one.model for one in unguarded("Deployment", [deployment], [a_policy()])] == ([model] if model else [])


def test_a_target_of_another_kind_guards_nothing() -> None:
    (found,) = unguarded("StatefulSet", [a_deployment("fraud", "cards")], [a_policy()])
    assert (found.kind, found.dump()["kind"]) == ("StatefulSet", "StatefulSet")


def test_who_may_not_list_workloads_and_decisions_is_told_in_a_line_each(
    served: Access, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {MODEL_LABEL: "churn"}
    container = {"name": "model", "image": "churn:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "churn", "labels": labels},
        "spec": spec,
    }
    served.api("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", made)
    use(monkeypatch, served.kubeconfig_for("alice", ("system:masters",)))
    assert main(["coverage", "-n", namespace]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["churn", "none", "no", "no", "no", "never", "no"]
    may = ["--verb=list", "--resource=escalationpolicies"]
    served.kubectl("create", "role", "reader", *may, "-n", namespace)
    served.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=mallory", "-n", namespace)
    use(monkeypatch, served.kubeconfig_for("mallory"))
    assert main(["coverage", "-n", namespace]) == 0
    *bare, more = capsys.readouterr().err.splitlines()
    for said, kind in zip(bare, ("Deployment", "StatefulSet", "DaemonSet", "CronJob"), strict=True):
        assert said.startswith(f"{kind}s without a policy are not listed: ")
        assert f'User "mallory" cannot list resource "{kind.lower()}s"' in said
    assert more.startswith("attested policies that were removed are not listed: ")
    assert 'User "mallory" cannot list resource "decisions"' in more


def test_coverage_lists_what_was_attested_and_is_there_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    living = a_covered("asks")
    policies = [living.model_copy(update={"metadata": living.metadata.model_copy(update={"uid": "living"})})]
    digest = f"sha256:{'0' * 64}"
    about = {"name": "asks", "uid": "living"}
    attests = [
        a_decision("Attest", "carol", digest=digest, reason="read", uid="1", policyRef=about),
        a_decision("Attest", "carol", digest=digest, reason="read", uid="2"),
        a_decision("Attest", "dan", T0 + HOUR, digest=digest, reason="read", uid="3"),
    ]
    lines = printed(capsys, [*policies, *removed(policies, attests)], "coverage")
    assert lines[-2:] == [
        "attested, and removed since",
        "  models/fraud: attested by dan (decision/attest-dan)",
    ]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_objects(capsys: pytest.CaptureFixture[str], output: str, read: Any) -> None:
    one = read("\n".join(printed(capsys, an_open(), "show", "fraud-1", "-o", output)))
    several = read("\n".join(printed(capsys, [an_open()], "status", "-o", output)))
    assert one == several[0] == an_open().dump()


def test_the_cluster_is_looked_at_with_the_users_own_rights(
    served: Access, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, served.kubeconfig_for("alice", ("system:masters",)))
    url = f"/apis/tocsin.dev/v1alpha1/namespaces/{namespace}"
    for name in ("owners", "night"):
        role = a_role(name, "ada").dump()
        body = {key: role[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
        served.api("POST", f"{url}/responders", body)
    spec = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "bob", "reason": "slow"}
    body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Incident", "metadata": {"name": "fraud-1"}, "spec": spec}
    served.api("POST", f"{url}/incidents", body)

    def said(*words: str) -> tuple[int, str]:
        code = main([*words, "-n", namespace])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    assert "fraud-1" in said("status")[1]
    assert "reported by bob: slow" in said("show", "inc/fraud-1")[1]
    assert said("oncall", "owners")[1].split()[-2:] == ["owners", "Ada"]
    assert "night" not in said("oncall", "owners")[1]
    assert said("oncall", "none") == (
        2,
        f"there is no responder none in namespace {namespace}; there are: night, owners\n"
        f"see who is on duty: kubectl tocsin oncall -n {namespace}\n",
    )
    code, words = said("show", "none")
    assert (code, f"see: kubectl get incidents -n {namespace}" in words) == (2, True)
    use(monkeypatch, served.kubeconfig_for("mallory"))
    code, words = said("status")
    assert (code, "mallory" in words and "cannot list" in words) == (2, True)
    assert words.splitlines()[-1] == f"see whether you may: kubectl auth can-i list incidents -n {namespace}"
    assert said("show", "fraud-1")[1].splitlines()[-1].startswith("see whether you may: kubectl auth can-i ")
