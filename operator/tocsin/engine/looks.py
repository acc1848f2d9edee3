"""What was seen of each pair's target, and when it has to be looked at again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tocsin.api.containment import Target
from tocsin.clock import Clock
from tocsin.decide.incident import HOLD_CHECK
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.observe.cluster import Pair


class Sight(Protocol):
    """Whoever can look at a target."""

    async def lasting_view(self, namespace: str, target: Target | None) -> TargetView | NoTarget:
        """The target as it is now."""
        ...


@dataclass(slots=True)
class _Look:
    """A look at a target; without a view while it is being taken: a change may come in meanwhile."""

    since: float
    """On the monotonic clock."""
    view: TargetView | None = None


@dataclass(slots=True)
class Looks:
    """The looks of one term; what is not kept is looked at anew."""

    sight: Sight
    clock: Clock
    _ahead: dict[Pair, TargetView | NoTarget] = field(default_factory=dict)
    """Targets that were looked at while their incidents were opened; each is used once."""
    _kept: dict[Pair, _Look] = field(default_factory=dict)
    """Targets on which only a hold is checked, as they were last seen."""

    def hand_over(self, pair: Pair, view: TargetView | NoTarget) -> None:
        """Have the next look of the pair find this."""
        self._ahead[pair] = view

    def begin(self, pair: Pair) -> None:
        """What was handed over earlier has had its time."""
        self._ahead.pop(pair, None)

    def kept(self, pair: Pair) -> TargetView | None:
        """The view that the pair's next look may find again."""
        look = self._kept.get(pair)
        return look.view if look else None

    def drop(self, pair: Pair) -> None:
        """The target of a pair has changed, or nothing of ours is held on it: what was seen no longer counts."""
        self._kept.pop(pair, None)

    async def at(self, pair: Pair, target: Target | None, *, holds: bool) -> TargetView | NoTarget:
        """The target as it is now; where something only has to hold, as it was last seen, unless it has changed since.

        A watch tells of changes. It may freeze without closing: no look counts for longer than HOLD_CHECK.
        """
        if seen := self._ahead.pop(pair, None):
            return seen
        now, known = self.clock.monotonic(), self._kept.get(pair)
        if holds and known and known.view and now - known.since < HOLD_CHECK.total_seconds():
            return known.view
        look = self._kept[pair] = _Look(now)
        view = await self.sight.lasting_view(pair.namespace, target)
        if holds and isinstance(view, TargetView) and view.settled and view.current_hash:
            look.view = view  # unless a change came meanwhile, and dropped the look
        else:
            self.drop(pair)
        return view
