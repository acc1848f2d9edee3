"""Does what a person types become the right Decision on a real API server, and is every refusal a way forward?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import T0, the_rules
from tests.cluster.access import Access
from tests.decide.test_tiers import an_entered
from tocsin.api.decision import Decision
from tocsin.api.incident import IncidentStatus
from tocsin.api.legalnote import text_digest
from tocsin.apiserver import ApiServer
from tocsin.cli.acts import ACTS, Act
from tocsin.cli.clock import TYPES, fields_of
from tocsin.cli.desk import PATIENCE, Desk
from tocsin.cli.files import Mistake
from tocsin.cli.main import main, parser
from tocsin.cli.noting import note_text
from tocsin.decide.presets import PRESETS

EXAMPLES = Path(__file__).parents[2] / "examples"
GROUP = "/apis/tocsin.dev/v1alpha1"
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ASKING = {
    "name": "last-healthy",
    "type": "RollBack",
    "class": "B",
    "state": "Asking",
    "summary": "roll Deployment/fraud back from revision 2 to revision 1",
    "notes": ["the images are the same"],
    "digest": DIGEST,
    "needs": 2,
}


JUDGED = {"impact": "Minor", "legal_exposure": "Likely", "materiality": "Unknown"}
CLASSIFIED = {"impact": "Minor", "legalExposure": "Likely", "materiality": "Unknown"}
ANSWER = {"question": "notify", "choice": "later"}


class Meanwhile:
    """A clock that stands at T0, and in whose pauses something happens, as it would while a person waits."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens = happens
        self._elapsed = 0.0

    def now(self) -> datetime:
        return T0

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds
        self._happens()


