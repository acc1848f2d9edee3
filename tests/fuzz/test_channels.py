"""What may a channel's Secret hold? Whatever it is, people read what to repair, and nothing leads out of reach."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from tests.act.notify.material import a_secret
from tests.fuzz.anything import MANY, TEXTS, mistyped
from tocsin.act.notify.address import SECRET_TYPE, Apprise, PagerDuty, Webhook, parse_address
from tocsin.act.notify.post import Post
from tocsin.act.notify.reach import Reach, Resolver, is_public
from tocsin.decide.delivery import Refused
from tocsin.settings import ChannelSettings

URLS = st.sampled_from(
    ["https://example.org/hook", "http://sink.models.svc:8080/x?y=z", "https://u:p@example.org", "slack://a/b/c"]
).flatmap(lambda sound: mistyped(sound))
VALUES = (
    st.binary(max_size=20) | URLS.map(str.encode) | st.sampled_from([b"t0psecret", b"t0psecret\n", b"Webhook", b""])
)
ENCODED = VALUES.map(lambda value: base64.b64encode(value).decode())
KINDS = st.sampled_from([b"Webhook", b"PagerDuty", b"Apprise", b"t0psecret"]).map(
    lambda kind: base64.b64encode(kind).decode()
)
FIELDS = st.sampled_from(["url", "token", "signingKey", "routingKey", "odd", "k" * 253])
SECRETS = st.builds(
    lambda secret_type, kind, data: {"type": secret_type, "data": data and {"type": kind} | data},
    st.sampled_from([SECRET_TYPE, SECRET_TYPE, SECRET_TYPE, "Opaque", None]),
    KINDS | ENCODED,
    st.none() | st.dictionaries(FIELDS, ENCODED | TEXTS, max_size=4),
)


@MANY
@given(SECRETS)
@example({"type": SECRET_TYPE, "data": {"url": "é"}})
def test_a_secret_is_an_address_or_refused_by_its_name_and_without_its_values(secret: dict[str, Any]) -> None:
    found = parse_address("pager", secret)
    if isinstance(found, Refused):
        assert found.words.startswith("Secret pager")
        assert not any(value in found.words for value in ("t0psecret", "example.org", "sink.models"))
    else:
        assert isinstance(found, Webhook | PagerDuty | Apprise)
        assert "t0psecret" not in repr(found)


ALIKE = {"0": "0０⓪", "1": "1１①¹", "2": "2２②", "7": "7７⑦", "6": "6６", "9": "9９", "4": "4４", ".": "..。．｡"}
INSIDE = st.sampled_from(["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "2130706433"])
HOSTS = INSIDE.flatmap(lambda host: st.tuples(*(st.sampled_from(ALIKE.get(letter, letter)) for letter in host)))


async def refusal(url: str) -> Refused | None:
    """What is said of an address before anything is connected to."""
    reach = Reach(ChannelSettings())
    with ThreadPoolExecutor(1) as threads:
        post = Post(reach, Resolver(reach, threads), timeout=1.0)
        try:
            return post._refusal(url)
        finally:
            await post.close()


@MANY
@given(st.builds("https://{}{}".format, HOSTS.map("".join), st.sampled_from(["", "/", ":443/x", "."])) | URLS)
@example("https://127。0。0。1/")
def test_no_number_is_connected_to_that_is_not_on_the_public_internet(url: str) -> None:
    accepted = parse_address("pager", a_secret("Webhook", url=url))
    if isinstance(accepted, Refused) or asyncio.run(refusal(accepted.url)):
        return
    host = URL(accepted.url).raw_host or ""
    try:
        number = ip_address(host)
    except ValueError:
        return
    assert is_public(str(number))
