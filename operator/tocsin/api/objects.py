"""What every kind shares: metadata, conditions, names and the frozen base model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from tocsin.api.quantities import Time

GROUP = "tocsin.dev"
VERSION = "v1alpha1"
API_VERSION: Literal["tocsin.dev/v1alpha1"] = "tocsin.dev/v1alpha1"

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Sentence = Annotated[str, StringConstraints(min_length=3, max_length=512)]
Text = Annotated[str, StringConstraints(max_length=1024)]
Word = Annotated[str, StringConstraints(max_length=253)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Uid = Annotated[str, StringConstraints(max_length=64)]


def rule(expression: str, message: str) -> JsonDict:
    """A CEL rule for ``x-kubernetes-validations``; the message names the field and the fix."""
    return {"rule": expression, "message": message}


def keyed(field: str) -> JsonDict:
    """A list that server-side apply merges by that key, and that holds each key once."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}


LATER = "until must be later than from"
_GIVEN: dict[frozenset[str], set[str]] = {}
"""pydantic copies such a set before it changes it."""


class ApiModel(BaseModel):
    """A frozen value of the API; unknown fields of a newer version are ignored, never an error."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", arbitrary_types_allowed=True
    )

    def model_post_init(self, _: Any, /) -> None:
        """Hold one set of names for all values that were given the same fields: of its own it is a third of each."""
        given = self.model_fields_set
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with some fields changed, which are not validated."""
        copied = super().model_copy(update=update, deep=deep)
        copied.model_post_init(None)
        return copied

    def dump(self) -> dict[str, Any]:
        """The value as the API server sees it: camelCase, without the absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Share:
    """Read equal JSON as one and the same value: thousands of policies that say the same hold it once.

    By the text and not by the value, because 0.9 and 0.90 are equal, and whoever wrote one of them reads it again.
    """

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, ApiModel] = WeakValueDictionary()

    def __call__(self, raw: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """The value that is read from JSON; what is no JSON is read as it is."""
        if not isinstance(raw, dict):
            return read(raw)
        try:
            text = json.dumps(raw)
        except (TypeError, ValueError, RecursionError):
            return read(raw)
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = read(raw)
        return known


def shared() -> WrapValidator:
    """For a part of which very many objects hold the same."""
    return WrapValidator(Share())


class Severity(StrEnum):
    """How bad an incident is; SEV1 is the worst."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"

    def at_least(self, other: Severity) -> bool:
        """Whether this is as bad as the other, or worse."""
        return self.value <= other.value

    @staticmethod
    def worst(severities: Iterable[Severity]) -> Severity:
        """The worst of them; SEV4 when there are none."""
        return min(severities, key=lambda severity: severity.value, default=Severity.SEV4)


class Metadata(ApiModel):
    """The part of an object's metadata that Tocsin reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Condition(ApiModel):
    """One fact about an object, as the Kubernetes API conventions define a condition."""

    type: Annotated[str, StringConstraints(max_length=128)] = Field(description="Which fact this is.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Why, as one word out of the documented list."
    )
    message: Text = Field(default="", description="Why, in a sentence with the numbers.")
    observed_generation: int | None = Field(
        default=None, description="The generation of the spec that this was said of."
    )
    last_transition_time: Time = Field(description="When the status last changed.")


class Finding(ApiModel):
    """A condition before it is stamped: what a decision says, without when it began."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def stamp(
    findings: Iterable[Finding], old: Iterable[Condition], now: datetime, generation: int | None = None
) -> tuple[Condition, ...]:
    """Turn findings into conditions; the transition time moves only when the status does."""
    before = {condition.type: condition for condition in old}
    stamped = []
    for finding in findings:
        last = before.get(finding.type)
        since = last.last_transition_time if last and last.status == finding.status else now
        stamped.append(
            Condition(
                type=finding.type,
                status=finding.status,
                reason=finding.reason,
                message=clip(finding.message, 1024),
                observed_generation=generation,
                last_transition_time=since,
            )
        )
    return tuple(stamped)


def condition(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((one for one in conditions if one.type == kind), None)


def clip(text: str, limit: int) -> str:
    """Cut a text to the limit, in characters, and show that it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
