"""What may be done to a model that harms, when nothing may, and what people feel of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tocsin.api.objects import LATER, ApiModel, Label, ObjectName, Sentence, Text, keyed, rule, shared
from tocsin.api.quantities import Duration, Time
from tocsin.api.workload import WORKLOADS

API_VERSIONS = {kind: workload.api_version for kind, workload in WORKLOADS.items()}
ANOTHER_API = f"apiVersion must be that of the kind: {', '.join(map(' '.join, API_VERSIONS.items()))}"


class Target(ApiModel):
    """The workload that containment acts on, in the policy's own namespace."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [rule(f"{API_VERSIONS}[self.kind] == self.apiVersion", ANOTHER_API)]
        }
    )

    api_version: Literal["apps/v1", "batch/v1"] = Field(description="The API version of the workload.")
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "CronJob"] = Field(description="The kind of the workload.")
    name: ObjectName = Field(description="The name of the workload.")

    @property
    def what(self) -> str:
        """Its kind and name, as ``kubectl`` takes them."""
        return f"{self.kind}/{self.name}"


class RollBack(ApiModel):
    """Roll the workload back to an earlier revision."""

    to: Literal["LastHealthy", "Previous"] = Field(
        default="LastHealthy",
        description="LastHealthy: the newest revision under which every signal was good for healthyAfter; "
        "Previous: the revision before this one. A revision that was contained is never chosen.",
    )
    healthy_after: Duration = Field(
        default=timedelta(hours=1),
        description="How long every signal must be good under a revision; it must cover the delay of labels.",
    )


class Scale(ApiModel):
    """Set the number of replicas."""

    replicas: int = Field(ge=0, le=10_000, description="The number of replicas; 0 stops the model.")


class Approval(ApiModel):
    """Whose word an option needs before it runs."""

    required: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="How many people must approve. Class and severity may ask for more. Default 1, and 0 in class A.",
    )
    fail_safe_after: Duration | None = Field(
        default=None,
        description="Run by then, undecided, under a standing authorisation; absent: at once under one.",
    )
    expire_after: Duration | None = Field(
        default=None, description="Stop asking after this long, and go on to the next option."
    )


MEMBER = "only the member that type names may be set: rollBack for RollBack, scale for Scale (needed), none for Pause"


class FeltEffect(ApiModel):
    """What people feel of an option, in their words: whoever approves it reads this first."""

    experience: Sentence = Field(description="What customers and staff will experience while the option holds.")
    fallback: Sentence = Field(description="The manual fallback: who does what by hand meanwhile.")


class Option(ApiModel):
    """One way to contain the model; options are tried in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "(self.type == 'RollBack' || !has(self.rollBack)) && (self.type == 'Scale') == has(self.scale)",
                    MEMBER,
                ),
                rule(
                    "!has(self.approval) || !has(self.approval.failSafeAfter) || !has(self.approval.expireAfter)"
                    " || duration(self.approval.failSafeAfter) < duration(self.approval.expireAfter)",
                    "approval.failSafeAfter must be shorter than approval.expireAfter",
                ),
            ]
        }
    )

    name: Label = Field(description="The option's name, unique in the policy.")
    type: Literal["RollBack", "Scale", "Pause"] = Field(
        description="What it does. Pause holds a rollout that is under way where it is, or suspends a schedule."
    )
    roll_back: RollBack | None = Field(default=None, description="How to roll back, for type RollBack.")
    scale: Scale | None = Field(default=None, description="How to scale, for type Scale.")
    effect: FeltEffect | None = Field(
        default=None,
        description="What people will feel of it, and do by hand meanwhile: shown first to whoever approves. Types"
        " RollBack and Scale need it.",
    )
    approval: Approval = Field(default=Approval(), description="Whose word it needs.")
    verify_within: Duration = Field(
        default=timedelta(minutes=15), description="How long it has to show that it helped."
    )


Options = Annotated[tuple[Annotated[Option, shared()], ...], Field(max_length=8, json_schema_extra=keyed("name"))]


OPTIONS = ("RollBack", "Scale", "Pause")
"""Every type of option."""


def cannot(kind: str) -> str:
    """What is said of a type of option that this kind of workload cannot take."""
    return f"containment of a {kind} can only be of type {' or '.join(WORKLOADS[kind].can)}"


CAN_ONLY = tuple(
    rule(
        f"!has(self.containment) || !self.models.exists(m, has(m.target) && m.target.kind == '{kind}')"
        f" || self.containment.all(option, option.type in {list(workload.can)})",
        cannot(kind),
    )
    for kind, workload in WORKLOADS.items()
    if set(workload.can) != set(OPTIONS)
)


FELT = ("RollBack", "Scale")
"""The types of option of which people feel something: each says what."""
UNTOLD = (
    f"containment of type {' or '.join(FELT)} needs effect: write in experience what customers and staff will"
    " experience, and in fallback who does what by hand meanwhile"
)


class Freeze(ApiModel):
    """A time in which nothing is contained, for instance while the platform is changed."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": [rule("self.from < self.until", LATER)]})

    name: Label = Field(description="The freeze's name, unique in the policy.")
    from_: Time = Field(alias="from", description="When it begins.")
    until: Time = Field(description="The first instant after it: then what is still called for goes on by itself.")
    reason: Text = Field(min_length=3, description="Why; whoever waits for a containment reads it.")
