"""One HTTP POST of a notice, and what its answer means."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from yarl import URL

from tocsin.act.notify.address import PagerDuty, Webhook
from tocsin.act.notify.reach import OutOfReach, Reach
from tocsin.api.objects import Severity, clip
from tocsin.decide.delivery import Accepted, Answer, Deferred, Lost, Refused
from tocsin.decide.message_situation import Broadcast
from tocsin.decide.plan import Notice

VERSION = "1"
"""Of the JSON that a webhook gets; fields may be added under the same version."""
_AGAIN = frozenset({408, 425, 429})
_PAGERDUTY_SEVERITY: dict[str, str] = {
    Severity.SEV1: "critical",
    Severity.SEV2: "error",
    Severity.SEV3: "warning",
    Severity.SEV4: "info",
    "": "warning",  # about rules, not about an incident
}
_NOT_ALLOWED = "the host in key url is not allowed: ask the administrator to add it to channels.allowedHosts"
_NO_ADDRESS = "key url is not a valid address"


def webhook_body(notice: Notice) -> bytes:
    """What a webhook receiver gets, as JSON in a fixed order."""
    return _json(
        {
            "version": VERSION,
            "key": notice.key,
            "incident": notice.incident,
            "namespace": notice.namespace,
            "model": notice.model,
            "severity": notice.severity,
            "responder": notice.responder,
            "person": notice.person,
            "cause": notice.cause,
            "subject": notice.subject,
            "text": notice.text,
            "command": notice.command,
            "resolves": notice.resolves,
            "policy": notice.policy,
        }
    )


def broadcast_body(broadcast: Broadcast) -> bytes:
    """What the organisation's sender gets, as JSON in a fixed order: whom it reaches is its own business."""
    return _json(
        {
            "version": VERSION,
            "key": broadcast.key,
            "message": broadcast.message,
            "namespace": broadcast.namespace,
            "audience": broadcast.audience,
            "phase": broadcast.phase,
            "texts": [{"language": one.language, "subject": one.subject, "body": one.body} for one in broadcast.texts],
            "digest": broadcast.digest,
            "incident": hashlib.sha256(broadcast.incident_uid.encode()).hexdigest(),
        }
    )


def signature(key: str, body: bytes) -> str:
    """The value of ``Tocsin-Signature``: HMAC-SHA256 of the body, so that a receiver can tell who sent it."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def pagerduty_body(routing_key: str, notice: Notice) -> bytes:
    """An event of the Events API v2: trigger or resolve, by the notice's dedup key."""
    dedup = notice.dedup or notice.key
    return _json(
        {
            "routing_key": routing_key,
            "event_action": "resolve" if notice.resolves else "trigger",
            "dedup_key": dedup if len(dedup) <= 255 else hashlib.sha256(dedup.encode()).hexdigest(),
            "client": "Tocsin",
            "payload": {
                "summary": clip(notice.subject, 1024),
                "source": f"{notice.namespace}/{notice.model or notice.policy}",
                "severity": _PAGERDUTY_SEVERITY[notice.severity],
                "component": notice.model or notice.policy,
                "group": notice.namespace,
                "class": notice.cause,
                "custom_details": {
                    "incident": notice.incident,
                    "responder": notice.responder,
                    "person": notice.person,
                    "text": notice.text,
                    "command": notice.command,
                    "key": notice.key,
                },
            },
        }
    )


class Post:
    """The HTTP client of the notices: no redirects, cookies, proxies or kept connections; bodies are not read."""

    def __init__(self, reach: Reach, resolver: AbstractResolver, timeout: float) -> None:
        self._reach = reach
        self._timeout = timeout
        self._session = ClientSession(
            connector=TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=0),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=timeout, connect=timeout / 2),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._session.close()

    async def webhook(self, address: Webhook, notice: Notice) -> Answer:
        """Send our own JSON."""
        return await self._signed(address, notice.key, webhook_body(notice))

    async def broadcast(self, address: Webhook, broadcast: Broadcast) -> Answer:
        """Hand a message to the organisation's sender."""
        return await self._signed(address, broadcast.key, broadcast_body(broadcast))

    async def _signed(self, address: Webhook, key: str, body: bytes) -> Answer:
        headers = {"Idempotency-Key": key}
        if address.token:
            headers["Authorization"] = f"Bearer {address.token}"
        if address.signing_key:
            headers["Tocsin-Signature"] = signature(address.signing_key, body)
        return await self._send(address.url, body, headers)

    async def pagerduty(self, address: PagerDuty, notice: Notice) -> Answer:
        """Send an event of the Events API v2."""
        return await self._send(address.url, pagerduty_body(address.routing_key, notice), {})

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if refusal := self._refusal(url):
            return refusal
        sent = {"Content-Type": "application/json", "User-Agent": "tocsin", **headers}
        try:
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
                return judge(answer.status, answer.headers)
        except ClientConnectorCertificateError:
            return Deferred("its TLS certificate is not trusted")
        except ClientConnectorError as error:
            if isinstance(error.os_error, OutOfReach):
                return Refused(_NOT_ALLOWED)
            return Deferred("no connection")
        except ConnectionTimeoutError:
            return Deferred(f"no connection within {self._timeout / 2:g} s")
        except ValueError:
            return Refused(_NO_ADDRESS)
        except TimeoutError:
            return Lost(f"no answer within {self._timeout:g} s, perhaps sent")
        except ClientError:
            return Lost("the answer was lost, perhaps sent")

    def _refusal(self, url: str) -> Refused | None:
        """What a resolver does not see: plain http, and hosts that are written as IP addresses."""
        try:
            parts = URL(url)  # as the client reads it: digits and full stops of any script become those of an address
        except ValueError:
            return Refused(_NO_ADDRESS)
        host, port = parts.raw_host or "", parts.port or 0
        if parts.scheme == "http" and not self._reach.named(host, port):
            return Refused("key url must begin with https://, plain http is only for channels.allowedHosts")
        literal = ":" in host or host.rpartition(".")[2].isdigit()
        return Refused(_NOT_ALLOWED) if literal and not self._reach.admits(host, port, host) else None


def judge(status: int, headers: Mapping[str, str]) -> Answer:
    """What an HTTP status means: 2xx accepted, busy tried again, everything else a refusal."""
    if 200 <= status < 300:
        return Accepted(str(status))
    if status in _AGAIN or status >= 500:
        return Deferred(f"answered {status}", retry_after(headers), heard=status >= 500)
    if 300 <= status < 400:
        return Refused(f"answered {status}: redirects are not followed, put the final address into key url")
    return Refused(f"answered {status}")


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long the receiver wants to be left alone; a date counts from the receiver's own Date."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=min(int(asked[:9]), 86_400))
    try:
        return max(parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("Date", "")), timedelta())
    except (ValueError, TypeError, OverflowError):
        return None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
