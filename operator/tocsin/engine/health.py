"""Whether a Prometheus server answers, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tocsin.decide.situation import Failed


@dataclass(slots=True)
class Health:
    """One server, as its rounds find it."""

    down_since: datetime | None = None
    up_since: datetime | None = None
    message: str = ""

    def note(self, at: datetime, trouble: Failed | None) -> None:
        """One round has ended: with the trouble of the server as a whole, or without."""
        if trouble:
            self.down_since, self.up_since = self.down_since or at, None
            self.message = trouble.message
        else:
            self.down_since, self.up_since = None, self.up_since or at
