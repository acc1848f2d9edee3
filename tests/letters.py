"""Small builders for messages: a template, a draft of it, the people who judge it, and what they decide."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.builders import T0, a_decision, a_responder
from tocsin.api.decision import Decision
from tocsin.api.message import Message
from tocsin.api.objects import Metadata
from tocsin.api.template import MessageTemplate
from tocsin.decide.drafting import template_digest
from tocsin.decide.message_situation import MessageSituation, words_of
from tocsin.decide.messages import plan_message
from tocsin.decide.rendering import digest_of
from tocsin.decide.situation import Trust

ROLES = {
    "comms": a_responder("comms", "paula", "carl"),
    "legal": a_responder("legal", "lena", "carl"),
    "press": a_responder("press", "max"),
}
"""carl is in two of them."""


def a_template(audience: str = "Customers", **changes: Any) -> MessageTemplate:
    """A template of one text, with whole fields of its spec replaced."""
    spec: dict[str, Any] = {
        "audience": audience,
        "phase": "Initial",
        "texts": [{"language": "en", "subject": "We are on it", "body": "Since {{ incident.openedTime }} it is bad."}],
    }
    match audience:
        case "Internal" | "Executives":
            spec |= {"to": ["press"]}
        case "Regulators":
            spec |= {"approvals": ["comms", "legal"]}
        case _:
            spec |= {"approvals": ["comms", "legal"], "sender": {"secretRef": {"name": "outlet"}}}
    metadata = {"name": "initial", "namespace": "models", "uid": "template-uid", "generation": 1}
    return MessageTemplate.model_validate({"metadata": metadata, "spec": spec | changes})


def a_message(audience: str = "Customers", *, words: str = "It is bad.", **changes: Any) -> Message:
    """A draft of that template; ``status`` replaces the whole status."""
    template = a_template(audience)
    status, terms = changes.pop("status", {}), template.spec
    spec = {
        "key": "incident-uid/1/message/initial/1",
        "incidentRef": {"name": "fraud-1", "uid": "incident-uid"},
        "templateRef": {
            "name": "initial",
            "namespace": "models",
            "uid": "template-uid",
            "digest": template_digest(template.spec),
        },
        "audience": audience,
        "phase": "Initial",
        "texts": [{"language": "en", "subject": "We are on it", "body": words}],
        "varying": ["incident.openedTime"],
        "terms": {"approvals": terms.approvals, "to": terms.to, "sender": terms.sender},
    }
    metadata = {"name": "fraud-1-initial", "namespace": "models", "uid": "message-uid", "generation": 1}
    return Message.model_validate(
        {"metadata": metadata | {"creationTimestamp": T0}, "spec": spec | changes, "status": status}
    )


def digest(message: Message) -> str:
    return digest_of(words_of(message))


def judged(kind: str, by: str, message: Message, at: datetime = T0, **fields: Any) -> Decision:
    """An ApproveMessage, RejectMessage or ReleaseMessage of the words as they are, or an AuthoriseMessage."""
    if kind == "AuthoriseMessage":
        reference = message.spec.template_ref
        about: dict[str, Any] = {
            "templateRef": {"name": reference.name, "uid": reference.uid},
            "digest": reference.digest,
            "expireTime": "2099-01-01T00:00:00Z",
            "varying": ["incident.openedTime"],
        }
    else:
        about = {"messageRef": {"name": message.metadata.name, "uid": message.metadata.uid}, "digest": digest(message)}
    made = a_decision(kind, by, at, **{"reason": "read it"} | about | {"incidentRef": None} | fields)
    return made.model_copy(
        update={"metadata": Metadata(**made.metadata.model_dump() | {"name": f"{kind.lower()}-{by}"})}
    )


def look(message: Message, *decisions: Decision, **changes: Any) -> MessageSituation:
    """The situation of a message whose Decisions count."""
    fields: dict[str, Any] = {
        "now": T0,
        "roster": ROLES,
        "trust": Trust.TRUSTED,
        "decisions": tuple(one for one in decisions if one.spec.message_ref),
        "authorisations": tuple(one for one in decisions if one.spec.template_ref),
    }
    return MessageSituation(message=message, **fields | changes)


def seen(message: Message, *decisions: Decision, **changes: Any) -> Message:
    """The message with the status that the decisions lead to."""
    status = plan_message(look(message, *decisions, **changes)).status
    return message.model_copy(update={"status": status})


def edited(message: Message, words: str, by: str) -> Message:
    """The message with other words, as admission lets a person write them."""
    editors = (*(one for one in message.spec.edited_by if one != by), by)
    texts = tuple(one.model_copy(update={"body": words}) for one in message.spec.texts)
    return message.model_copy(update={"spec": message.spec.model_copy(update={"texts": texts, "edited_by": editors})})
