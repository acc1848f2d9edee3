"""Does nobody decide on words that they were not shown, and is what is edited what was written?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import T0, an_incident
from tests.clocks import HastyClock
from tests.letters import a_message, a_template, digest, edited, judged, seen
from tocsin.api.message import Message
from tocsin.apiserver import ApiError
from tocsin.cli.files import Mistake, documents
from tocsin.cli.letters import Letters, _facts_of, _texts_in, editable, message_lines, template_lines
from tocsin.cli.main import parser
from tocsin.decide.drafting import template_digest

NAME = "fraud-1-initial"
WORDS = "Nobody may read this."


class FakeApi:
    """One message, one template and one incident; decisions count at once."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.created: list[Any] = []
        self.patches: list[Any] = []
        self.conflict = False

    async def get(self, where: str, **_: str) -> Any:
        match where.split("/")[-2:]:
            case ["messages", name] if name == NAME:
                return self.message.dump()
            case ["messagetemplates", "initial"]:
                return a_template().dump()
            case ["incidents", "fraud-1"]:
                return an_incident(opened_time=T0).dump()
            case [*_, "messages"]:
                return {"items": [self.message.dump()], "metadata": {"resourceVersion": "1"}}
        raise ApiError(404, "NotFound", "there is none")

    async def create(self, where: str, body: Any) -> Any:
        if where.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "paula"}}}
        self.created.append(body)
        metadata = {"name": "made", "uid": "decision-uid", "namespace": "models"}
        if body["kind"] == "Decision" and body["spec"]["type"] == "ApproveMessage":
            decision = judged("ApproveMessage", "paula", self.message, uid="decision-uid")
            self.message = seen(self.message, decision)
        return body | {"metadata": metadata}

    async def merge(self, where: str, body: Any) -> Any:
        if self.conflict:
            raise ApiError(409, "Conflict", "it was changed")
        self.patches.append(body)
        return edited(self.message, body["spec"]["texts"][0]["body"], "paula").dump()


def at(api: FakeApi, ask: Callable[[str], bool] | None = lambda _: True) -> Letters:
    given: Any = api
    return Letters(given, "models", HastyClock(T0), ask=ask)


def done(work: Any) -> int:
    code: int = asyncio.run(work)
    return code


def test_the_words_are_shown_before_they_are_approved(capsys: pytest.CaptureFixture[str]) -> None:
    message = seen(a_message(words=WORDS))
    api = FakeApi(message)
    shown: list[str] = []

    def ask(question: str) -> bool:
        shown.append(capsys.readouterr().out)
        return question == "approve it?"

    assert done(at(api, ask).judge("approve", NAME, "read", yes=False)) == 0
    assert WORDS in shown[0]
    assert f"digest: {digest(message)}" in shown[0]
    (made,) = api.created
    assert made["spec"] == {
        "type": "ApproveMessage",
        "messageRef": {"name": NAME, "uid": "message-uid"},
        "digest": digest(message),
        "reason": "read",
        "by": "paula",
    }
    assert capsys.readouterr().out == "approved; it still needs legal\n"


def test_words_that_the_operator_has_not_seen_are_not_judged() -> None:
    api = FakeApi(edited(seen(a_message()), "Changed.", "max"))
    with pytest.raises(Mistake, match="the operator has not looked at these words yet"):
        done(at(api).judge("approve", NAME, "read", yes=True))
    assert api.created == []


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        pytest.param(lambda _: False, "nothing was decided", id="no"),
        pytest.param(None, "standard input is no terminal: give --yes to release it", id="nobody to ask"),
    ],
)
def test_what_was_not_agreed_to_is_not_released(ask: Any, error: str) -> None:
    api = FakeApi(seen(a_message()))
    with pytest.raises(Mistake, match=error):
        done(at(api, ask).judge("release", NAME, "all read it", yes=False))
    assert api.created == []


# --- editing


def a_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "texts.yaml"
    file.write_text(text)
    return file


