"""Is a message drafted once, whatever is there already and whatever the API server says?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import T0, an_incident, the_rules
from tests.clocks import HastyClock
from tests.letters import a_template
from tocsin.apiserver import ApiError, NoAnswer
from tocsin.decide.plan import Draft
from tocsin.decide.situation import NotDrafted, Outcome
from tocsin.engine.drafts import Drafts
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store

KEY = "incident-uid/1/message/opened/1"
EFFECT = Draft(KEY, "fraud-1-opened", "initial")
HERE = Name("models", "fraud-1-opened")


class FakeApi:
    """Creates what is not there; answers in turn before that."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.there: dict[str, Any] = {}
        self.tries = 0

    async def create(self, where: str, body: Any) -> Any:
        self.tries += 1
        if self.answers:
            raise self.answers.pop(0)
        name = body["metadata"]["name"]
        if name in self.there:
            raise ApiError(409, "AlreadyExists", "it is there")
        self.there[name] = body | {"metadata": body["metadata"] | {"uid": "m", "resourceVersion": "1"}}
        return self.there[name]

    async def get(self, where: str) -> Any:
        return self.there[where.rpartition("/")[2]]


def draft(api: FakeApi, store: Store, leads: Callable[[float], bool] = lambda _: True) -> list[Outcome]:
    """What is reported of one draft; whatever is there then is worked on."""
    reports: list[Outcome] = []
    made: list[Name] = []

    async def make() -> None:
        given: Any = api
        drafts = Drafts(given, HastyClock(T0), store, Telemetry(), "tocsin-system", leads, made.append)
        incident = an_incident(opened_time=T0)
        for _ in range(2):  # the second one is under way already
            drafts.submit(incident, the_rules(), EFFECT, reports.append)
        await asyncio.gather(*drafts._tasks.values())
        await drafts.close()

    asyncio.run(make())
    assert made == [HERE for report in reports if report.result == "Done"]
    return reports


def a_store(*templates: Any) -> Store:
    store = Store()
    for one in templates:
        raw = one.dump()
        raw["metadata"] |= {"resourceVersion": "1"}
        store.put("MessageTemplate", raw)
    return store


def of_the_operator(**changes: Any) -> Any:
    template = a_template(**changes)
    return template.model_copy(
        update={"metadata": template.metadata.model_copy(update={"namespace": "tocsin-system", "uid": "operators"})}
    )


def test_a_draft_is_made_and_known_at_once() -> None:
    api, store = FakeApi(), a_store(a_template())
    (report,) = draft(api, store)
    assert (report.key, report.result) == (KEY, "Done")
    message = store.message(HERE)
    assert message
    assert (message.spec.key, message.spec.template_ref.uid) == (KEY, "template-uid")


@pytest.mark.parametrize(
    ("templates", "uid"),
    [
        pytest.param((a_template(), of_the_operator()), "template-uid", id="the policy's own goes first"),
        pytest.param((of_the_operator(),), "operators", id="else it is the operator's"),
    ],
)
def test_where_a_template_is_looked_for(templates: tuple[Any, ...], uid: str) -> None:
    store = a_store(*templates)
    draft(FakeApi(), store)
    message = store.message(HERE)
    assert message
    assert message.spec.template_ref.uid == uid


def test_one_that_is_there_already_is_the_same() -> None:
    api, store = FakeApi(), a_store(a_template())
    draft(api, store)
    (report,) = draft(api, a_store(a_template()))
    assert (report.result, len(api.there), api.tries) == ("Done", 1, 2)


def test_a_name_that_something_else_has_is_told() -> None:
    api = FakeApi()
    draft(api, a_store(a_template()))
    api.there["fraud-1-opened"]["spec"]["key"] = "other"
    (report,) = draft(api, a_store(a_template()))
    assert (report.result, report.lacks) == ("Refused", NotDrafted("NameTaken", "template-uid/1"))


@pytest.mark.parametrize(
    "passing",
    [NoAnswer("lost"), ApiError(500, "InternalError", "down"), ApiError(403, "Forbidden", "no right"),
     ApiError(404, "NotFound", "no such kind")],
    ids=["no answer", "an error", "a right that comes later", "a kind that comes later"],
)  # fmt: skip
def test_what_passes_is_tried_again(passing: Exception) -> None:
    api, store = FakeApi(passing, passing), a_store(a_template())
    (report,) = draft(api, store)
    assert (report.result, api.tries) == ("Done", 3)


@pytest.mark.parametrize(
    ("templates", "answer", "lacks", "says"),
    [
        pytest.param(
            (), None, NotDrafted("TemplateNotFound", ""),
            "TemplateNotFound: there is no MessageTemplate initial in namespace models nor in tocsin-system: create it",
            id="no template",
        ),
        pytest.param(
            (a_template(texts=[{"language": "en", "subject": "A", "body": "{{ incident.containedTime }}"}]),), None,
            NotDrafted("NotKnownYet", "template-uid/1"), "NotKnownYet: texts[en].body: incident.containedTime",
            id="a fact that is not known",
        ),
        pytest.param(
            (a_template(),), ApiError(422, "Invalid", 'spec.texts[0].subject: "secret words"'),
            NotDrafted("Invalid", "template-uid/1"), "Invalid: the API server refuses it: Invalid",
            id="an API server that refuses it",
        ),
    ],
)  # fmt: skip
def test_what_gives_no_message_says_why_without_its_words(
    templates: tuple[Any, ...], answer: Exception | None, lacks: NotDrafted, says: str
) -> None:
    (report,) = draft(FakeApi(*([answer] if answer else [])), a_store(*templates))
    assert (report.result, report.lacks) == ("Refused", lacks)
    assert report.message.startswith(says)
    assert "secret" not in report.message


def test_who_does_not_lead_drafts_nothing() -> None:
    api = FakeApi()
    assert draft(api, a_store(a_template()), leads=lambda _: False) == []
    assert api.tries == 0
