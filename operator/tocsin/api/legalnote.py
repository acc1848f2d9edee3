"""LegalNote: a privileged reason, read by a right of its own; elsewhere stands its digest."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from tocsin.api.objects import API_VERSION, ApiModel, Digest, Metadata, ObjectName, Uid, Word, rule

LONGEST = 16384
"""So many characters has a text at most."""


class NoteRef(ApiModel):
    """A privileged reason, which stands elsewhere."""

    name: ObjectName = Field(description="The LegalNote's name.")
    digest: Digest = Field(description="The sha256 of its text, in UTF-8.")


class NotedIncident(ApiModel):
    """The incident that a note is about."""

    name: ObjectName = Field(description="The incident's name.")
    uid: Uid = Field(min_length=1, description="Its UID.")


class LegalNoteSpec(ApiModel):
    """What was said in confidence, by whom, of which incident; immutable."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [rule("self == oldSelf", "a LegalNote is immutable: create another one")]
        }
    )

    incident_ref: NotedIncident = Field(description="The incident that it is about.")
    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)] = Field(
        description="What is privileged: advice, and what was asked."
    )
    by: Word = Field(
        min_length=1,
        description="Who wrote it: the requester's user name. Filled in where the server has MutatingAdmissionPolicy;"
        " anybody else's name is refused.",
    )


class LegalNote(ApiModel):
    """A privileged reason, readable by the ClusterRole tocsin-legal alone; a Decision names it by its digest."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["LegalNote"] = "LegalNote"
    metadata: Metadata = Metadata()
    spec: LegalNoteSpec = Field(description="The note.")


def text_digest(text: str) -> str:
    """What a Decision says of a note's text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
