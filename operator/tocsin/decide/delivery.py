"""Which channel of a role is tried when, until one has accepted a notice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

PATIENCE = timedelta(minutes=1)
"""How long a channel is tried before the next one, and how long nobody hears of it that no channel has accepted."""
_RETRY = (timedelta(seconds=1), timedelta(seconds=15))
"""The first pause between two tries of one channel, doubled up to the second."""
_LAP = (timedelta(seconds=15), timedelta(minutes=5))
"""The first pause before all channels are tried again, doubled up to the second."""
_RESUMED = timedelta(seconds=15)
"""How long an old notice, taken over from another leader, is tried before it is reported as undelivered."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has it."""

    words: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """The receiver does not have it, and may take it later."""

    words: str
    retry_after: timedelta | None = None
    """When the receiver asked to be tried again; capped at five minutes."""
    heard: bool = field(default=False, compare=False)
    """Whether it was broken while it heard it, so that it may have it all the same."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Perhaps sent: the receiver may have it, the answer was lost. It is sent again under the same key."""

    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver, or the channel's Secret, will not take it until somebody repairs it."""

    words: str


Failure = Deferred | Lost | Refused
Answer = Accepted | Failure


@dataclass(frozen=True, slots=True)
class Turn:
    """The next try: which channel, when, and how far the delivery has come."""

    due_at: datetime
    began_at: datetime
    """When the turn of this channel began; its minute counts from here."""
    channel: int = 0
    """The place in the responder's list."""
    lap: int = 0
    """0 while each channel has its minute; then how often all of them have been tried once more."""
    failures: int = 0
    """How often this channel failed in this turn."""

    @property
    def ends_at(self) -> datetime:
        """When the next channel follows, whatever this one does."""
        return self.began_at + PATIENCE


def first(now: datetime) -> Turn:
    """The first channel is tried at once."""
    return Turn(due_at=now, began_at=now)


def following(turn: Turn, failure: Failure, channels: int, now: datetime) -> Turn:
    """The turn after a failed one.

    In the first lap a channel is tried again, with growing pauses, until its minute is over; one that refuses is left
    at once. In later laps each channel gets one try. A role without channels has laps too: it may be given some.
    """
    if turn.lap == 0 and not isinstance(failure, Refused):
        retry_at = now + max(_doubled(_RETRY, turn.failures), _asked(failure))
        if retry_at < turn.ends_at:
            return Turn(retry_at, turn.began_at, turn.channel, failures=turn.failures + 1)
        if turn.channel + 1 < channels:
            return _begin(max(now, turn.ends_at), turn.channel + 1, lap=0)
    elif turn.channel + 1 < channels:
        return _begin(now, turn.channel + 1, turn.lap)
    return _begin(now + max(_doubled(_LAP, turn.lap), _asked(failure)), 0, turn.lap + 1)


def overdue_at(intended_at: datetime, submitted_at: datetime) -> datetime:
    """When people must be able to see that no channel has accepted.

    A minute after the intent; one that is older, because another leader died over it, gets a few seconds first.
    """
    return max(min(intended_at, submitted_at) + PATIENCE, submitted_at + _RESUMED)


def pause_after(failures: int, failure: Deferred | Lost) -> timedelta:
    """How long a sender that is alone is left in peace, ever longer up to five minutes."""
    return max(_doubled((_RETRY[0], _LAP[1]), failures), _asked(failure))


def exhausted(turn: Turn, failure: Failure) -> bool:
    """Whether nothing is left to hope for: every channel has had its turn, and the last one refuses.

    Such a notice is reported as undelivered before its minute is over.
    """
    return turn.lap > 0 and isinstance(failure, Refused)


def _begin(at: datetime, channel: int, lap: int) -> Turn:
    return Turn(due_at=at, began_at=at, channel=channel, lap=lap)


def _doubled(pause: tuple[timedelta, timedelta], times: int) -> timedelta:
    start, cap = pause
    return min(start * (1 << min(times, 16)), cap)


def _asked(failure: Failure) -> timedelta:
    asked = failure.retry_after if isinstance(failure, Deferred) else None
    return min(asked or timedelta(), _LAP[1])
