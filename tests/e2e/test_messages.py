"""Do the words that people approved go out, once, to the byte; and does nothing else, whatever the sender does?"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access, ApiError, CommandError
from tests.e2e.rows import API, MILD, PATIENT_LEASE, Rows, Scene
from tests.e2e.stage import Installed, Stage
from tocsin.api.message import Message
from tocsin.api.template import MessageTemplate
from tocsin.decide.drafting import template_digest
from tocsin.decide.message_situation import words_of
from tocsin.decide.rendering import digest_of

row = Rows()
BODY = "Since {{ incident.openedTime }} our service may be slow."
SEEN = {"reason": "read it"}


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


class Press:
    """The messages of one stage: risk and board approve them, and ada may do all that communications may."""

    def __init__(self, scene: Stage) -> None:
        self.scene, self.cluster = scene, scene.cluster
        self.path = f"/outlet/{scene.namespace}"

    def open(self, *messages: dict[str, Any], **changes: Any) -> None:
        """People, a sender, and a policy that drafts these messages of an incident that opens at once."""
        assert isinstance(self.scene, Scene)
        for user in ("ada", "ben", "eve"):
            self.scene.bind("tocsin-communications", "User", user)
        self.scene.secret("outlet", self.cluster.sink.url(self.path))
        self.scene.guard(MILD, models=[{"name": "credit"}], containment=[], messages=list(messages), **changes)

    def template(self, name: str, audience: str = "Customers", **changes: Any) -> Any:
        spec: dict[str, Any] = {
            "audience": audience,
            "phase": "Initial",
            "texts": [{"language": "en", "subject": "We are on it", "body": BODY}],
        }
        match audience:
            case "Internal" | "Executives":
                spec |= {"to": ["board"]}
            case "Regulators":
                spec |= {"approvals": ["risk", "board"]}
            case "Media":  # is told no times
                spec |= {"approvals": ["board"], "texts": [spec["texts"][0] | {"body": "We look into it."}]}
            case _:
                spec |= {"approvals": ["risk", "board"], "sender": {"secretRef": {"name": "outlet"}}}
        assert isinstance(self.scene, Scene)
        return self.scene.ours("MessageTemplate", name, spec | changes)

    # --- what is there

    def record(self, rule: str, *states: str) -> Any:
        """Wait until the incident says that of a message."""

        def there() -> Any:
            incident = self.scene.incident() or {}
            records = incident.get("status", {}).get("messages", [])
            return next((one for one in records if one["rule"] == rule and one["state"] in states), None)

        return self.cluster.wait(
            there, 90, f"message {rule} {' or '.join(states)} in {self.scene.namespace}", every=0.3
        )

    def where(self, name: str) -> str:
        return f"/apis/{API}/namespaces/{self.scene.namespace}/messages/{name}"

    def message(self, rule: str, *states: str) -> Message:
        """Wait until the operator has looked at a message as it is now, and it is in one of these states."""
        name = self.record(rule, *states)["name"] if states else self._name(rule)

        def seen() -> Message | None:
            message = Message.model_validate(self.cluster.api("GET", self.where(name)))
            known = message.status.digest == digest_of(words_of(message))
            return message if known and message.status.state in (states or (message.status.state,)) else None

        found: Message = self.cluster.wait(seen, 90, f"{name} {states}", every=0.3)
        return found

    def _name(self, rule: str) -> str:
        records = self.scene.incident()["status"]["messages"]
        return str(next(one["name"] for one in records if one["rule"] == rule))

    def sent(self) -> list[Any]:
        return self.cluster.sink.received(self.path)

    # --- what people do

    def edit(self, user: str, message: Message, body: str) -> None:
        editors = [*(one for one in message.spec.edited_by if one != user), user]
        texts = [{"language": "en", "subject": "We are on it", "body": body}]
        change = json.dumps({"spec": {"texts": texts, "editedBy": editors}})
        self.cluster.kubectl(
            *("patch", "message", message.metadata.name, "-n", self.scene.namespace, "--type=merge", "-p", change),
            kubeconfig=self.scene.people[user],
        )

    def decide(self, user: str, kind: str, message: Message) -> str:
        """Decide on the very words; the Decision's name."""
        reference = {"name": message.metadata.name, "uid": message.metadata.uid}
        fields = {"messageRef": reference, "digest": digest_of(words_of(message)), **SEEN}
        return self.scene.decide(user, kind, **fields).split("/", 1)[1].split()[0]

    def told(self, user: str, kind: str, message: Message) -> tuple[bool, str]:
        """Decide, and wait for what became of it."""
        name = self.decide(user, kind, message)

        def heard() -> Any:
            now = Message.model_validate(self.cluster.api("GET", self.where(message.metadata.name)))
            return next((one for one in now.status.decisions if one.name == name), None)

        found = self.cluster.wait(heard, 90, f"word on {name}", every=0.3)
        return found.counted, found.message

    def approve(self, message: Message) -> None:
        assert self.told("ben", "ApproveMessage", message)[0]
        assert self.told("eve", "ApproveMessage", message) == (True, "approved by all who were asked")

    def ready(self, rule: str = "first") -> Message:
        """One that is drafted, and approved by all."""
        message = self.message(rule, "Draft")
        self.approve(message)
        return message

    def authorise(self, user: str, template: Any, *varying: str) -> None:
        spec = MessageTemplate.model_validate(template).spec
        reference = {"name": template["metadata"]["name"], "uid": template["metadata"]["uid"]}
        fields = {"templateRef": reference, "digest": template_digest(spec), "expireTime": "2099-01-01T00:00:00Z"}
        self.scene.decide(user, "AuthoriseMessage", varying=list(varying), **fields, reason="agreed in advance")


