"""Which revisions were healthy: fully rolled out, and every signal good, for as long as the policy asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from tocsin.act.marks import mark_healthy
from tocsin.api.policy import Rules
from tocsin.apiserver import ApiError, ApiServer
from tocsin.clock import Clock
from tocsin.decide.revisions import LOOK, good_for, next_look, to_mark
from tocsin.decide.situation import Memory, TargetView
from tocsin.observe.cluster import Pair
from tocsin.observe.targets import Targets

log = structlog.get_logger()


@dataclass(slots=True)
class Revisions:
    """Marks the revision of each model that has proved healthy, once."""

    api: ApiServer
    clock: Clock
    targets: Targets
    is_open: Callable[[Pair], bool]
    leads: Callable[[float], bool]
    _wait: dict[Pair, datetime] = field(default_factory=dict)
    """Until when a pair need not be looked at; forgotten when its target changes."""
    _complete: dict[Pair, tuple[str, str, datetime]] = field(default_factory=dict)
    """Of a pair whose target does not say it: which revision of which object was found rolled out, and since when."""

    def look(self, pair: Pair) -> None:
        """The target has changed: look at it at the next occasion."""
        self._wait.pop(pair, None)

    def due(self, pair: Pair, rules: Rules, memories: Mapping[str, Memory]) -> bool:
        """Whether it is worth reading the target now; never while an incident is open."""
        now = self.clock.now()
        if pair in self._wait and now < self._wait[pair]:
            return False
        return good_for(rules, memories, now) is not None and not self.is_open(pair)

    async def work(self, pair: Pair, rules: Rules, memories: Mapping[str, Memory]) -> None:
        """Mark the present revision if it has proved healthy by now."""
        now = self.clock.now()
        healthy_after = good_for(rules, memories, now)
        if healthy_after is None or self.is_open(pair) or not self.leads(0.0):
            return
        view = await self.targets.view(pair.namespace, rules.model.target)
        if not isinstance(view, TargetView):
            return
        view = self._since(pair, view, now)
        revision = to_mark(view, healthy_after, now)
        if revision is not None:
            try:
                if not await mark_healthy(self.api, pair.namespace, view.kind, revision):
                    return
            except ApiError as refused:
                if refused.code != 403:
                    raise
                self._wait[pair] = now + LOOK  # the chart gives no right to mark where containment is off
                return
            log.info("revision marked as healthy", revision=revision.name, namespace=pair.namespace)
        self._wait[pair] = next_look(view, healthy_after, now)

    def _since(self, pair: Pair, view: TargetView, now: datetime) -> TargetView:
        """The view with since when it is complete: only a Deployment's status tells, of others it is since we saw it.

        After a fail-over that begins anew: a mark comes later then, never too early.
        """
        if view.kind == "Deployment":
            return view
        if not view.complete:
            self._complete.pop(pair, None)
            return view
        uid, template_hash, since = self._complete.get(pair, ("", "", now))
        if (uid, template_hash) != (view.uid, view.current_hash):
            since = now
        self._complete[pair] = (view.uid, view.current_hash, since)
        return replace(view, complete_since=since)