def use(monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> None:
    """What KUBECONFIG does to a fresh process: the client reads the variable when it is imported."""
    monkeypatch.setattr("kubernetes.aio.config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))


class Office:
    """One incident in one namespace, and people at their desks."""

    def __init__(self, cluster: Access, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._monkeypatch = monkeypatch
        self.url = f"{GROUP}/namespaces/{namespace}"
        self.become("alice", "system:masters")
        self.open("fraud-1")

    def open(self, name: str) -> None:
        spec = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "bob", "reason": "slow"}
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Incident", "metadata": {"name": name}, "spec": spec}
        self.cluster.api("POST", f"{self.url}/incidents", body)

    def become(self, user: str, *groups: str) -> None:
        use(self._monkeypatch, self.cluster.kubeconfig_for(user, groups))

    def say(self, name: str = "fraud-1", **status: Any) -> None:
        """Write an incident's status, as the operator does."""
        full = IncidentStatus.model_validate(status).dump()
        self.cluster.api("PATCH", f"{self.url}/incidents/{name}/status", {"status": full})

    def decisions(self) -> list[Decision]:
        return [Decision.model_validate(one) for one in self.cluster.api("GET", f"{self.url}/decisions")["items"]]

    def answer(self, *, counted: bool, message: str) -> None:
        """What the operator makes of the newest Decision."""
        record = {
            "name": self.decisions()[-1].metadata.name,
            "uid": self.decisions()[-1].metadata.uid,
            "type": "Acknowledge",
            "by": "alice",
            "time": T0,
            "counted": counted,
            "message": message,
        }
        self.say(decisions=(record,))

    def answer_each(self, counted: Mapping[str, bool]) -> None:
        """What the operator makes of the Decisions about several incidents."""
        for decision in self.decisions():
            metadata, about = decision.metadata, decision.spec.incident_ref
            assert about
            if about.name in counted:
                said = {"counted": counted[about.name], "message": f"heard about {about.name}"}
                record = {"name": metadata.name, "uid": metadata.uid, "type": "Acknowledge", "by": "alice", "time": T0}
                self.say(about.name, decisions=(record | said,))

    def decide(
        self,
        word: str,
        happens: Callable[[], None] = lambda: None,
        *,
        name: str = "fraud-1",
        further: Sequence[str] = (),
        yes: bool = False,
        ask: Callable[[str], bool] | None = None,
        **given: str,
    ) -> int:
        async def decide() -> int:
            api = await ApiServer.connect()
            try:
                return await Desk(api, self.namespace, Meanwhile(happens), ask=ask).decide(
                    an_act(word), [name, *further], given, yes=yes
                )
            finally:
                await api.close()

        return asyncio.run(decide())

    def mine(self, *, yes: bool = False, ask: Callable[[str], bool] | None = None) -> list[str]:
        async def mine() -> list[str]:
            api = await ApiServer.connect()
            try:
                return await Desk(api, self.namespace, Meanwhile(lambda: None), ask=ask).mine(yes=yes)
            finally:
                await api.close()

        return asyncio.run(mine())

    def report(self, happens: Callable[[], None] = lambda: None, *, policy: str | None = None, **given: str) -> int:
        async def report() -> int:
            api = await ApiServer.connect()
            try:
                desk = Desk(api, self.namespace, Meanwhile(happens), ask=None)
                return await desk.report(
                    given.get("model", "fraud"), "two complaints", given.get("source"), given.get("harm"), policy
                )
            finally:
                await api.close()

        return asyncio.run(report())

    def attest(self, happens: Callable[[], None]) -> int:
        async def attest() -> int:
            api = await ApiServer.connect()
            try:
                desk = Desk(api, self.namespace, Meanwhile(happens), ask=lambda _: True)
                return await desk.attest("fraud-latency", "validated in June", yes=False)
            finally:
                await api.close()

        return asyncio.run(attest())

    def reports(self) -> list[Any]:
        items: list[Any] = self.cluster.api("GET", f"{self.url}/incidents")["items"]
        return [one for one in items if one["metadata"]["name"] != "fraud-1"]

    def guard(self, *names: str) -> None:
        tier = {"name": "owners", "severity": "SEV3", "accountable": "owners"}
        signal = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"}
        spec = {"models": [{"name": "fraud"}], "signals": [signal], "tiers": [tier]}
        for name in names:
            body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "EscalationPolicy", "metadata": {"name": name}}
            self.cluster.api("POST", f"{self.url}/escalationpolicies", body | {"spec": spec})


def an_act(word: str) -> Act:
    return next(act for act in ACTS if act.word == word)


@pytest.fixture
def office(served: Access, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(served, namespace, monkeypatch)


@pytest.mark.parametrize(
    ("word", "given", "spec"),
    [
        ("ack", {}, {}),
        ("escalate", {"reason": "the press calls", "tier": "board"}, {"tier": "board"}),
        ("lower", {"reason": "a test account", "severity": "SEV3"}, {"severity": "SEV3"}),
        ("hold", {"reason": "we fix it by hand"}, {}),
        ("decide", ANSWER | {"reason": "the form asks for more"}, ANSWER),
        ("handover", {"to": "night", "reason": "my shift ends"}, {"to": "night"}),
        ("accept", {}, {}),
        ("note", {"reason": "the vendor is called"}, {}),
        ("resume", {}, {}),
        ("resolve", {"reason": "rolled back"}, {}),
        (
            "resolve",
            {"reason": "rolled back", "post_mortem": "bob", "within": "48h"},
            {"postMortem": {"owner": "bob", "dueTime": "2026-11-25T09:00:00Z"}},
        ),
        ("classify", JUDGED | {"reason": "seen"}, {"classification": CLASSIFIED}),
    ],
)
def test_an_act_becomes_a_decision_under_the_persons_own_name(
    office: Office, capsys: pytest.CaptureFixture[str], word: str, given: dict[str, str], spec: dict[str, str]
) -> None:
    code = office.decide(word, lambda: office.answer(counted=True, message="it counted"), **given)

    (decision,) = office.decisions()
    made = decision.spec.dump()
    incident = office.cluster.api("GET", f"{office.url}/incidents/fraud-1")
    assert made == {
        "type": an_act(word).type,
        "by": "alice",
        "incidentRef": {"name": "fraud-1", "uid": incident["metadata"]["uid"]},
        **({"reason": given["reason"]} if "reason" in given else {}),
        **spec,
    }
    assert decision.metadata.name.startswith(f"{an_act(word).type.right}-")
    assert (code, capsys.readouterr().out) == (0, "it counted\n")


def test_a_decision_that_did_not_count_says_why_and_fails(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    code = office.decide("ack", lambda: office.answer(counted=False, message="your tier was not entered yet"))

    assert (code, capsys.readouterr().out) == (1, "did not count: your tier was not entered yet\n")


def test_without_a_verdict_it_is_recorded_all_the_same(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    code = office.decide("ack")

    name = office.decisions()[0].metadata.name
    assert (code, capsys.readouterr().out) == (
        0,
        f"recorded as decision/{name}; the operator has not answered within {PATIENCE:g} s: "
        f"kubectl get incident fraud-1 -n {office.namespace} -o yaml\n",
    )


@pytest.mark.parametrize("name", ["fraud-1", "inc/fraud-1", "incident/fraud-1"])
def test_an_incident_is_named_as_kubectl_prints_it(office: Office, name: str) -> None:
    assert office.decide("ack", name=name) == 0
    assert len(office.decisions()) == 1


def test_several_incidents_are_decided_on_at_once(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.open("fraud-2")
    office.open("fraud-3")

    def heard() -> None:
        office.answer_each({"fraud-1": True, "fraud-2": False})

    code = office.decide("ack", heard, further=["inc/fraud-2", "fraud-3", "fraud-1"])

    first, second, third = capsys.readouterr().out.splitlines()
    assert code == 1
    assert first == "fraud-1: heard about fraud-1"
    assert second == "fraud-2: did not count: heard about fraud-2"
    assert third.startswith("fraud-3: recorded as decision/")
    assert len(office.decisions()) == 3


def test_where_one_name_is_wrong_nothing_is_decided(office: Office) -> None:
    with pytest.raises(Mistake, match="there is no incidents/credit-9"):
        office.decide("note", reason="seen", further=["credit-9"])
    assert office.decisions() == []


def who_waits(office: Office) -> None:
    """Of three incidents one waits for ada, one was acknowledged, and one has not come to her."""
    rules = the_rules().dump()
    body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Responder", "metadata": {"name": "owners"}}
    office.cluster.api(
        "POST", f"{office.url}/responders", body | {"spec": {"members": [{"name": "Ada", "user": "alice"}]}}
    )
    for name, tier in (
        ("fraud-1", an_entered("owners", acknowledged_by="bob", acknowledged_time=T0)),
        ("fraud-2", an_entered("compliance")),
        ("fraud-3", an_entered("owners")),
    ):
        if name != "fraud-1":
            office.open(name)
        office.say(name, rules=rules, severity="SEV2", tiers=(tier,))


def test_all_are_those_that_wait_for_me_and_it_asks_back(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    who_waits(office)
    asked: list[str] = []

    assert office.mine(ask=lambda question: not asked.append(question)) == ["fraud-3"]
    assert office.mine(yes=True) == ["fraud-3"]

    assert asked == ["acknowledge it?"]
    assert capsys.readouterr().out.splitlines() == ["fraud-3: SEV2, model fraud, tier owners"] * 2
    with pytest.raises(Mistake, match="nothing was decided"):
        office.mine(ask=lambda _: False)
    with pytest.raises(Mistake, match="standard input is no terminal: give --yes to acknowledge it"):
        office.mine()


def test_all_of_the_command_line(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ack", "--all", "-y", "-n", office.namespace]) == 0
    said = f"nothing in namespace {office.namespace} waits for alice to acknowledge: kubectl tocsin status\n"
    assert (capsys.readouterr().out, office.decisions()) == (said, [])
    who_waits(office)

    assert main(["ack", "--all", "-y", "-n", office.namespace]) == 0

    (decision,) = office.decisions()
    assert decision.spec.incident_ref
    assert (decision.spec.type, decision.spec.incident_ref.name) == ("Acknowledge", "fraud-3")


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        ([], "name the incidents, or give --all\nsee what is open: kubectl tocsin status"),
        (["fraud-1", "--all"], "name the incidents, or give --all\nsee what is open: kubectl tocsin status"),
        (["fraud-1", "-y"], "--yes: goes with --all: leave it out, nothing is asked about incidents that you name"),
    ],
    ids=["neither", "both", "nothing to ask back"],
)
def test_which_incidents_are_meant_is_never_guessed(
    office: Office, capsys: pytest.CaptureFixture[str], words: list[str], mistake: str
) -> None:
    assert main(["ack", *words, "-n", office.namespace]) == 2
    assert (capsys.readouterr().err, office.decisions()) == (f"{mistake}\n", [])


@pytest.mark.parametrize("word", ["approve", "reject", "break-glass"])
def test_an_answer_is_bound_to_what_exactly_is_asked(
    office: Office, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    office.say(rules=the_rules(), containment=(ASKING,))
    asked: list[str] = []

    office.decide(word, ask=lambda question: not asked.append(question), reason="seen")

    (decision,) = office.decisions()
    assert (decision.spec.option, decision.spec.digest) == ("last-healthy", DIGEST)
    assert asked == [f"{word} it?"]
    assert capsys.readouterr().out.splitlines()[:5] == [
        "If last-healthy runs, people will experience: Payments are checked by the older rules.",
        "By hand meanwhile: The desk reviews large payments by hand.",
        "last-healthy: roll Deployment/fraud back from revision 2 to revision 1",
        "  note: the images are the same",
        "  approvals so far: 0 of 2",
    ]


@pytest.mark.parametrize(
    ("ask", "yes", "mistake", "decided"),
    [
        (None, False, "standard input is no terminal: give --yes to approve it", 0),
        (lambda _: False, False, "nothing was decided", 0),
        (None, True, "", 1),
    ],
    ids=["no terminal to ask at", "the answer is no", "the answer was given before"],
)
def test_nothing_is_approved_by_accident(
    office: Office, ask: Callable[[str], bool] | None, yes: bool, mistake: str, decided: int
) -> None:
    office.say(containment=(ASKING,))

    if mistake:
        with pytest.raises(Mistake, match=mistake):
            office.decide("approve", ask=ask, yes=yes, reason="seen")
    else:
        office.decide("approve", ask=ask, yes=yes, reason="seen")

    assert len(office.decisions()) == decided


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({}, "no option of fraud-1 asks for approval: last-healthy is Executed"),
        ({"option": "stop"}, "no option stop of fraud-1 asks for approval: last-healthy is Executed"),
    ],
    ids=["nothing asks", "the option that is meant does not ask"],
)
def test_an_approval_of_nothing_shows_the_next_command(office: Office, option: dict[str, str], words: str) -> None:
    office.say(containment=({**ASKING, "state": "Executed"},))

    with pytest.raises(Mistake) as refused:
        office.decide("approve", yes=True, **option)

    assert str(refused.value).splitlines() == [words, f"see: kubectl describe incident fraud-1 -n {office.namespace}"]


BROKEN = {
    "option": "stop",
    "digest": OTHER,
    "by": "bob",
    "time": T0,
    "reason": "patients wait",
    "approveDeadline": T0 + timedelta(hours=24),
}


def test_what_was_ordered_alone_is_approved_afterwards(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.say(rules=the_rules(), containment=({**ASKING, "state": "Executed"},), break_glass=(BROKEN,))

    office.decide("approve", yes=True, reason="it was right")

    (decision,) = office.decisions()
    assert (decision.spec.option, decision.spec.digest) == ("stop", OTHER)
    assert capsys.readouterr().out.splitlines()[:3] == [
        "While stop holds, people experience: Payments above 500 wait.",
        "By hand meanwhile: The desk releases waiting payments by hand.",
        "stop, which bob ordered alone: patients wait",
    ]


def test_what_asks_is_approved_before_what_was_ordered_alone(office: Office) -> None:
    office.say(containment=(ASKING,), break_glass=(BROKEN,))
    office.decide("approve", yes=True, reason="seen")
    office.decide("approve", yes=True, reason="seen", option="stop")
    assert sorted(one.spec.option or "" for one in office.decisions()) == ["last-healthy", "stop"]


def test_a_span_that_is_none_is_a_mistake_that_shows_one(office: Office) -> None:
    with pytest.raises(Mistake) as refused:
        office.decide("resolve", reason="over", post_mortem="bob", within="soon")
    assert str(refused.value) == "--within: 'soon' is not a duration: write for example 30s, 15m or 1h30m"


PINNED = {"name": "hpa", "uid": "hpa-uid", "minReplicas": 2, "maxReplicas": 9}
FEWER = ASKING | {
    "name": "fewer",
    "type": "Scale",
    "state": "DidNotHelp",
    "summary": "scale Deployment/fraud",
    "from": "4",
}
IN_PLACE = ({**FEWER, "to": "2"}, {**FEWER, "name": "stop", "state": "Helped", "to": "0", "pinned": PINNED})


@pytest.mark.parametrize(
    ("option", "name", "shown"),
    [
        pytest.param(
            {},
            "stop",
            [
                "stop is Helped: scale Deployment/fraud",
                "  to undo it: scale Deployment/fraud from 0 back to 4 replicas, "
                "then restore HorizontalPodAutoscaler/hpa to minReplicas 2 and maxReplicas 9",
            ],
            id="the last one",
        ),
        pytest.param(
            {"option": "fewer"},
            "fewer",
            [
                "fewer is DidNotHelp: scale Deployment/fraud",
                "  to undo it: scale Deployment/fraud from 2 back to 4 replicas",
            ],
            id="the one that is meant",
        ),
    ],
)
def test_an_undo_shows_what_comes_back_and_asks(
    office: Office, capsys: pytest.CaptureFixture[str], option: dict[str, str], name: str, shown: list[str]
) -> None:
    office.say(rules=the_rules(), containment=IN_PLACE)
    asked: list[str] = []

    office.decide("undo", ask=lambda question: not asked.append(question), reason="it is fixed", **option)

    (decision,) = office.decisions()
    assert decision.metadata.name.startswith("undo-")
    assert (decision.spec.option, decision.spec.digest, decision.spec.reason) == (name, DIGEST, "it is fixed")
    assert decision.spec.incident_ref is not None
    assert decision.spec.incident_ref.uid
    assert asked == ["undo it?"]
    assert capsys.readouterr().out.splitlines()[:3] == [
        *shown,
        "  nothing is contained again by itself until somebody lets automation go on: kubectl tocsin resume",
    ]


def test_an_undo_of_nothing_shows_the_next_command(office: Office) -> None:
    office.say(containment=(ASKING,))

    with pytest.raises(Mistake) as refused:
        office.decide("undo", yes=True, reason="it is fixed")

    assert str(refused.value).splitlines() == [
        "no option of fraud-1 is in place: last-healthy is Asking",
        f"see: kubectl describe incident fraud-1 -n {office.namespace}",
    ]


def test_an_incident_that_is_not_there_shows_the_next_command(office: Office) -> None:
    with pytest.raises(Mistake) as refused:
        office.decide("ack", name="credit-9")

    assert str(refused.value).splitlines() == [
        f"there is no incidents/credit-9 in namespace {office.namespace}",
        f"see: kubectl get incidents -n {office.namespace}",
    ]


def test_a_report_opens_an_incident_and_says_what_became_of_it(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.guard("fraud")

    def looked_at() -> None:
        (made,) = office.reports()
        firing = {"type": "Firing", "status": "False", "reason": "Reported", "lastTransitionTime": T0}
        status = IncidentStatus.model_validate({"severity": "SEV1", "waiting_for": "resolve", "conditions": [firing]})
        where = f"{office.url}/incidents/{made['metadata']['name']}/status"
        office.cluster.api("PATCH", where, {"status": status.dump()})

    assert office.report(looked_at, source="complaint", harm="a loan was refused") == 0
    (made,) = office.reports()
    assert made["metadata"]["name"].startswith("fraud-report-")
    assert made["spec"] == {
        "origin": "Person",
        "policyRef": {"name": "fraud"},
        "model": "fraud",
        "by": "alice",
        "reason": "two complaints",
        "source": "Complaint",
        "harm": "a loan was refused",
    }
    assert capsys.readouterr().out == f"opened incident/{made['metadata']['name']}: SEV1; waiting for resolve\n"


def test_a_report_that_joined_names_the_incident_that_goes_on(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.guard("fraud")

    def joined() -> None:
        (made,) = office.reports()
        resolved = {"type": "Resolved", "status": "True", "reason": "Joined", "lastTransitionTime": T0}
        status = IncidentStatus.model_validate({"joined": "fraud-1", "conditions": [resolved]})
        where = f"{office.url}/incidents/{made['metadata']['name']}/status"
        office.cluster.api("PATCH", where, {"status": status.dump()})

    assert office.report(joined) == 0
    assert capsys.readouterr().out.endswith("joined incident/fraud-1, which is open: kubectl tocsin show fraud-1\n")


def test_a_report_without_an_operator_is_recorded_all_the_same(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.guard("fraud")
    assert office.report() == 0
    assert "the operator has not looked at it within 5 s" in capsys.readouterr().out
    assert len(office.reports()) == 1


def test_a_report_on_a_model_that_no_policy_names_or_several_do_says_so(office: Office) -> None:
    with pytest.raises(Mistake, match="names the model fraud; there are: none\nsee where it may be: kubectl tocsin"):
        office.report()
    office.guard("fraud", "heir")
    with pytest.raises(Mistake, match="--policy: choose one of fraud, heir"):
        office.report()
    assert office.report(policy="heir") == 0


def test_what_the_schema_refuses_is_said_in_its_words(office: Office) -> None:
    with pytest.raises(Mistake, match="reason is required, but to acknowledge, accept, resume and mark as submitted"):
        office.decide("hold", reason="x")


def test_somebody_without_the_right_is_told_which_one_is_missing(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.cluster.kubectl("create", "role", "reader", "--verb=get", "--resource=incidents", "-n", office.namespace)
    office.cluster.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=mallory", "-n", office.namespace)
    office.become("mallory")

    code = main(["ack", "fraud-1", "-n", office.namespace])

    said = capsys.readouterr().err.splitlines()
    assert code == 2
    assert 'User "mallory" cannot create resource "decisions"' in said[0]
    assert said[1] == (
        "see what you may do: kubectl auth can-i create decisions.tocsin.dev --subresource=acknowledge "
        f"-n {office.namespace}"
    )


def test_without_a_cluster_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, tmp_path / "none")

    assert main(["ack", "fraud-1", "-n", "models"]) == 2

    said = capsys.readouterr().err
    assert said.startswith("no cluster to talk to: ")
    assert said.endswith("check KUBECONFIG, then: kubectl config current-context\n")


def test_a_silent_api_server_is_no_reason_to_fear_that_a_look_did_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = {"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "current-context": "c"}
    context = {
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **cluster, **context}))
    use(monkeypatch, tmp_path / "config")

    assert main(["status"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("the API server did not answer: GET ")
    assert second == "see whether it is there: kubectl cluster-info"


def an_applied_policy(office: Office, observed: int | None = 1) -> Any:
    text = (EXAMPLES / "fraud-latency.yaml").read_text().replace("namespace: models", f"namespace: {office.namespace}")
    office.cluster.kubectl("apply", "-f", "-", input=text)
    options = [{"name": "last-healthy", "class": "B", "digest": DIGEST}]
    where = f"{office.url}/escalationpolicies/fraud-latency"
    office.cluster.api("PATCH", f"{where}/status", {"status": {"observedGeneration": observed, "options": options}})
    return office.cluster.api("GET", where)


def authorised(office: Office, option: str = "last-healthy", span: str = "720h") -> int:
    arguments = ["authorise", "fraud-latency", "--option", option, "--for", span, "--reason", "rehearsed in June"]
    return main([*arguments, "-n", office.namespace])


def test_an_authorisation_is_bound_to_the_option_as_it_is_and_expires(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = an_applied_policy(office)

    code = authorised(office)

    (decision,) = office.decisions()
    assert decision.spec.policy_ref is not None
    assert (decision.spec.policy_ref.name, decision.spec.policy_ref.uid) == ("fraud-latency", policy["metadata"]["uid"])
    assert (decision.spec.option, decision.spec.digest, decision.spec.by) == ("last-healthy", DIGEST, "alice")
    created, until = decision.metadata.creation_timestamp, decision.spec.expire_time
    assert created is not None
    assert until is not None
    assert abs(until - created - timedelta(hours=720)) < timedelta(minutes=1)
    assert code == 0
    experience, fallback, said = capsys.readouterr().out.splitlines()
    assert experience.startswith("If last-healthy runs, people will experience: Shoppers pay as before.")
    assert fallback.startswith("By hand meanwhile: Payments risk looks through")
    assert said.startswith("authorised last-healthy of fraud-latency until ")


@pytest.mark.parametrize(
    ("observed", "option", "span", "mistake"),
    [
        (
            None,
            "last-healthy",
            "1h",
            "the operator has not looked at this version of the policy yet: try again in a moment",
        ),
        (1, "stop", "1h", "--option: policy fraud-latency has no option stop; it has last-healthy"),
        (1, "last-healthy", "30d", "--for: '30d' is not a duration: write for example 30s, 15m or 1h30m"),
    ],
    ids=["a policy that is new", "an option that is not there", "a span in days"],
)
def test_an_authorisation_that_cannot_be_given(
    office: Office, capsys: pytest.CaptureFixture[str], observed: int | None, option: str, span: str, mistake: str
) -> None:
    an_applied_policy(office, observed)

    assert authorised(office, option, span) == 2
    first, *further = capsys.readouterr().err.splitlines()
    assert first == mistake
    shown = f"kubectl describe escalationpolicy fraud-latency -n {office.namespace}"
    assert all(line.endswith(shown) for line in further)
    assert len(further) == (0 if first.startswith("--for") else 1)
    assert office.decisions() == []


RULES = f"sha256:{'b' * 64}"
ATTEST = ("attest", "fraud-latency", "--reason", "validated in June")


def to_attest(office: Office, observed: int | None = 2) -> Any:
    policy = an_applied_policy(office)
    where = f"{office.url}/escalationpolicies/fraud-latency"
    office.cluster.api("PATCH", where, {"spec": {"secondLine": "model-risk"}})
    office.cluster.api("PATCH", f"{where}/status", {"status": {"digest": RULES, "observedGeneration": observed}})
    return policy


@pytest.mark.parametrize(
    ("counted", "message", "code", "said"),
    [
        pytest.param(True, "attested the rules", 0, "attested the rules", id="it counts"),
        pytest.param(False, "not a member", 1, "did not count: not a member", id="it does not count"),
    ],
)
def test_rules_are_shown_before_they_are_attested_and_the_verdict_after(
    office: Office, capsys: pytest.CaptureFixture[str], counted: bool, message: str, code: int, said: str
) -> None:
    policy = to_attest(office)

    def judge() -> None:
        (decision,) = office.decisions()
        record = {"uid": decision.metadata.uid, "name": "x", "by": "alice", "counted": counted, "message": message}
        where = f"{office.url}/escalationpolicies/fraud-latency/status"
        office.cluster.api("PATCH", where, {"status": {"attests": [record | {"time": "2026-11-23T09:00:00Z"}]}})

    assert office.attest(judge) == code

    (decision,) = office.decisions()
    assert decision.spec.policy_ref is not None
    assert (decision.spec.policy_ref.name, decision.spec.policy_ref.uid) == ("fraud-latency", policy["metadata"]["uid"])
    assert (decision.spec.type, decision.spec.digest, decision.spec.by) == ("Attest", RULES, "alice")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("fraud-latency: mode ")
    assert any(line.startswith("  signal ") and ": warn > " in line for line in shown)
    assert "    basis: none is given: set spec.signals[].basis" in shown
    assert any(line.startswith("    If last-healthy runs, people will experience: Shoppers") for line in shown)
    assert shown[-1] == said


def test_an_attestation_without_an_answer_says_where_it_will_be(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    to_attest(office)
    assert office.attest(lambda: None) == 0
    assert "the operator has not answered within 5 s" in capsys.readouterr().out


def test_what_was_not_agreed_to_is_not_attested(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    to_attest(office)
    assert main([*ATTEST, "-n", office.namespace]) == 2
    assert capsys.readouterr().err == "standard input is no terminal: give --yes to attest it\n"
    assert office.decisions() == []


def test_rules_that_nobody_shall_attest_are_not_attested(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    an_applied_policy(office)
    assert main([*ATTEST, "--yes", "-n", office.namespace]) == 2
    assert capsys.readouterr().err == (
        "spec.secondLine of policy fraud-latency names nobody who attests its rules: set it to a Responder\n"
        f"see which there are: kubectl get responders -n {office.namespace}\n"
    )


def test_rules_that_the_operator_has_not_looked_at_are_not_attested(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    to_attest(office, observed=None)
    assert main([*ATTEST, "--yes", "-n", office.namespace]) == 2
    assert capsys.readouterr().err.startswith("the operator has not looked at this version of the policy yet")
    assert office.decisions() == []


@pytest.mark.parametrize("name", ["fraud-latency", "credit-scoring", "chat-safety", "notification-clocks"])
def test_the_api_server_takes_every_example(served: Access, namespace: str, name: str) -> None:
    lines = (EXAMPLES / f"{name}.yaml").read_text().splitlines()
    text = "\n".join(line.replace("namespace: models", f"namespace: {namespace}") for line in lines)
    text = text.replace("namespace: patients", f"namespace: {namespace}")

    said = served.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=text)

    assert said.count("created (server dry run)") == 3


# --- legal clocks

BANK = {
    "name": "us-bank-36h",
    "family": "us-bank",
    "citation": "12 CFR 53.3",
    "state": "Undetermined",
    "determineDeadline": T0,
}


def about_clocks(office: Office, happens: Callable[[], None], *words: str) -> int:
    """A command about a clock of the incident."""

    async def say() -> int:
        arguments = parser().parse_args(["clock", *words])
        api = await ApiServer.connect()
        try:
            desk = Desk(api, office.namespace, Meanwhile(happens), ask=lambda _: True)
            if arguments.word == "accept":
                return await desk.accept_clock(arguments.policy, arguments.clock, arguments.reason, yes=False)
            note = note_text(arguments.note_file) if arguments.note_file else None
            return await desk.clock(TYPES[arguments.word], arguments.incident, fields_of(arguments, T0), note)
        finally:
            await api.close()

    return asyncio.run(say())


@pytest.mark.parametrize("counted", [True, False])
def test_a_clock_is_started_under_the_persons_own_name(
    office: Office, capsys: pytest.CaptureFixture[str], counted: bool
) -> None:
    office.say(clocks=(BANK,))
    anchor = "Determined=2026-11-23T08:00:00Z"
    words = ("start", "fraud-1", "--clock", "us-bank-36h", "--anchor", anchor, "--reason", "seen")

    code = about_clocks(office, lambda: office.answer(counted=counted, message="due tomorrow"), *words)

    (decision,) = office.decisions()
    made = decision.spec.dump()
    made["incidentRef"].pop("uid")
    assert made == {
        "type": "StartClock",
        "by": "alice",
        "incidentRef": {"name": "fraud-1"},
        "reason": "seen",
        "clock": "us-bank-36h",
        "anchors": [{"type": "Determined", "time": "2026-11-23T08:00:00Z"}],
    }
    assert decision.metadata.name.startswith("startclock-")
    assert (code, capsys.readouterr().out) == (
        (0, "due tomorrow\n") if counted else (1, "did not count: due tomorrow\n")
    )


def test_what_is_privileged_of_a_reason_stands_beside_a_clocks_decision(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    office.say(clocks=(BANK,))
    advice = tmp_path / "advice.txt"
    advice.write_text("counsel says that it does not apply")
    words = ("decline", "fraud-1", "--clock", "us-bank-36h", "--reason", "on advice", "--note-file", str(advice))

    assert about_clocks(office, lambda: office.answer(counted=True, message="one of two"), *words) == 0

    (decision,) = office.decisions()
    assert decision.spec.note is not None
    kept = office.cluster.get("legalnote", decision.spec.note.name, office.namespace)
    assert (kept["spec"]["text"], decision.spec.note.digest) == (advice.read_text(), text_digest(advice.read_text()))
    assert "counsel" not in capsys.readouterr().out


def test_a_clock_that_the_incident_does_not_have_is_named_with_those_it_has(office: Office) -> None:
    office.say(clocks=(BANK,))
    with pytest.raises(Mistake) as wrong:
        about_clocks(office, lambda: None, "decline", "fraud-1", "--clock", "gdpr-33", "--reason", "none")
    assert str(wrong.value) == (
        "--clock: fraud-1 has no clock gdpr-33; it has us-bank-36h\n"
        f"see how far they are: kubectl tocsin clock list fraud-1 -n {office.namespace}"
    )
    assert office.decisions() == []


def to_accept(office: Office, digest: str) -> None:
    an_applied_policy(office)
    offered = {"name": "gdpr-33", "evidence": "M", "digest": digest}
    status = {"clocks": [offered], "observedGeneration": 1}
    office.cluster.api("PATCH", f"{office.url}/escalationpolicies/fraud-latency/status", {"status": status})


ACCEPT = ("accept", "fraud-latency", "--clock", "gdpr-33", "--reason", "read")


def test_numbers_are_shown_before_they_are_accepted(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    digest = PRESETS["gdpr-33"].digest()
    to_accept(office, digest)

    assert about_clocks(office, lambda: None, *ACCEPT) == 0

    (decision,) = office.decisions()
    assert (decision.spec.type, decision.spec.clock, decision.spec.digest) == ("AcceptClock", "gdpr-33", digest)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "gdpr-33: 72 hours from Aware"
    assert shown[-1] == f"accepted gdpr-33 for fraud-latency: decision/{decision.metadata.name}"


def test_other_numbers_than_the_operators_are_not_accepted(office: Office) -> None:
    to_accept(office, OTHER)
    with pytest.raises(Mistake, match="the operator have other numbers: update one"):
        about_clocks(office, lambda: None, *ACCEPT)
    with pytest.raises(Mistake, match="policy fraud-latency has no clock apra-234; it has gdpr-33"):
        about_clocks(office, lambda: None, "accept", "fraud-latency", "--clock", "apra-234", "--reason", "read")
    assert office.decisions() == []
