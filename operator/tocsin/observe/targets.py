"""What a target is like now, and what our own rights allow us to do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tocsin.api.containment import Target
from tocsin.api.objects import clip
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import CACHED, FIELD_MANAGER, ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.decide.workload import autoscaler_of, bare_template, canonical, label_selector, owned_by, view_of

_REMEMBERED = 300.0
"""So many seconds a right that was granted is not asked for again; a denial is asked for each time."""
_MOMENT = 15.0
"""So many seconds a denial must last to count: an API server that has just started denies what it has not read yet."""


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that somebody may do."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""

    def words(self, namespace: str) -> str:
        """What it allows, as ``patch deployments.apps/scale in namespace models``."""
        part = f"/{self.subresource}" if self.subresource else ""
        whole = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {whole}{part} in namespace {namespace}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """What a review of rights asks about."""
        return {
            "namespace": namespace,
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "name": self.name,
        }


_FREEING = {"StatefulSet": (Right("list", "", "pods"), Right("delete", "", "pods"))}
"""What else a rollback needs: a StatefulSet waits for ever behind a pod that does not become ready."""


class Targets:
    """Reads workloads with all that bears on them."""

    def __init__(self, api: ApiServer, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._granted: dict[tuple[str, Right], float] = {}
        self._for_some: dict[tuple[str, Right], float] = {}
        """Until when a right that was denied for all objects is asked for by name only; nothing is denied by that."""
        self._denied: dict[tuple[str, Target], tuple[float, float]] = {}
        """Since when a target is denied to us, and when that was last seen."""

    async def lasting_view(self, namespace: str, target: Target | None) -> TargetView | NoTarget:
        """The target as it is now; what is denied for a moment only may be granted, and nothing is concluded from it.

        Tried on 1.37: for a second or two after its start the API server knows no role, and answers 403 to everybody.
        """
        view = await self.view(namespace, target)
        if target is None or not self._is_lately_denied((namespace, target), view):
            return view
        if isinstance(view, NoTarget):
            return NoTarget("Unreadable", view.message)
        return replace(view, lately_denied=True)

    def _is_lately_denied(self, which: tuple[str, Target], view: TargetView | NoTarget) -> bool:
        if not (view.lacking if isinstance(view, TargetView) else view.reason == "Forbidden"):
            self._denied.pop(which, None)
            return False
        now = self._clock.monotonic()
        since, seen = self._denied.get(which, (now, now))
        self._denied[which] = (since, now) if now - seen < _MOMENT else (now, now)
        return now - self._denied[which][0] < _MOMENT

    async def view(self, namespace: str, target: Target | None, *, history: bool = True) -> TargetView | NoTarget:
        """The target as it is now; the cost is three reads, and the reviews of rights that are not remembered.

        Without its history it has no revisions: the API server finds those of one workload by reading those of all in
        the namespace (10,000 ReplicaSets: 155 ms on a busy machine), which whoever only asks for rights need not pay.
        """
        if target is None:
            return NoTarget("NotDeclared", "the policy names no target for this model")
        try:
            return await self._view(namespace, target, history=history)
        except ApiError as refused:
            match refused.code:
                case 404:
                    return NoTarget("NotFound", f"{target.kind}/{target.name} does not exist in namespace {namespace}")
                case 403:
                    return NoTarget("Forbidden", f"{target.kind}/{target.name}: {clip(refused.message, 500)}")
                case _:
                    return NoTarget("Unreadable", f"{target.kind}/{target.name}: {clip(str(refused), 500)}")
        except NoAnswer as lost:
            return NoTarget("Unreadable", f"{target.kind}/{target.name}: {clip(str(lost), 500)}")

    async def templates(self, namespace: str, target: Target) -> Mapping[str, str]:
        """The earlier templates that are kept of a target, as canonical JSON, by the UID of what keeps them.

        Raises ApiError and NoAnswer.
        """
        kind = WORKLOADS[target.kind]
        workload = await self._api.get(path(target.api_version, kind.plural, namespace, target.name))
        kept = await self._kept(namespace, workload, kind.keeps)
        return {one["metadata"]["uid"]: canonical(bare_template(one)) for one in kept}

    async def _view(self, namespace: str, target: Target, *, history: bool) -> TargetView:
        kind = WORKLOADS[target.kind]
        workload = await self._api.get(path(target.api_version, kind.plural, namespace, target.name))
        scaling = Right("patch", kind.group, kind.plural, "scale", target.name)
        rolling = (Right("patch", kind.group, kind.plural, name=target.name), *_FREEING.get(target.kind, ()))
        rights = (*rolling, *((scaling,) if "Scale" in kind.can else ()))
        kept, autoscalers, pods, *granted = await _together(
            self._kept(namespace, workload, kind.keeps) if history else _nothing(),
            self._autoscalers(namespace) if "Scale" in kind.can else _nothing(),
            self._pods(namespace, workload) if history else _nothing(),
            *(self._may(namespace, right) for right in rights),
        )
        lacking = [right for right, allowed in zip(rights, granted, strict=True) if not allowed]
        may_roll_back = not any(right in lacking for right in rolling)
        may_pause = rolling[0] not in lacking
        autoscaler = autoscaler_of(workload, autoscalers or ())
        if autoscalers is None:
            lacking.append(Right("list", "autoscaling", "horizontalpodautoscalers"))
        elif autoscaler:
            pinning = Right("patch", "autoscaling", "horizontalpodautoscalers", name=autoscaler.name)
            lacking += [] if await self._may(namespace, pinning) else [pinning]
        return view_of(
            workload,
            kept,
            autoscaler,
            manager=FIELD_MANAGER,
            may_roll_back=may_roll_back,
            may_pause=may_pause,
            may_scale=all(right in rolling for right in lacking),
            lacking=tuple(right.words(namespace) for right in lacking),
            pods=pods,
            now=self._clock.now(),
        )

    async def _kept(self, namespace: str, workload: Any, plural: str) -> Any:
        """What keeps its templates, if anything does."""
        if not plural:
            return ()
        where = path("apps/v1", plural, namespace)
        answer = await self._api.get(where, labelSelector=label_selector(workload), **CACHED)
        return owned_by(workload, answer["items"])

    async def _pods(self, namespace: str, workload: Any) -> Any:
        """The pods behind which a StatefulSet may wait; none when we may not list them, which forbids rolling back."""
        if workload["kind"] != "StatefulSet":
            return ()
        try:
            answer = await self._api.get(
                path("v1", "pods", namespace), labelSelector=label_selector(workload), **CACHED
            )
        except ApiError as refused:
            if refused.code == 403:
                return ()
            raise
        return answer["items"]

    async def _autoscalers(self, namespace: str) -> Any:
        """The autoscalers of the namespace; None when we may not list them, which forbids scaling only."""
        try:
            answer = await self._api.get(path("autoscaling/v2", "horizontalpodautoscalers", namespace), **CACHED)
        except ApiError as refused:
            if refused.code == 403:
                return None
            raise
        return answer["items"]

    async def _may(self, namespace: str, right: Right) -> bool:
        """Whether it is granted for every object, or for this one: in a storm that is one question, not one each."""
        if not right.name:
            return await self._is_granted(namespace, right)
        which, now = (namespace, replace(right, name="")), self._clock.monotonic()
        if now >= self._for_some.get(which, now):
            if await self._is_granted(*which):
                return True
            self._for_some[which] = now + _REMEMBERED
        return await self._is_granted(namespace, right)

    async def _is_granted(self, namespace: str, right: Right) -> bool:
        now = self._clock.monotonic()
        if now < self._granted.get((namespace, right), now):
            return True
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right.attributes(namespace)},
        }
        answer = await self._api.create(path("authorization.k8s.io/v1", "selfsubjectaccessreviews"), review)
        allowed = bool(answer["status"]["allowed"])
        if allowed:
            self._granted[namespace, right] = now + _REMEMBERED
        else:
            self._granted.pop((namespace, right), None)
        return allowed


async def _nothing() -> Any:
    return ()


async def _together(*reads: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results of all; a failure of one is raised when all have ended, so that none outlives the view."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
