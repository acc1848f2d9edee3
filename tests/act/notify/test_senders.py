"""What every sender promises, tried on a real HTTP receiver; then what each of them sends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socketserver
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from apprise.manager_plugins import NotificationManager

from tests.act.notify.material import NOTICE
from tests.cluster.certificates import Authority
from tests.cluster.sink import Sink, SinkServer
from tocsin.act.notify.address import Address, Apprise, PagerDuty, Webhook
from tocsin.act.notify.post import retry_after
from tocsin.act.notify.senders import Senders
from tocsin.decide.delivery import Accepted, Answer, Deferred, Lost, Refused
from tocsin.settings import ChannelSettings

HERE = ChannelSettings(allowed_hosts=("127.0.0.1",), allowed_schemes=("json",))
SECRET = "s3cr3t"
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise, on Python 3.11


@pytest.fixture(scope="module")
def server() -> Iterator[Sink]:
    with SinkServer() as sink:
        yield sink


@pytest.fixture
def sink(server: Sink) -> Iterator[Sink]:
    yield server
    server.clear()


@asynccontextmanager
async def opened(senders: Senders) -> AsyncIterator[Senders]:
    try:
        yield senders
    finally:
        await senders.close()


def send(
    address: Address, times: int = 1, settings: ChannelSettings = HERE, patience: float = 30, **changes
) -> list[Answer]:
    async def main() -> list[Answer]:
        async with opened(Senders(settings, timeout=patience)) as senders:
            return [await senders.send(address, replace(NOTICE, **changes)) for _ in range(times)]

    return asyncio.run(main())


def a_webhook(sink: Sink) -> Address:
    return Webhook(sink.url(f"/{SECRET}"), token=SECRET)


def a_pager(sink: Sink) -> Address:
    return PagerDuty(SECRET, sink.url(f"/{SECRET}"))


def by_apprise(sink: Sink) -> Address:
    return Apprise(sink.url(f"/{SECRET}").replace("http://", "json://"))


@dataclass(frozen=True)
class Promise:
    """What a receiver does, and what each sender must make of it; Apprise hides why, so it cannot tell."""

    behaviour: dict
    answers: list[type[Answer]]
    apprise: list[type[Answer]]
    requests: int


PROMISES = [
    pytest.param(Promise({}, [Accepted], [Accepted], 1), id="a receiver that accepts has it"),
    pytest.param(
        Promise({"status": 500, "failures": 1}, [Deferred, Accepted], [Lost, Accepted], 2),
        id="a receiver that fails once has it the second time",
    ),
    pytest.param(
        Promise({"status": 429, "headers": {"Retry-After": "7"}}, [Deferred], [Lost], 1),
        id="a receiver that is busy is to be tried again",
    ),
    pytest.param(Promise({"hang": 3}, [Lost], [Lost], 1), id="a receiver that hangs is given up after the time-out"),
    pytest.param(Promise({"close": True}, [Lost], [Lost], 1), id="a receiver that reads and closes has it perhaps"),
    pytest.param(
        Promise({"status": 302, "headers": {"Location": "/elsewhere"}}, [Refused], [Lost], 1),
        id="a receiver that redirects is not followed",
    ),
    pytest.param(Promise({"status": 400}, [Refused], [Lost], 1), id="a receiver that refuses is not asked again"),
]


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize(
    "address",
    [
        pytest.param(a_webhook, id="webhook"),
        pytest.param(a_pager, id="pagerduty"),
        pytest.param(by_apprise, id="apprise"),
    ],
)
def test_every_sender(sink: Sink, address, promise: Promise):
    sink.behave(f"/{SECRET}", **promise.behaviour)
    where = address(sink)
    expected = promise.apprise if isinstance(where, Apprise) else promise.answers

    answers = send(where, times=len(expected), patience=0.5 if "hang" in promise.behaviour else 30)

    assert [type(answer) for answer in answers] == expected
    assert [one.path for one in sink.received()] == [f"/{SECRET}"] * promise.requests
    assert SECRET not in repr((answers, where))


@pytest.mark.parametrize("address", [a_webhook, a_pager], ids=["webhook", "pagerduty"])
@pytest.mark.parametrize(
    ("status", "then"),
    [(201, Accepted("201")), (204, Accepted("204"))]
    + [(status, Deferred(f"answered {status}", timedelta(seconds=3))) for status in (408, 425, 429, 500, 502, 503)]
    + [(status, Refused(f"answered {status}")) for status in (401, 403, 404, 410, 422)],
)
def test_what_a_status_means(sink: Sink, address, status, then):
    sink.behave(f"/{SECRET}", status=status, headers={"Retry-After": "3"}, body="")
    assert send(address(sink)) == [then]


@pytest.mark.parametrize(
    ("headers", "then"),
    [
        pytest.param({}, None, id="nothing asked"),
        pytest.param({"Retry-After": "120"}, timedelta(seconds=120), id="seconds"),
        pytest.param({"Retry-After": "9" * 400}, timedelta(days=1), id="absurd seconds are a day"),
        pytest.param(
            {"Retry-After": "Mon, 02 Mar 2026 09:01:30 GMT", "Date": "Mon, 02 Mar 2026 09:01:00 GMT"},
            timedelta(seconds=30),
            id="a date counts from the receiver's clock",
        ),
        pytest.param(
            {"Retry-After": "Mon, 02 Mar 2026 09:00:00 GMT", "Date": "Mon, 02 Mar 2026 09:01:00 GMT"},
            timedelta(),
            id="a date gone by is now",
        ),
        pytest.param({"Retry-After": "Mon, 02 Mar 2026 09:01:30 GMT"}, None, id="a date without the receiver's clock"),
        pytest.param({"Retry-After": "soon"}, None, id="nonsense"),
        pytest.param({"Retry-After": "-5"}, None, id="a negative number"),
        pytest.param({"Retry-After": f"Mon, 02 Mar 2026 09:01:30 +{'9' * 20}"}, None, id="a zone beyond any"),
    ],
)
def test_retry_after(headers, then):
    assert retry_after(headers) == then


def test_a_webhook_gets_the_notice_with_its_key_token_and_signature(sink: Sink):
    assert send(Webhook(sink.url("/hook?team=a"), token="abc", signing_key="key")) == [Accepted("200")]
    (got,) = sink.received()
    assert got.body == {
        "version": "1",
        "key": NOTICE.key,
        "incident": "credit-scoring-7c9f2",
        "namespace": "models",
        "model": "credit-scoring",
        "severity": "SEV2",
        "responder": "credit-owners",
        "person": "",
        "cause": "TierEntered",
        "subject": NOTICE.subject,
        "text": NOTICE.text,
        "command": NOTICE.command,
        "resolves": False,
        "policy": "",
    }
    raw = json.dumps(got.body, separators=(",", ":"), ensure_ascii=False).encode()
    assert (got.method, got.path, got.query) == ("POST", "/hook", "team=a")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == NOTICE.key
    assert got.headers["authorization"] == "Bearer abc"
    assert got.headers["tocsin-signature"] == "sha256=" + hmac.new(b"key", raw, hashlib.sha256).hexdigest()


def test_a_webhook_without_token_and_signing_key_gets_neither_header(sink: Sink):
    send(Webhook(sink.url("/hook")))
    (got,) = sink.received()
    assert {"authorization", "tocsin-signature"} & got.headers.keys() == set()


@pytest.mark.parametrize(
    ("severity", "resolves", "then"),
    [
        ("SEV1", False, ("trigger", "critical")),
        ("SEV2", False, ("trigger", "error")),
        ("SEV3", False, ("trigger", "warning")),
        ("SEV4", True, ("resolve", "info")),
    ],
)
def test_pagerduty_gets_an_event_with_the_dedup_key(sink: Sink, severity, resolves, then):
    send(PagerDuty("R0", sink.url("/v2")), severity=severity, resolves=resolves, subject="x" * 2000)
    (got,) = sink.received()
    payload = got.body["payload"]
    assert (got.body["event_action"], payload["severity"]) == then
    assert (got.body["routing_key"], got.body["dedup_key"]) == ("R0", NOTICE.dedup)
    assert len(payload["summary"]) == 1024
    assert payload["source"] == "models/credit-scoring"
    assert payload["custom_details"]["command"] == NOTICE.command


def test_a_notice_about_rules_has_no_severity_and_names_the_policy(sink: Sink):
    about = {"incident": "", "model": "", "severity": "", "policy": "credit", "dedup": ""}
    for address in (PagerDuty("R0", sink.url("/v2")), Webhook(sink.url("/hook")), by_apprise(sink)):
        assert [type(answer) for answer in send(address, **about)] == [Accepted]
    event, hook, chat = (got.body for got in sink.received())
    payload = event["payload"]
    assert (payload["severity"], payload["source"], payload["component"]) == ("warning", "models/credit", "credit")
    assert event["dedup_key"] == NOTICE.key
    assert (hook["severity"], hook["policy"]) == ("", "credit")
    assert chat["type"] == "warning"


def test_a_dedup_key_that_pagerduty_would_refuse_is_shortened_and_stays_the_same(sink: Sink):
    send(PagerDuty("R0", sink.url("/v2")), times=2, dedup="d" * 300)
    keys = {got.body["dedup_key"] for got in sink.received()}
    assert [len(key) for key in keys] == [64]


def test_apprise_gets_plain_text_with_the_command_last(sink: Sink):
    send(by_apprise(sink), text="a *b* <c>\nd", subject="e & f")
    (got,) = sink.received()
    assert (got.body["title"], got.body["message"]) == ("e & f", f"a *b* <c>\nd\n\n{NOTICE.command}")
    assert got.body["type"] == "failure"


@pytest.mark.parametrize("scheme", ChannelSettings().allowed_schemes)
def test_apprise_knows_every_scheme_that_is_allowed_by_default(scheme):
    assert scheme in NotificationManager()


@pytest.mark.parametrize("override", ["redirect=yes", "retry=3", "optional=yes", "rto=60", "emojis=yes"])
def test_an_apprise_url_cannot_take_back_what_senders_promise(sink: Sink, override):
    sink.behave(f"/{SECRET}", status=302, headers={"Location": "/elsewhere"})
    (answer,) = send(Apprise(f"{by_apprise(sink).url}?{override}"))
    assert (type(answer), [one.path for one in sink.received()]) == (Lost, [f"/{SECRET}"])


@pytest.mark.parametrize(
    ("address", "settings", "then"),
    [
        pytest.param(
            Webhook("https://127.0.0.1/x"), ChannelSettings(), "channels.allowedHosts", id="loopback as a number"
        ),
        pytest.param(Webhook("https://[::1]/x"), ChannelSettings(), "channels.allowedHosts", id="IPv6 loopback"),
        pytest.param(
            Webhook("https://[::ffff:169.254.169.254]/x"), ChannelSettings(), "channels.allowedHosts",
            id="the metadata address in IPv6 clothes",
        ),
        pytest.param(
            Webhook("https://127。0。0。1/x"), ChannelSettings(), "channels.allowedHosts",
            id="loopback with the full stops of another script",
        ),
        pytest.param(
            Webhook("https://１６９.254.169｡254/x"), ChannelSettings(), "channels.allowedHosts",
            id="the metadata address in digits of full width",
        ),
        pytest.param(Webhook("https://localhost/x"), ChannelSettings(), "channels.allowedHosts", id="a loopback name"),
        pytest.param(Webhook("https://2130706433/x"), ChannelSettings(), "channels.allowedHosts", id="one number"),
        pytest.param(Webhook("https://0x7f000001/x"), ChannelSettings(), "", id="a hexadecimal number"),
        pytest.param(Webhook("http://example.org/x"), ChannelSettings(), "https://", id="plain http to the public"),
        pytest.param(
            PagerDuty("R0", "https://10.0.0.1/x"), ChannelSettings(), "channels.allowedHosts", id="a pager inside"
        ),
        pytest.param(
            Webhook("https://8.8.8.8/x"), ChannelSettings(public_hosts=False), "channels.allowedHosts",
            id="a public address where none is allowed",
        ),
        pytest.param(
            Apprise("json://localhost:9/x"), ChannelSettings(allowed_schemes=("json",)), "channels.allowedHosts",
            id="a host inside by Apprise",
        ),
        pytest.param(
            Apprise("json://169.254.169.254/x"), ChannelSettings(allowed_schemes=("json",)), "channels.allowedHosts",
            id="the metadata address by Apprise",
        ),
        pytest.param(
            Apprise("mailtos://u:p@example.org?smtp=127.0.0.1&to=a@example.org"), ChannelSettings(),
            "channels.allowedHosts", id="a mail server inside by a parameter",
        ),
        pytest.param(Apprise("json://localhost"), ChannelSettings(), "scheme", id="a scheme that is not allowed"),
        pytest.param(Apprise("file:///etc/passwd"), ChannelSettings(), "scheme", id="a file as a scheme"),
        pytest.param(Apprise("slack://"), ChannelSettings(), "slack://", id="a URL that Apprise does not understand"),
    ],
)  # fmt: skip
def test_out_of_reach(address, settings, then):
    (answer,) = send(address, settings=settings)
    assert isinstance(answer, Refused)
    assert then in answer.words


def test_a_file_named_in_an_apprise_url_is_never_read(sink: Sink, tmp_path):
    """Teams' plugin would fill in a template file and post it: the operator's token must not leave that way."""
    token = tmp_path / "token"
    token.write_text(f'{{"type": "message", "text": "{SECRET}"}}')
    port = sink.url("/").rpartition(":")[2].rstrip("/")
    url = f"workflows://127.0.0.1:{port}/abc/def?template={token}"
    (answer,) = send(Apprise(url), settings=ChannelSettings(allowed_hosts=("127.0.0.1",)))
    assert answer == Refused("its URL names a file, and files are never read for a message: remove it from the URL")
    assert SECRET not in repr(sink.received())


def test_a_refused_connection_is_tried_again(sink: Sink):
    (answer,) = send(Webhook("http://127.0.0.1:1/x"))
    assert answer == Deferred("no connection")


def test_a_receiver_without_tls_where_tls_is_expected_is_tried_again(sink: Sink):
    (answer,) = send(Webhook(sink.url("/x").replace("http://", "https://")))
    assert isinstance(answer, Deferred)


def test_messages_that_hang_in_threads_hold_up_only_their_own_namespace(sink: Sink):
    """A receiver that sends a byte now and then never lets a read time out."""
    ended = threading.Event()

    class Trickle(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not ended.wait(0.05):
                self.wfile.write(b"x")

    async def main(port: int) -> None:
        async with opened(Senders(HERE, 0.2)) as senders:
            stuck, free = Apprise(f"json://127.0.0.1:{port}/"), by_apprise(sink)
            answers = await asyncio.gather(*(senders.send(stuck, NOTICE) for _ in range(4)))
            assert answers == [Lost("no answer within 0.6 s, perhaps sent")] * 4
            assert await senders.send(free, NOTICE) == Deferred("earlier messages of this namespace still hang")
            assert await senders.send(free, replace(NOTICE, namespace="other")) == Accepted("json")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Trickle) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            asyncio.run(main(server.server_address[1]))
        finally:
            ended.set()
            server.shutdown()


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path):
    certificate, key = Authority(tmp_path).server("sink", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def main() -> Answer:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with opened(Senders(HERE, 2)) as senders, server:
            return await senders.send(Webhook(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"), NOTICE)

    assert asyncio.run(main()) == Deferred("its TLS certificate is not trusted")