def test_an_edit_is_made_under_ones_own_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(seen(edited(a_message(), "It is so.", "max")))
    file = a_file(tmp_path, "- {language: en, subject: We are on it, body: It is over.}")
    assert done(at(api).edit(NAME, file)) == 0
    (patch,) = api.patches
    assert patch["spec"]["editedBy"] == ["max", "paula"]
    assert patch["spec"]["texts"] == [{"language": "en", "subject": "We are on it", "body": "It is over."}]
    assert patch["metadata"]["uid"] == "message-uid"
    assert capsys.readouterr().out.startswith(f"edited {NAME}: sha256:")


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        pytest.param("- {language: en, subject: A}", {}, r"spec.texts\[0\].body: is required", id="no body"),
        pytest.param("- {language: en, subject: A, bdy: B}", {}, "unknown field", id="a misspelt field"),
        pytest.param("subject: A", {}, "write one list of texts", id="no list"),
        pytest.param("- {language: en, subject: We are on it, body: It is bad.}", {}, "nothing was changed", id="same"),
        pytest.param("- {language: en, subject: A, body: B}", {"state": "Released"}, "is Released", id="it is out"),
    ],
)
def test_what_is_not_written(tmp_path: Path, text: str, status: Any, error: str) -> None:
    api = FakeApi(a_message(status=status))
    with pytest.raises(Mistake, match=error):
        done(at(api).edit(NAME, a_file(tmp_path, text)))
    assert api.patches == []


def test_an_edit_that_somebody_else_was_before_is_not_written(tmp_path: Path) -> None:
    api = FakeApi(seen(a_message()))
    api.conflict = True
    with pytest.raises(Mistake, match="somebody else has changed fraud-1-initial meanwhile"):
        done(at(api).edit(NAME, a_file(tmp_path, "- {language: en, subject: A, body: B}")))


def test_an_editor_gets_the_words_and_gives_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi(seen(a_message()))
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/bad/better/")
    assert done(at(api).edit(NAME, None)) == 0
    assert api.patches[0]["spec"]["texts"][0]["body"] == "It is better."
    monkeypatch.setenv("KUBE_EDITOR", "false")
    with pytest.raises(Mistake, match="false ended with 1: nothing was written"):
        done(at(api).edit(NAME, None))


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"), min_size=1)


@given(PRINTABLE)
def test_what_an_editor_leaves_as_it_is_is_to_the_byte_what_it_was(tmp_path_factory: Any, body: str) -> None:
    message = a_message(words=body)
    file = tmp_path_factory.mktemp("edit") / "texts.yaml"
    file.write_text(editable(message))
    assert _texts_in(file, documents(file)) == [one.dump() for one in message.spec.texts]


# --- drafting and authorising


def namespace_of(*words: str) -> Any:
    return parser().parse_args(["message", *words])


def test_a_message_is_had_drafted_under_ones_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(seen(a_message()))
    assert done(at(api).draft(namespace_of("draft", "initial", "--incident", "inc/fraud-1"))) == 0
    (made,) = api.created
    spec = made["spec"]
    assert spec["key"].startswith("person/incident-uid/")
    assert (spec["editedBy"], spec["templateRef"]["digest"]) == (["paula"], template_digest(a_template().spec))
    assert "Since 23 November 2026" in capsys.readouterr().out


def test_an_authorisation_is_bound_to_the_template_and_to_facts(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(seen(a_message()))
    words = ("authorise", "initial", "--varying", "incident.openedTime", "--varying", "incident.typeWords")
    arguments = namespace_of(*words, "--for", "720h", "--reason", "agreed", "--yes")
    assert done(at(api).authorise_template(arguments)) == 0
    spec = api.created[0]["spec"]
    assert (spec["digest"], spec["varying"]) == (
        template_digest(a_template().spec), ["incident.openedTime", "incident.type"],
    )  # fmt: skip
    assert "Since {{ incident.openedTime }} it is bad." in capsys.readouterr().out


def test_what_a_template_names_besides_is_shown() -> None:
    lines = list(template_lines(a_template(), []))
    assert lines[-1] == ("also named: incident.openedTime; a message whose words rest on one of these is not covered")
    assert list(template_lines(a_template(), ["incident.openedTime"]))[-1] == "may vary: incident.openedTime"
    with pytest.raises(Mistake, match=r"there is no variable incident\.cause"):
        _facts_of(["incident.cause"])


# --- looking


def test_a_list_has_no_words_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(seen(a_message(words=WORDS)))
    assert done(at(api).list_all(None)) == 0
    shown = capsys.readouterr().out
    assert WORDS not in shown
    assert shown.splitlines()[1].split()[:5] == [NAME, "fraud-1", "Customers", "Initial", "Draft"]
    assert done(at(api).list_all("inc/other")) == 0
    assert capsys.readouterr().out == "no messages about other; what could be: kubectl tocsin message preview\n"


def test_what_goes_out_under_a_standing_approval_is_said_to_be_unseen() -> None:
    message = seen(a_message())
    standing = [judged("AuthoriseMessage", one, message) for one in ("paula", "lena")]
    shown = "\n".join(message_lines(seen(message, judged("ReleaseMessage", "max", message), *standing)))
    assert "released by max under standing approval, unseen" in shown
    assert "approved by" not in shown
