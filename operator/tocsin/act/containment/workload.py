"""How a workload of ``apps/v1`` is rolled back, scaled or paused: read, rehearsed, written under a guard, read back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tocsin.api.objects import clip
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import CACHED, FIELD_MANAGER, ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.plan import Contain
from tocsin.decide.proposal import is_set, pinning
from tocsin.decide.situation import FieldChange, Proposal, TargetView
from tocsin.decide.workload import (
    CONTAINED_BY,
    REVISION,
    UNDONE_BY,
    autoscaler_of,
    bare_template,
    label_selector,
    owned_by,
    view_of,
)

_TRIES = 8
"""So often the guarded write is tried while others, the controller's status among them, keep changing the object."""
_PAUSE = 0.5
"""Seconds between two tries of what is forbidden: all in all longer than an API server needs to read its roles."""
_LONGEST_PAUSE = 5.0
"""So many seconds a Retry-After of the server is honoured at most."""
_OWN_ANNOTATIONS = frozenset(
    {
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)
"""What kubectl's own rollback leaves as it is on the Deployment."""
_OWN_DOMAINS = (
    "tocsin.dev",
    "argocd.argoproj.io",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "meta.helm.sh",
)
"""Annotations that speak of the live object, not of a revision: a copy from a ReplicaSet would be a stale order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it, before it is stamped."""

    result: Literal["Done", "Refused", "Conflict", "Unknown"]
    message: str


@dataclass(frozen=True, slots=True)
class Live:
    """The target as it was just read."""

    workload: Mapping[str, Any]
    kept: tuple[Mapping[str, Any], ...]
    """What keeps the templates that are left and gone to."""
    view: TargetView
    autoscaler_version: str = ""
    pods: tuple[Mapping[str, Any], ...] = ()
    """Of a StatefulSet that is rolled back, which may wait behind one of them."""


async def contain(api: ApiServer, namespace: str, effect: Contain, clock: Clock) -> Answer:
    """Bring the target to what the proposal says, unless it is there already or is no longer what was proposed for."""
    return await bring(Work(api, namespace, effect.key, effect.proposal), clock, dry_run=effect.dry_run)


async def bring(work: Work, clock: Clock, *, dry_run: bool = False) -> Answer:
    """Read, judge, rehearse and write, until it is done or cannot be."""
    rehearsed = False
    answer = Answer("Conflict", f"{work.what} was not touched")
    for _ in range(_TRIES):
        try:
            live = await work.read()
            if verdict := work.judge(live):
                return verdict
            if not rehearsed:
                if objection := await work.write(live, dry_run=True):
                    return objection
                rehearsed = True
            if dry_run:
                return Answer("Done", f"the API server would accept it: {work.proposal.summary}")
            await work.write(live, dry_run=False)
            return await work.confirm(clock)
        except ApiError as refused:
            match refused.code:
                case 409:
                    answer = Answer("Conflict", f"changed by others during each of {_TRIES} tries: {_said(refused)}")
                case 429:
                    answer = Answer("Unknown", f"the API server is busy: {_said(refused)}")
                    await clock.sleep(min(refused.retry_after or 1.0, _LONGEST_PAUSE))
                case 403:  # a right that is not known yet after a restart of the API server, or a webhook that denies
                    answer = Answer("Refused", f"the API server refuses it: {_said(refused)}")
                    await clock.sleep(_PAUSE)
                case code if code >= 500:
                    return await work.after_silence(_said(refused))
                case _:
                    return Answer("Refused", f"the API server refuses it: {_said(refused)}")
        except NoAnswer as lost:
            return await work.after_silence(clip(str(lost), 300))
    return answer


class Work:
    """The steps of one containment."""

    mark, other_mark = CONTAINED_BY, UNDONE_BY
    manager = FIELD_MANAGER

    def __init__(self, api: ApiServer, namespace: str, key: str, proposal: Proposal) -> None:
        self._api = api
        self._namespace = namespace
        self.key = key
        self.proposal = proposal
        self.what = proposal.target
        self._kind = WORKLOADS[proposal.target_kind]
        self._where = path(self._kind.api_version, self._kind.plural, namespace, proposal.target_name)

    async def read(self, *, consistent: bool = False) -> Live:
        """The target, with what the action needs beside it; consistent when our own writes must be seen."""
        how = {} if consistent else CACHED
        if self.proposal.action == "RollBack":
            where = path("apps/v1", self._kind.keeps, self._namespace)
            hashes = f"{self._kind.hash_label} in ({self.proposal.from_},{self.proposal.to})"
            listing = self._api.get(where, labelSelector=hashes, **how)
            answer, workload = await asyncio.gather(listing, self._api.get(self._where))
            kept, pods = owned_by(workload, answer["items"]), await self._pods(workload)
            view = view_of(workload, kept, None, manager=FIELD_MANAGER, pods=pods)
            return Live(workload, kept, view, pods=tuple(pods))
        if self.proposal.action == "Pause":
            workload = await self._api.get(self._where)
            return Live(workload, (), view_of(workload, (), None, manager=FIELD_MANAGER))
        listing = self._api.get(path("autoscaling/v2", "horizontalpodautoscalers", self._namespace), **how)
        answer, workload = await asyncio.gather(listing, self._api.get(self._where))
        autoscaler = autoscaler_of(workload, answer["items"])
        versions = {one["metadata"]["uid"]: one["metadata"]["resourceVersion"] for one in answer["items"]}
        version = versions[autoscaler.uid] if autoscaler else ""
        return Live(workload, (), view_of(workload, (), autoscaler, manager=FIELD_MANAGER), version)

    async def _pods(self, workload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The pods behind which a StatefulSet may wait; of the others none matters."""
        if self.proposal.target_kind != "StatefulSet":
            return []
        where = path("v1", "pods", self._namespace)
        found: list[Mapping[str, Any]] = (await self._api.get(where, labelSelector=label_selector(workload)))["items"]
        return found

    def judge(self, live: Live) -> Answer | None:
        """The end of it, if it is done, impossible, or no longer what was proposed; None to go on and write."""
        view, proposal = live.view, self.proposal
        if view.uid != proposal.target_uid:
            return Answer("Refused", f"{self.what} was deleted and made anew: it is not what this was proposed for")
        if view.deleting:
            return Answer("Refused", f"{self.what} is being deleted")
        if proposal.action == "RollBack":
            return self._judge_template(live)
        if proposal.action == "Pause":
            return self._judge_fields(view)
        return self._judge_replicas(view)

    def _judge_template(self, live: Live) -> Answer | None:
        view, proposal = live.view, self.proposal
        if view.current_hash == proposal.to:
            if view.contained_by == self.key:
                done = Answer("Done", f"read back: {self.what} has the template {proposal.to}")
                return None if view.stuck else done
            return Answer("Conflict", f"{self.what} already has the template {proposal.to}, but not by this effect")
        if view.current_hash != proposal.from_:
            return Answer("Conflict", f"{self.what} has another template by now, no longer {proposal.from_}")
        if view.contained_by == self.key:
            return Answer("Conflict", f"{self.what} was rolled back by this effect, and somebody has undone it")
        if not self._is_as_proposed(view) or (view.paused and not proposal.fields):
            return Answer("Conflict", f"{self.what} {view.paused or 'was resumed by somebody else'}")
        if all(one.uid != proposal.revision_uid for one in view.revisions):
            return Answer("Conflict", f"{self.what} no longer keeps the revision {proposal.to}")
        return None

    def _judge_fields(self, view: TargetView) -> Answer | None:
        if all(is_set(change, view) for change in self.proposal.fields):
            if view.contained_by == self.key:
                return Answer("Done", f"read back: {self.what} has {self.proposal.to}")
            return Answer("Conflict", f"{self.what} has {self.proposal.to} already, but not by this effect")
        if view.contained_by == self.key:
            return Answer("Conflict", f"{self.what} was paused by this effect, and somebody has undone it")
        if not self._is_as_proposed(view):
            return Answer("Conflict", f"{self.what} no longer has {self.proposal.from_}")
        return None

    def _is_as_proposed(self, view: TargetView) -> bool:
        """Whether the fields that are to be set are still as they were."""
        return all(is_set(change.back, view) for change in self.proposal.fields)

    def _judge_replicas(self, view: TargetView) -> Answer | None:
        proposal = self.proposal
        replicas = int(proposal.to)
        pin = pinning(view.autoscaler, replicas)
        if pin and (proposal.autoscaler is None or pin != pinning(proposal.autoscaler, replicas)):
            return Answer("Conflict", f"the autoscaler of {self.what} is no longer as it was proposed for")
        if view.replicas == replicas and not pin:
            if view.scaled_by_us or proposal.autoscaler:  # a pinned autoscaler goes down to its new maximum by itself
                return Answer("Done", f"read back: {self.what} has replicas: {replicas}")
            return Answer("Conflict", f"{self.what} was scaled to {replicas} by somebody else")
        moved = str(view.replicas) != proposal.from_
        if moved and (view.autoscaler is None or view.replicas < replicas):
            return Answer("Conflict", f"{self.what} has replicas: {view.replicas}, no longer {proposal.from_}")
        return None

    async def write(self, live: Live, *, dry_run: bool) -> Answer | None:
        """Write under the guard of the resourceVersion; an answer when the server would change what is written."""
        if self.proposal.action == "RollBack" and live.view.current_hash == self.proposal.to:
            return await self._free(live, dry_run=dry_run)
        if self.proposal.action == "RollBack":
            return await self._write_template(live, dry_run=dry_run)
        if self.proposal.action == "Pause":
            return await self._write_fields(live, dry_run=dry_run)
        return await self._write_replicas(live, dry_run=dry_run)

    async def _write_template(self, live: Live, *, dry_run: bool) -> Answer | None:
        source = next(one for one in live.kept if one["metadata"]["uid"] == self.proposal.revision_uid)
        template = bare_template(source)
        annotations = _annotations(live.workload, source)
        restored: dict[str, Any] = {"op": "replace", "path": "/spec/template", "value": template}
        written = await self._patch(live, annotations, [restored], dry_run=dry_run)
        if bare_template(written) != template:
            return Answer("Refused", f"the API server would change the template that is restored to {self.what}")
        return None

    async def _write_fields(self, live: Live, *, dry_run: bool) -> Answer | None:
        written = await self._patch(live, dict(_annotated(live.workload)), [], dry_run=dry_run)
        view = view_of(written, (), None, manager=FIELD_MANAGER)
        if not all(is_set(change, view) for change in self.proposal.fields):
            return Answer("Refused", f"the API server would not set {self.proposal.to} of {self.what}")
        return None

    async def _patch(
        self, live: Live, annotations: dict[str, str], operations: list[dict[str, Any]], *, dry_run: bool
    ) -> Any:
        """Write it with the fields of the proposal and our mark, all at once."""
        marked = {name: value for name, value in annotations.items() if name != self.other_mark}
        guarded: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live.view.resource_version},
            {"op": "add", "path": "/metadata/annotations", "value": marked | {self.mark: self.key}},
            *(_operation(change) for change in self.proposal.fields),
            *operations,
        ]
        return await self._api.json_patch(self._where, guarded, dry_run=dry_run)

    async def _free(self, live: Live, *, dry_run: bool) -> Answer | None:
        """Delete the pods behind which the StatefulSet waits; one that has changed since may have become ready.

        What the server refuses for good is told with what was done: the template is back in any case.
        """
        for pod in live.pods:
            name = pod["metadata"]["name"]
            if name not in live.view.stuck:
                continue
            guard = {part: pod["metadata"][part] for part in ("uid", "resourceVersion")}
            try:
                await self._api.delete(path("v1", "pods", self._namespace, name), guard, dry_run=dry_run)
            except ApiError as refused:
                if refused.code in {404, 409}:
                    continue
                if refused.code == 429 or refused.code >= 500:
                    raise
                why = f"waits behind pod {name}, which could not be deleted: {_said(refused)}"
                return Answer("Done", f"{self.what} has the template {self.proposal.to}, and {why}")
        return None

    async def _write_replicas(self, live: Live, *, dry_run: bool) -> Answer | None:
        autoscaler = live.view.autoscaler
        if autoscaler and (pin := pinning(autoscaler, int(self.proposal.to))):
            await self._write_autoscaler(live, pin, dry_run=dry_run)
        return await self._write_number(live, dry_run=dry_run)

    async def _write_autoscaler(self, live: Live, spec: dict[str, Any], *, dry_run: bool) -> None:
        autoscaler = live.view.autoscaler
        assert autoscaler is not None, "whoever has fields for it has seen it"
        guard = {"uid": autoscaler.uid, "resourceVersion": live.autoscaler_version}
        where = path("autoscaling/v2", "horizontalpodautoscalers", self._namespace, autoscaler.name)
        await self._api.merge(where, {"metadata": guard, "spec": spec}, dry_run=dry_run)

    async def _write_number(self, live: Live, *, dry_run: bool) -> Answer | None:
        replicas = int(self.proposal.to)
        guard = {"uid": live.view.uid, "resourceVersion": live.view.resource_version}
        body, where = _scale(guard, replicas), f"{self._where}/scale"
        written = await self._api.apply(where, body, dry_run=dry_run, manager=self.manager)
        if written["spec"].get("replicas", 0) != replicas:
            return Answer("Refused", f"the API server would change the number of replicas of {self.what}")
        return None

    async def confirm(self, clock: Clock) -> Answer:
        """What stands there after the write was accepted.

        Of a pod that does not become ready the status changes all the time, and its controller may make another one of
        the bad template before it has seen the good one: so it is done when a later look finds none.
        """
        live = await self.read(consistent=True)
        for _ in range(_TRIES):
            if not self._waits(live.view):
                break
            if objection := await self._free(live, dry_run=False):
                return objection
            await clock.sleep(_PAUSE)
            live = await self.read(consistent=True)
        if verdict := self.judge(live):
            return verdict
        if self._waits(live.view):
            return Answer("Unknown", f"{self.what} has the template, and waits behind {', '.join(live.view.stuck)}")
        return Answer("Conflict", f"accepted, and reverted at once: {self.what} is as it was before")

    def _waits(self, view: TargetView) -> bool:
        """Whether what we wrote is there, and a StatefulSet waits for ever behind pods of the template before."""
        return view.contained_by == self.key and view.current_hash == self.proposal.to and bool(view.stuck)

    async def after_silence(self, what: str) -> Answer:
        """Done if the write is there although its answer was lost, else nobody knows."""
        try:
            verdict = self.judge(await self.read(consistent=True))
        except (ApiError, NoAnswer):
            return Answer("Unknown", f"no answer, and {self.what} cannot be read: {what}")
        if verdict and verdict.result == "Done":
            return verdict
        return Answer("Unknown", f"no answer, and {self.what} does not show the write: {what}")


def _operation(change: FieldChange) -> dict[str, Any]:
    if change.after is None:
        return {"op": "remove", "path": change.path}
    return {"op": "add", "path": change.path, "value": json.loads(change.after)}


def _scale(guard: dict[str, str], replicas: int) -> dict[str, Any]:
    """What is applied to ``/scale``: a patch or an update to 0 leaves no manager in managedFields (tried on 1.37)."""
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": guard, "spec": {"replicas": replicas}}


def _annotations(workload: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, str]:
    """The annotations as kubectl's rollback sets them, those apart that speak of the live object.

    It takes those of a ReplicaSet back with the template; a ControllerRevision keeps the template alone.
    """
    if "data" in source:
        return dict(_annotated(workload))
    kept = {name: value for name, value in _annotated(workload).items() if _own(name)}
    return kept | {name: value for name, value in _annotated(source).items() if not _own(name)}


def _annotated(thing: Mapping[str, Any]) -> dict[str, str]:
    annotations: dict[str, str] = thing["metadata"].get("annotations", {})
    return annotations


def _own(name: str) -> bool:
    return name in _OWN_ANNOTATIONS or name.partition("/")[0] in _OWN_DOMAINS


def _said(refused: ApiError) -> str:
    return clip(refused.message or str(refused), 500)
