"""Who wrote what, how often and when? The API server's own audit log tells, to the microsecond."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.cluster.cluster import Cluster

OPERATOR = "system:serviceaccount:tocsin-system:tocsin"
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Entry:
    """One answered request."""

    user: str
    verb: str
    resource: str
    """The plural, with its subresource: ``incidents/status``."""
    namespace: str
    name: str
    code: int
    dry_run: bool
    began: datetime
    ended: datetime

    @property
    def is_write(self) -> bool:
        """Whether it changed something: neither a rehearsal nor a question about rights."""
        asks = self.resource.endswith("reviews")
        return self.verb in _WRITES and not self.dry_run and not asks and self.code < 400


class Audit:
    """What was logged since this was made, or since it was last read."""

    def __init__(self, cluster: Cluster) -> None:
        self._path = cluster.audit_log
        self._offset = self._path.stat().st_size
        self._rest = b""

    def read(self, user: str | None = OPERATOR) -> list[Entry]:
        """What this user has asked since the last reading; None for everybody."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [entry for entry in _entries(lines) if user in (None, entry.user)]


def _entries(lines: list[bytes]) -> Iterator[Entry]:
    for line in lines:
        event = json.loads(line)
        if event["stage"] != "ResponseComplete":
            continue
        about: dict[str, Any] = event.get("objectRef", {})
        parts = (about.get("resource", ""), about.get("subresource", ""))
        yield Entry(
            user=event["user"]["username"],
            verb=event["verb"],
            resource="/".join(filter(None, parts)),
            namespace=about.get("namespace", ""),
            name=about.get("name", ""),
            code=event.get("responseStatus", {}).get("code", 0),
            dry_run="dryRun=All" in event["requestURI"],
            began=datetime.fromisoformat(event["requestReceivedTimestamp"]),
            ended=datetime.fromisoformat(event["stageTimestamp"]),
        )
