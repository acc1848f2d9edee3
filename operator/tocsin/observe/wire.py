"""One request to a Prometheus server, and by what its failures are told apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter

from tocsin.api.quantities import format_duration
from tocsin.clock import Clock
from tocsin.decide.situation import Failed
from tocsin.observe.answers import TOO_DEEP, Envelope, envelope, opened
from tocsin.settings import PrometheusServer

LARGEST = 8 * 1024 * 1024
"""Bytes of the largest answer that is read: some 50,000 series. Decoded it takes several times as much."""

_SELECTOR = re.compile(r'\{(?:[^{}"]++|"(?:[^"\\]++|\\.)*+")*+\}')
"""Possessive: what a server says may be as large as an answer, and each step that can be taken back costs 150 bytes."""
_SECRET = 6
"""Header values shorter than this are no secrets, and would only garble a message."""


class Blame(Enum):
    """Whose fault a failure is."""

    SERVER = "nothing can be asked now"
    UNKNOWN = "the server or the query: a trivial query tells"
    QUERY = "Prometheus refused the query itself"
    SIZE = "the answer is too large: less may be asked for at once"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request without a usable answer; the message has no bodies and no tokens."""

    blame: Blame
    message: str

    @property
    def failed(self) -> Failed:
        """The same as the outcome of a query."""
        return Failed(self.message)


class _Stopped(Exception):
    """Carries a Trouble out through the client library."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


class _Kept(requests.Response):
    """An answer read to its end; where the client library looks for the result alone it finds the whole envelope."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.status_code = 200
        self._content = body

    def json(self, **_: Any) -> Any:
        """As the client library reads it."""
        match envelope(self.content):
            case Failed(message) as failed:
                raise _Stopped(Trouble(Blame.QUERY if failed is TOO_DEEP else Blame.UNKNOWN, message))
            case found:
                return {"data": {"result": found}}


class _Session(requests.Session):
    """POST with a body, no retries, no redirects, no environment; one deadline and one size for the whole answer."""

    def __init__(self, server: PrometheusServer, clock: Clock) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = str(server.ca_file) if server.ca_file else True
        self._server = server
        self._clock = clock

    def mount(self, prefix: str | bytes, adapter: Any) -> None:
        """Ours in place of any adapter: the client library's would retry for 14 s."""
        super().mount(prefix, HTTPAdapter(pool_maxsize=16, max_retries=0))

    def request(self, method: str | bytes, url: str | bytes, *_: Any, **given: Any) -> requests.Response:
        """Send the parameters as a form; raises _Stopped for everything but an answer of 200."""
        seconds = self._server.timeout.total_seconds()
        ends = self._clock.monotonic() + seconds
        headers = self._headers()
        try:
            with super().request(
                method, url, data=given["params"], headers=headers, timeout=seconds, stream=True, allow_redirects=False
            ) as response:
                body = self._read(response, ends)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as late:
            raise _Stopped(self._late()) from late
        except requests.exceptions.SSLError as bad:
            raise _Stopped(Trouble(Blame.SERVER, "its certificate does not verify: set caFile to its CA")) from bad
        except (requests.ConnectionError, urllib3.exceptions.ProtocolError) as lost:
            raise _Stopped(Trouble(Blame.UNKNOWN, "it cannot be reached: the connection was refused or lost")) from lost
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as bad:
            message = f"the request could not be made: {type(bad).__name__}"
            raise _Stopped(Trouble(Blame.SERVER, message)) from bad
        if response.status_code != 200:
            raise _Stopped(self._refused(response.status_code, body, [*headers.values()]))
        return _Kept(body)

    def _headers(self) -> dict[str, str]:
        headers = dict(self._server.headers)
        if self._server.bearer_token_file is not None:
            try:
                token = self._server.bearer_token_file.read_text().strip()
            except (OSError, ValueError) as bad:
                message = f"bearerTokenFile cannot be read: {type(bad).__name__}"
                raise _Stopped(Trouble(Blame.SERVER, message)) from bad
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _read(self, response: requests.Response, ends: float) -> bytes:
        body = bytearray()
        while chunk := response.raw.read1(1 << 16, decode_content=True):
            body += chunk
            if len(body) > LARGEST:
                size = LARGEST // (1024 * 1024)
                raise _Stopped(Trouble(Blame.SIZE, f"the answer is larger than {size} MiB: aggregate in the query"))
            if self._clock.monotonic() > ends:
                raise _Stopped(self._late())
        return bytes(body)

    def _late(self) -> Trouble:
        return Trouble(Blame.UNKNOWN, f"no answer within {format_duration(self._server.timeout)}")

    def _refused(self, status: int, body: bytes, secrets: list[str]) -> Trouble:
        try:
            found = opened(body)
        except RecursionError:
            found = None
        match status, found:
            case 400 | 422, {"status": "error", "errorType": "bad_data" | "execution", "error": str(error)}:
                return Trouble(Blame.QUERY, _short(error, secrets))
            case 503, {"status": "error", "errorType": "timeout" | "canceled"}:
                return self._late()
            case 401 | 403, _:
                return Trouble(
                    Blame.SERVER, f"it refuses our credentials ({status}): check bearerTokenFile and headers"
                )
            case 404, _:
                return Trouble(Blame.SERVER, "it answered 404: url must be the base address of a Prometheus 3 or newer")
            case _ if 300 <= status < 400:
                return Trouble(
                    Blame.SERVER, f"it redirects ({status}), which is not followed: set url to where it leads"
                )
        return Trouble(Blame.UNKNOWN, f"it answered {status}")


