"""What a channel's Secret may say, and what somebody reads who made it wrong."""

from __future__ import annotations

import asyncio

import pytest

from tests.act.notify.material import FakeApi, a_secret
from tocsin.act.notify.address import PAGERDUTY_URL, Apprise, PagerDuty, Webhook, parse_address, read_address
from tocsin.apiserver import ApiError, NoAnswer
from tocsin.decide.delivery import Deferred, Refused

HOOK = "https://example.org/hook"


@pytest.mark.parametrize(
    ("secret", "then"),
    [
        pytest.param(a_secret("Webhook", url=HOOK), Webhook(HOOK), id="a webhook needs only a url"),
        pytest.param(
            a_secret("Webhook", url=HOOK, token="t", signingKey="k"), Webhook(HOOK, "t", "k"), id="a whole webhook"
        ),
        pytest.param(a_secret("Webhook", url=f" {HOOK}\n"), Webhook(HOOK), id="a line break at the end is an accident"),
        pytest.param(a_secret("PagerDuty", routingKey="r"), PagerDuty("r", PAGERDUTY_URL), id="a pager"),
        pytest.param(a_secret("PagerDuty", routingKey="r", url=HOOK), PagerDuty("r", HOOK), id="another pager"),
        pytest.param(a_secret("Apprise", url="slack://a/b/c"), Apprise("slack://a/b/c"), id="Apprise"),
    ],
)
def test_a_sound_secret(secret, then):
    assert parse_address("pager", secret) == then


@pytest.mark.parametrize(
    ("secret", "then"),
    [
        pytest.param(
            a_secret("Webhook", secret_type="Opaque", url=HOOK),
            "is not of type tocsin.dev/channel: create it anew with --type=tocsin.dev/channel",
            id="a Secret that was not meant for us",
        ),
        pytest.param({"type": "tocsin.dev/channel"}, ": set key type to one of Webhook, PagerDuty, Apprise", id="bare"),
        pytest.param(
            a_secret("Sl4ck", url=HOOK), ": set key type to one of Webhook, PagerDuty, Apprise", id="an unknown type"
        ),
        pytest.param(a_secret("Webhook", token="t"), ": add key url, which type Webhook needs", id="no url"),
        pytest.param(a_secret("Webhook", url=" "), ": add key url, which type Webhook needs", id="an empty url"),
        pytest.param(a_secret("PagerDuty", url=HOOK), ": add key routingKey, which type PagerDuty needs", id="no key"),
        pytest.param(
            a_secret("Webhook", url=HOOK, tokne="t"), ": remove key tokne, which type Webhook does not know",
            id="a key that is mistyped",
        ),
        pytest.param(
            {"type": "tocsin.dev/channel", "data": {"url": "/w=="}}, ": key url is not text: set it anew as UTF-8",
            id="bytes that are no text",
        ),
        pytest.param(
            {"type": "tocsin.dev/channel", "data": {"url": "tök"}}, ": key url is not text: set it anew as UTF-8",
            id="a text that is not base64",
        ),
        pytest.param(
            a_secret("Webhook", url=HOOK, token="a\r\nX-Evil: b"),
            ": key token holds line breaks or control characters: set it anew without", id="a token that adds a header",
        ),
        pytest.param(
            a_secret("Webhook", url=HOOK, token="tök"), ": key token holds more than ASCII: set it anew",
            id="a token that no header can hold",
        ),
        pytest.param(
            a_secret("Webhook", url="ftp://example.org"), ": key url must be an address that begins with https://",
            id="another scheme",
        ),
        pytest.param(
            a_secret("Webhook", url="https:///"), ": key url must be an address that begins with https://", id="no host"
        ),
        pytest.param(
            a_secret("Webhook", url="https://example.org:99999/"),
            ": key url must be an address that begins with https://", id="a port that cannot be",
        ),
        pytest.param(
            a_secret("Webhook", url="https://u:p@example.org/"),
            ": remove user and password from key url; a Webhook has key token for that", id="credentials in the url",
        ),
        pytest.param(
            a_secret("PagerDuty", routingKey="r", url="https://u@example.org/"),
            ": remove user and password from key url; a Webhook has key token for that", id="a user in a pager's url",
        ),
    ],
)  # fmt: skip
def test_a_secret_that_must_be_repaired(secret, then):
    refused = parse_address("pager", secret)
    assert isinstance(refused, Refused)
    assert refused.words.removeprefix("Secret pager").lstrip() == then.lstrip()
    values = ("example.org", "Sl4ck", "X-Evil", "tök")
    assert [value for value in values if value in refused.words] == []


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        pytest.param(
            ApiError(404, "NotFound", ""),
            Refused("Secret pager does not exist: create it with --type=tocsin.dev/channel"),
            id="no such Secret",
        ),
        pytest.param(
            ApiError(403, "Forbidden", "secret things"),
            Refused("Tocsin may not read Secret pager: grant it get on this Secret by a Role"),
            id="no right to read it",
        ),
        pytest.param(
            ApiError(500, "InternalError", ""),
            Deferred("the API server did not give Secret pager: 500 InternalError"),
            id="an API server in trouble",
        ),
        pytest.param(
            NoAnswer("gone"), Deferred("the API server did not give Secret pager: no answer"), id="an API server away"
        ),
    ],
)
def test_a_secret_that_cannot_be_read(answer, then):
    assert asyncio.run(read_address(FakeApi(pager=answer), "models", "pager")) == then
