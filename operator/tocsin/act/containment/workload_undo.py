"""How what was written to a workload is taken back: only while it is there as it was written, and as a whole.

The number of replicas comes first and the autoscaler's fields last: whoever is interrupted in between finds them
pinned, and goes on. What is put back carries a mark of its own, and no longer that of the containment.
"""

from __future__ import annotations

from typing import Any

from tocsin.act.containment.workload import Answer, Live, Work, bring
from tocsin.apiserver import UNDO_MANAGER, ApiServer
from tocsin.clock import Clock
from tocsin.decide.plan import Undo
from tocsin.decide.proposal import is_set
from tocsin.decide.restoring import objection, unpinning
from tocsin.decide.situation import TargetView
from tocsin.decide.workload import CONTAINED_BY, UNDONE_BY, is_scaled_by


async def undo(api: ApiServer, namespace: str, effect: Undo, clock: Clock) -> Answer:
    """Put back what was there before the containment, unless it is there already, or somebody has changed it since."""
    work = _Undoing(api, namespace, effect)
    answer = await bring(work, clock)
    if work.is_half_done and answer.result != "Done":
        return Answer("Unknown", f"half done, to be finished: {answer.message}")
    return answer


class _Undoing(Work):
    """The steps of one undo."""

    mark, other_mark = UNDONE_BY, CONTAINED_BY
    manager = UNDO_MANAGER

    def __init__(self, api: ApiServer, namespace: str, effect: Undo) -> None:
        super().__init__(api, namespace, effect.key, effect.proposal)
        self._marks = effect.marks
        self.is_half_done = False

    def judge(self, live: Live) -> Answer | None:
        """The end of it, if it is done, or no longer what was ours; None to go on and write."""
        if live.view.uid == self.proposal.target_uid and (done := self._done(live)):
            return done
        if why := objection(self.proposal, live.view, self._marks):
            return Answer("Conflict", why)
        if self.proposal.action != "Scale" and live.view.undone_by == self.key:
            return Answer("Conflict", f"{self.what} was changed by this undo, and somebody has changed that")
        if self.proposal.action == "RollBack" and all(
            one.uid != self.proposal.revision_uid for one in live.view.revisions
        ):
            return Answer("Conflict", f"{self.what} no longer keeps the revision {self.proposal.to}")
        return None

    def _done(self, live: Live) -> Answer | None:
        view, to = live.view, self.proposal.to
        if self.proposal.action == "RollBack":
            ours = view.current_hash == to and view.undone_by == self.key
            return Answer("Done", f"read back: {self.what} has the template {to}") if ours else None
        if self.proposal.action == "Pause":
            ours = all(is_set(change, view) for change in self.proposal.fields) and view.undone_by == self.key
            return Answer("Done", f"read back: {self.what} has {to}") if ours else None
        is_as_written = str(view.replicas) == self.proposal.from_
        if self._unpinning(view) != {} or (is_as_written and view.scaled_by_us):
            return None
        moves_by_itself = view.autoscaler and (self.proposal.autoscaler or not is_as_written)
        if moves_by_itself or (str(view.replicas) == to and is_scaled_by(live.workload, self.manager)):
            return Answer("Done", f"read back: {self.what} has replicas: {view.replicas}")
        return None

    def _unpinning(self, view: TargetView) -> dict[str, Any] | None:
        return unpinning(self.proposal.autoscaler, view.autoscaler, int(self.proposal.from_))

    async def _write_replicas(self, live: Live, *, dry_run: bool) -> Answer | None:
        back = self._unpinning(live.view)
        if str(live.view.replicas) == self.proposal.from_:
            if changed := await self._write_number(live, dry_run=dry_run):
                return changed
            self.is_half_done = bool(back) and not dry_run
        if back:
            await self._write_autoscaler(live, back, dry_run=dry_run)
        return None