def _short(error: str, secrets: list[str]) -> str:
    """Prometheus's own words without label values, credentials and line breaks."""
    for secret in secrets:
        for part in (secret, secret.removeprefix("Bearer ")):
            error = error.replace(part, "…") if len(part) >= _SECRET else error
    if "parse error" not in error:
        error = _SELECTOR.sub("{…}", error)
    words = " ".join(error.removeprefix('invalid parameter "query": ').split())
    printable = "".join(letter for letter in words if letter.isprintable())
    return printable if len(printable) <= 240 else f"{printable[:239]}…"


class Wire:
    """The blocking side of one server; each method is one request, and runs in a thread."""

    def __init__(self, server: PrometheusServer, clock: Clock) -> None:
        self._url = server.url.rstrip("/")
        self._session = _Session(server, clock)
        self._timeout = f"{server.timeout.total_seconds() * 0.9:.3f}"
        self._client = PrometheusConnect(url=self._url, session=self._session, method="POST")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def evaluate(self, expression: str, at: int) -> Envelope | Trouble:
        """An instant query at milliseconds of the epoch."""
        given = {"time": _seconds(at), "timeout": self._timeout}
        return self._sent(lambda: self._client.custom_query(expression, params=given))

    def evaluate_range(self, expression: str, start: int, end: int, step: timedelta) -> Envelope | Trouble:
        """A range query from and to milliseconds of the epoch, both included."""
        exact = {"start": _seconds(start), "end": _seconds(end), "timeout": self._timeout}
        rounded = datetime.fromtimestamp(start // 1000, UTC)  # by the library, to whole seconds; ours come after it
        width = f"{step.total_seconds():.3f}"
        return self._sent(lambda: self._client.custom_query_range(expression, rounded, rounded, width, params=exact))

    def rewrite(self, endpoint: str, expression: str) -> Envelope | Trouble:
        """``parse_query`` or ``format_query``, which the library does not know."""
        url = f"{self._url}/api/v1/{endpoint}"
        return self._sent(
            lambda: self._session.request("POST", url, params={"query": expression}).json()["data"]["result"]
        )

    def _sent(self, send: Callable[[], Any]) -> Envelope | Trouble:
        try:
            found: Envelope = send()
        except _Stopped as stopped:
            return stopped.trouble
        return found


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
