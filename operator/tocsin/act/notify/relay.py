"""Messages through Apprise: every service that it knows, in a thread, without redirects, files or other hosts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import Executor
from typing import Any

import apprise
from apprise.plugins import url_to_dict

from tocsin.act.notify.address import Apprise
from tocsin.act.notify.reach import Reach, fenced
from tocsin.api.objects import Severity
from tocsin.decide.delivery import Accepted, Answer, Deferred, Lost, Refused
from tocsin.decide.plan import Notice

_MOST_HANGING = 4
"""How many messages of one namespace may hang in threads before it has to wait; the others go on."""
_TYPE: dict[str, apprise.NotifyType] = {
    Severity.SEV1: apprise.NotifyType.FAILURE,
    Severity.SEV2: apprise.NotifyType.FAILURE,
    Severity.SEV3: apprise.NotifyType.WARNING,
    Severity.SEV4: apprise.NotifyType.INFO,
    "": apprise.NotifyType.WARNING,  # about rules, not about an incident
}
_DROPPED = ("retry", "wait", "optional", "format", "emojis", "store")
"""Parameters of a URL that would make Apprise repeat, hide or rewrite what we send."""


class Relay:
    """Sends by Apprise; a message that is not accepted may have been sent all the same."""

    def __init__(self, reach: Reach, schemes: tuple[str, ...], threads: Executor, timeout: float) -> None:
        self._reach = reach
        self._schemes = schemes
        self._threads = threads
        self._timeout = timeout
        self._hanging: Counter[str] = Counter()
        for name in ("apprise", "urllib3"):  # they log addresses, which hold tokens
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._asset = apprise.AppriseAsset(
            app_id="Tocsin",
            app_desc="Tocsin",
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            pgp_autogen=False,
            pem_autogen=False,
            http_redirects=False,
            interpret_emojis=False,
        )

    async def send(self, address: Apprise, notice: Notice) -> Answer:
        """Send in a thread; one that hangs is left behind, and counted until it ends."""
        if self._hanging[notice.namespace] >= _MOST_HANGING:
            return Deferred("earlier messages of this namespace still hang")
        sending = asyncio.get_running_loop().run_in_executor(self._threads, self._send, address.url, notice)
        done, _ = await asyncio.wait({sending}, timeout=3 * self._timeout)
        if done:
            return sending.result()
        self._hanging[notice.namespace] += 1
        sending.add_done_callback(lambda _: self._hanging.subtract({notice.namespace: 1}))
        return Lost(f"no answer within {3 * self._timeout:g} s, perhaps sent")

    def _send(self, url: str, notice: Notice) -> Answer:
        scheme = url.partition("://")[0].lower()
        if scheme not in self._schemes:
            return Refused(f"the scheme in key url is not allowed: use one of {', '.join(self._schemes)}")
        with fenced(self._reach) as fence:
            answer = self._notify(url, scheme, notice)
        return Refused(fence.refused) if fence.refused and not isinstance(answer, Accepted) else answer

    def _notify(self, url: str, scheme: str, notice: Notice) -> Answer:
        message = {
            "title": notice.subject,
            "body": f"{notice.text}\n\n{notice.command}" if notice.command else notice.text,
            "notify_type": apprise.NotifyType.SUCCESS if notice.resolves else _TYPE[notice.severity],
            "body_format": apprise.NotifyFormat.TEXT,
        }
        try:
            service = self._service(url, "upstream" if notice.exact else "truncate")
            if service is None:
                return Refused(f"key url is not what Apprise expects after {scheme}://")
            accepted = service.notify(**message)
        except Exception as error:  # noqa: BLE001 - a hundred services of others: whatever they raise, we cannot tell
            return Lost(f"{scheme} failed with {type(error).__name__}, perhaps sent")
        return Accepted(scheme) if accepted else Lost(f"{scheme} did not accept, perhaps sent")

    def _service(self, url: str, overflow: str) -> Any | None:
        parts = url_to_dict(url)  # type: ignore[no-untyped-call]  # Apprise has no types there
        if not parts:
            return None
        for name in _DROPPED:
            parts.pop(name, None)
        parts |= {"redirect": False, "verify": True, "cto": self._timeout, "rto": self._timeout, "overflow": overflow}
        return apprise.Apprise.instantiate(parts, asset=self._asset)