OPENED = {"name": "first", "template": "first", "when": "Opened"}


@row
def an_incident_is_told_to_five_audiences_each_in_its_way(scene: Scene) -> None:
    press = Press(scene)
    audiences = ("Customers", "Partners", "Regulators", "Internal", "Media")
    for audience in audiences:
        press.template(audience.lower(), audience)
    press.open(*({"name": one.lower(), "template": one.lower(), "when": "Opened"} for one in audiences))
    drafts = {one: press.message(one.lower(), "Draft" if one != "Internal" else "Approved") for one in audiences}
    assert BODY not in str(scene.status())
    assert "our service may be slow" not in str(scene.status())
    asked = scene.wait(lambda: [one for one in scene.pages("risk") if one["cause"] == "MessageDrafted"], "the notices")
    assert not any("our service may be slow" in str(one) for one in asked)

    press.edit("ada", drafts["Customers"], "Our service may be slow. We are sorry.")
    customers = press.message("customers")
    press.approve(customers)
    assert press.told("ada", "ReleaseMessage", customers) == (True, "released as approved")
    press.approve(drafts["Regulators"])
    assert press.record("regulators", "Filled")["digest"] == digest_of(words_of(drafts["Regulators"]))
    assert press.told("ada", "ReleaseMessage", drafts["Regulators"]) == (False, "the message is Filled already")
    assert press.told("eve", "RejectMessage", drafts["Media"])[0]
    assert press.told("ada", "ReleaseMessage", drafts["Internal"])[0]

    record = press.record("customers", "Released")
    assert record["digest"] == digest_of(words_of(customers))
    assert record["releasedTime"]
    (sent,) = press.sent()
    assert sent.body["texts"] == [
        {"language": "en", "subject": "We are on it", "body": "Our service may be slow. We are sorry."}
    ]
    assert sent.headers["idempotency-key"] == sent.body["key"]
    assert (sent.body["audience"], sent.body["digest"]) == ("Customers", record["digest"])
    assert scene.incident()["metadata"]["uid"] not in json.dumps(sent.body)
    press.record("internal", "Released")
    (told,) = [one for one in scene.pages("board") if one["cause"] == "MessageReleased"]
    text = drafts["Internal"].spec.texts[0]
    assert (told["subject"], told["text"], told["command"]) == (text.subject, text.body, "")
    assert press.record("media", "Rejected")
    assert press.record("partners", "Draft")
    assert len(press.sent()) == 1


