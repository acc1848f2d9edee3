"""What the operator's administrator decides: Prometheus servers, limits, and where messages may go."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from tocsin.api.quantities import Duration

UNREADABLE = (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError, yaml.YAMLError)
"""What reading a file of YAML raises: a date of February 30 is a ValueError, ``!!bool maybe`` a KeyError."""


class SettingsError(Exception):
    """The settings cannot be used; the message names each field and the fix."""


class SettingsModel(BaseModel):
    """A frozen part of the settings; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Tenancy(StrEnum):
    """Whose series a Prometheus server holds."""

    NAMESPACE = "Namespace"
    SINGLE = "Single"


ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=50)]
"""Part of the name of the incident that tells that it is down."""


class PrometheusServer(SettingsModel):
    """One Prometheus server that policies may name."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]+$")]
    """Its base address, without credentials and query."""
    bearer_token_file: Path | None = None
    """A file whose content is sent as bearer token; read anew for each connection."""
    ca_file: Path | None = None
    """A CA bundle to verify it by."""
    headers: dict[str, str] = {}
    """Further headers, for example X-Scope-OrgID."""
    tenancy: Tenancy = Tenancy.NAMESPACE
    """Namespace: every selector of a query is confined to the policy's namespace; Single: the server has one tenant."""
    timeout: Duration = timedelta(seconds=10)
    """The longest that one request may take."""


class BudgetSettings(SettingsModel):
    """The blast radius: how many models may be contained without asking; past it people are asked."""

    containments: int = Field(default=5, ge=0)
    """How many of one namespace, in one window."""
    policy_containments: int | None = Field(default=None, ge=0)
    """How many of one policy; by default no fewer than of its namespace."""
    cluster_containments: int | None = Field(default=None, ge=0)
    """How many in the whole cluster; by default they are not counted."""
    window: Duration = timedelta(hours=1)
    """After this long a containment no longer counts."""
    storm_cooldown: Duration = timedelta(minutes=10)
    """Once more were asked for than a limit allows, nobody is given room for so long: too much breaks at once."""


class ChannelSettings(SettingsModel):
    """Where messages may go."""

    public_hosts: bool = True
    """Whether any host with a public address may be reached, by https and the mail schemes."""
    allowed_hosts: tuple[str, ...] = ()
    """Further hosts, as ``host`` or ``host:port``, ``*`` matching any part: in-cluster receivers, also by http."""
    allowed_schemes: tuple[str, ...] = (
        "discord", "gchat", "mailtos", "matrixs", "mmosts", "ntfys", "opsgenie", "pagerduty",
        "rockets", "slack", "sns", "tgram", "twilio", "webex", "workflows",
    )  # fmt: skip
    """The schemes of Apprise that a channel may use."""


class PagingSettings(SettingsModel):
    """How often one person is paged."""

    every: Annotated[Duration, Field(ge=timedelta(), le=timedelta(hours=24))] = timedelta(minutes=10)
    """At SEV3 and SEV4: so long one page to a person stands for those of the same cause, at most a day."""


class DatasourceSettings(SettingsModel):
    """Who is told when a Prometheus server is down."""

    after: Duration = timedelta(minutes=5)
    """How long every query must fail."""
    responders: tuple[str, ...] = ()
    """Responders in the operator's own namespace; without them no incident is opened, only the metric tells."""


class Settings(SettingsModel):
    """The operator's settings."""

    prometheus: dict[ServerName, PrometheusServer] = Field(min_length=1)
    """The Prometheus servers by name, a DNS label of at most 50; a policy that names none uses ``default``."""
    budget: BudgetSettings = BudgetSettings()
    channels: ChannelSettings = ChannelSettings()
    paging: PagingSettings = PagingSettings()
    datasource: DatasourceSettings = DatasourceSettings()
    allowed_labels: tuple[str, ...] = (
        "model", "model_name", "version", "model_version", "namespace", "metric", "test", "feature", "slice",
        "attribute", "group", "category", "source", "kind",
    )  # fmt: skip
    """The labels of a series that may leave the cluster in messages, Events, logs and status."""
    lease_duration: Duration = timedelta(seconds=5)
    """How long a crashed leader is waited for."""


def load_settings(path: Path) -> Settings:
    """Read the settings from a YAML file; raises SettingsError with every field that is wrong."""
    try:
        data: Any = yaml.safe_load(path.read_text())
    except UNREADABLE as bad:
        raise SettingsError(f"{path}: cannot be read: {bad}") from bad
    try:
        return Settings.model_validate(data or {})
    except ValidationError as bad:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in bad.errors())
        raise SettingsError(f"{path}: {wrong}") from bad
