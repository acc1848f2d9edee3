"""A channel's address and credentials, read from its Secret when needed and never shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.decide.delivery import Deferred, Refused

SECRET_TYPE = "tocsin.dev/channel"  # noqa: S105 - a Secret's type, not a secret
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP receiver of our own JSON."""

    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    """Sent as bearer token; empty for none."""
    signing_key: str = field(default="", repr=False)
    """Signs the body by HMAC-SHA256; empty for none."""


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """A service of PagerDuty, or of whoever speaks its Events API v2."""

    routing_key: str = field(repr=False)
    url: str = field(default=PAGERDUTY_URL, repr=False)


@dataclass(frozen=True, slots=True)
class Apprise:
    """Any service that Apprise knows, by its URL."""

    url: str = field(repr=False)


Address = Webhook | PagerDuty | Apprise

_KEYS = {
    "Webhook": ({"url"}, {"token", "signingKey"}),
    "PagerDuty": ({"routingKey"}, {"url"}),
    "Apprise": ({"url"}, set[str]()),
}
"""The keys that each type must have, and those it may have."""


async def read_address(api: ApiServer, namespace: str, secret: str) -> Address | Deferred | Refused:
    """Read a Secret from the API server; a Refused says what to repair, never what is in it."""
    try:
        return parse_address(secret, await api.get(path("v1", "secrets", namespace, secret)))
    except NoAnswer:
        return Deferred(f"the API server did not give Secret {secret}: no answer")
    except ApiError as error:
        match error.code:
            case 404:
                return Refused(f"Secret {secret} does not exist: create it with --type={SECRET_TYPE}")
            case 403:
                return Refused(f"Tocsin may not read Secret {secret}: grant it get on this Secret by a Role")
            case _:
                return Deferred(f"the API server did not give Secret {secret}: {error.code} {error.reason}")


def parse_address(name: str, secret: Mapping[str, Any]) -> Address | Refused:
    """The address in a Secret; every refusal names the key and the fix, without a value."""
    if secret.get("type") != SECRET_TYPE:
        return Refused(f"Secret {name} is not of type {SECRET_TYPE}: create it anew with --type={SECRET_TYPE}")
    data: dict[str, str] = {}
    for key, encoded in (secret.get("data") or {}).items():
        try:
            data[key] = base64.b64decode(encoded).decode().strip()
        except ValueError:
            return Refused(f"Secret {name}: key {key} is not text: set it anew as UTF-8")
        if not data[key].isprintable():
            return Refused(f"Secret {name}: key {key} holds line breaks or control characters: set it anew without")
    kind = data.pop("type", "")
    if kind not in _KEYS:
        return Refused(f"Secret {name}: set key type to one of {', '.join(_KEYS)}")
    required, optional = _KEYS[kind]
    for key in sorted(required):
        if not data.get(key):
            return Refused(f"Secret {name}: add key {key}, which type {kind} needs")
    for key in sorted(data.keys() - required - optional):
        return Refused(f"Secret {name}: remove key {key[:64]}, which type {kind} does not know")
    address = _address(kind, data)
    return address if isinstance(address, Apprise) else _checked(name, address)


def _address(kind: str, data: Mapping[str, str]) -> Address:
    match kind:
        case "Webhook":
            return Webhook(data["url"], data.get("token", ""), data.get("signingKey", ""))
        case "PagerDuty":
            return PagerDuty(data["routingKey"], data.get("url") or PAGERDUTY_URL)
        case _:
            return Apprise(data["url"])


def _checked(name: str, address: Webhook | PagerDuty) -> Webhook | PagerDuty | Refused:
    """A host, no credentials in the URL, and a token that fits into a header."""
    try:
        url = urlsplit(address.url)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound:
        return Refused(f"Secret {name}: key url must be an address that begins with https://")
    if url.username is not None or url.password is not None:
        return Refused(f"Secret {name}: remove user and password from key url; a Webhook has key token for that")
    if isinstance(address, Webhook) and not address.token.isascii():
        return Refused(f"Secret {name}: key token holds more than ASCII: set it anew")
    return address