@row
def a_standing_approval_lets_one_go_that_nobody_has_seen(scene: Scene) -> None:
    press = Press(scene)
    template = press.template("first")
    press.open(OPENED)
    message = press.message("first", "Draft")
    assert message.spec.varying == ("incident.openedTime",)
    press.authorise("ben", template, "incident.openedTime")
    counted, why = press.told("ada", "ReleaseMessage", message)
    assert (counted, "none holds for board" in why) == (False, True)
    press.authorise("eve", template, "incident.openedTime", "incident.type")
    counted, why = press.told("ada", "ReleaseMessage", message)
    assert (counted, "under standing approval" in why) == (True, True)
    press.record("first", "Released")
    assert len(press.sent()) == 1
    assert scene.fact("messages", message.metadata.name, "Approved")[:2] == ("False", "StandingApproval")
    assert scene.fact("messages", message.metadata.name, "Released")[:2] == ("True", "Released")


@row
def a_sender_that_answers_an_error_after_it_took_it_gets_it_again_under_the_same_key(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    press.open(OPENED)
    scene.cluster.sink.behave(press.path, status=500, failures=1)
    message = press.ready()
    press.told("ada", "ReleaseMessage", message)
    press.record("first", "Released")
    sent = press.sent()
    assert len(sent) == 2
    assert len({one.headers["idempotency-key"] for one in sent}) == 1
    assert sent[0].body == sent[1].body


@row
def a_sender_that_is_slow_has_perhaps_got_it(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    press.open(OPENED)
    scene.cluster.sink.behave(press.path, hang=12.0, failures=2)
    message = press.ready()
    press.told("ada", "ReleaseMessage", message)
    press.record("first", "PerhapsReleased")
    press.record("first", "Released")
    assert len({one.headers["idempotency-key"] for one in press.sent()}) == 1
    assert len(press.sent()) == 3


@row
def a_sender_that_is_down_gets_it_when_it_is_back(scene: Scene) -> None:
    press = Press(scene)
    press.template("first", sender={"secretRef": {"name": "later"}})
    press.open(OPENED)
    scene.secret("later", "http://127.0.0.1:9/nobody")
    message = press.ready()
    press.told("ada", "ReleaseMessage", message)
    scene.says("Released", "Releasing", "no connection", plural="messages", name=message.metadata.name)
    url = f"/api/v1/namespaces/{scene.namespace}/secrets/later"
    scene.cluster.api("PATCH", url, {"stringData": {"url": scene.cluster.sink.url(press.path)}})
    press.record("first", "Released")
    assert len(press.sent()) == 1


@row
def a_text_over_the_channels_limit_has_failed_and_goes_out_when_it_is_shorter(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    press.open(OPENED)
    scene.cluster.sink.behave(press.path, status=413, failures=1)
    message = press.ready()
    press.told("ada", "ReleaseMessage", message)
    press.record("first", "Failed")
    scene.says("Released", "Failed", "answered 413", plural="messages", name=message.metadata.name)
    press.edit("ada", message, "It is slow.")
    shorter = press.message("first", "Draft")
    press.approve(shorter)
    press.told("ada", "ReleaseMessage", shorter)
    press.record("first", "Released")
    first, second = press.sent()
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert second.body["texts"][0]["body"] == "It is slow."


@row
def an_edit_that_races_a_release_wins_or_loses_as_a_whole(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    rules = [f"race-{number}" for number in range(6)]
    press.open(*({"name": one, "template": "first", "when": "Opened"} for one in rules))
    messages = {one: press.ready(one) for one in rules}

    def edit(message: Message) -> str:
        """Why it was refused, if it was."""
        try:
            press.edit("ada", message, "Changed.")
        except CommandError as refused:
            return str(refused)
        return ""

    with ThreadPoolExecutor(12) as pool:
        edits = {one: pool.submit(edit, message) for one, message in messages.items()}
        releases = [pool.submit(press.told, "ben", "ReleaseMessage", message) for message in messages.values()]
    for release in releases:
        release.result()
    for rule, message in messages.items():
        refused = edits[rule].result()
        if refused:
            assert "this message is released, or on its way" in refused
            press.record(rule, "Released")
        else:
            now = press.message(rule, "Draft")
            assert now.spec.texts[0].body == "Changed."
        bodies = [one.body["texts"][0]["body"] for one in press.sent() if one.body["message"] == message.metadata.name]
        assert bodies == ([message.spec.texts[0].body] if refused else [])


@row
def a_template_that_gives_no_words_stops_nothing_and_is_tried_again(scene: Scene) -> None:
    press = Press(scene)
    texts = [{"language": "en", "subject": "A", "body": "Ask {{ values.contact }}."}]
    press.template("first", texts=texts, values=[{"name": "contact"}])
    press.open(OPENED, {"name": "second", "template": "nothing", "when": "Opened"})
    record = press.record("first", "NotDrafted")
    assert (record["reason"], "values.contact" in record["message"]) == ("ValueMissing", True)
    assert press.record("second", "NotDrafted")["reason"] == "TemplateNotFound"
    scene.until("Firing")

    def warned() -> Any:
        events = scene.cluster.items("events", scene.namespace)
        return [one for one in events if one["type"] == "Warning" and "not drafted" in one.get("message", "")]

    scene.wait(warned, "the Event")
    scene.change("messagetemplates/first", {"spec": {"values": [{"name": "contact", "value": "us"}]}})
    press.template("nothing")
    assert press.message("first", "Draft").spec.texts[0].body == "Ask us."
    press.message("second", "Draft")


@row
def a_message_that_was_deleted_does_not_come_back(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    press.open(OPENED, {"name": "again", "template": "first", "when": "Every", "every": "1m"})
    name = press.message("first", "Draft").metadata.name
    scene.cluster.api("DELETE", press.where(name))
    press.message("again", "Draft")  # a minute later
    assert scene.fetch("messages", name) is None
    assert press.record("first", "Draft")["name"] == name


@row
def what_is_approved_for_one_is_not_for_another_and_outsiders_approve_nothing(scene: Scene) -> None:
    press = Press(scene)
    press.template("first")
    press.open(OPENED)
    message = press.message("first", "Draft")
    assert press.told("ada", "ApproveMessage", message) == (
        False, "ada is a member of none of risk, board, nor of a role that stands in for one",
    )  # fmt: skip
    press.approve(message)
    press.edit("ben", message, "Changed.")
    other = press.message("first", "Draft")
    counted, why = press.told("ada", "ReleaseMessage", other)
    assert (counted, "it still needs the approval of risk, board" in why) == (False, True)
    counted, why = press.told("ada", "ReleaseMessage", message)
    assert (counted, "these are not the words any more" in why) == (False, True)
    with pytest.raises(ApiError, match="only the operator writes a status"):
        scene.cluster.api("PATCH", f"{press.where(message.metadata.name)}/status", {"status": {"state": "Approved"}})
    assert press.sent() == []


@pytest.mark.parametrize("name", row.names)
def test_messages(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


def test_a_release_survives_the_operator_and_is_repeated_once_under_its_key(
    cluster: Access, installed: Installed, namespace: str
) -> None:
    """Killed between the intent and the outcome: the sender has it, and the operator does not know."""
    people = {user: cluster.kubeconfig_for(user) for user in ("ada", "ben", "eve", "zoe", "mallory")}
    scene = Scene(cluster, namespace, people=people)
    scene.let_channels_be_read()
    for responder, user in (("owners", "ada"), ("risk", "ben"), ("board", "eve")):
        scene.reach(responder, user)
    press = Press(scene)
    operator = installed.operator("releasing").start()
    try:
        press.template("first")
        press.open(OPENED)
        message = _approved(press)
        cluster.sink.behave(press.path, hang=8.0, failures=1)
        press.decide("ada", "ReleaseMessage", message)
        cluster.wait(press.sent, 60, "the release", every=0.05)
        operator.kill()
        raw = cluster.api("GET", press.where(message.metadata.name))
        assert raw["status"]["state"] == "Releasing"
        with pytest.raises(CommandError, match="this message is released, or on its way"):
            press.edit("ada", message, "Changed.")
        operator.start()
        press.record("first", "Released")
        first, second = press.sent()
        assert first.body == second.body
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        operator.kill()
        operator.start()
        press.record("first", "Released")
        assert len(press.sent()) == 2
    finally:
        operator.stop()
        print(operator.log)  # noqa: T201 - pytest shows it with a failure


def _approved(press: Press) -> Message:
    """Approved until it counts: what is older than the admission policies is void."""
    message = press.message("first", "Draft")

    def counts(user: str) -> Callable[[], bool]:
        def told() -> bool:
            now = Message.model_validate(press.cluster.api("GET", press.where(message.metadata.name)))
            return user in [one.by for one in now.status.approvals] or press.told(user, "ApproveMessage", now)[0]

        return told

    for user in ("ben", "eve"):
        press.cluster.wait(counts(user), 60, f"the approval by {user}", every=2)
    return message
