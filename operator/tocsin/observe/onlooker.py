"""What a person sees of a target that another account would act on, and what that account may do to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tocsin.api.containment import Target
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.clock import Clock
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.observe.targets import Right, Targets

_LISTING = Right("list", "autoscaling", "horizontalpodautoscalers")


@dataclass(frozen=True, slots=True)
class Account:
    """The ServiceAccount that would act."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """By what name the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> list[str]:
        """Where every such account is a member."""
        return ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"]


class Onlooker(Targets):
    """Reads with the rights of a person, and asks for those of an account; of these nothing is concluded from a read.

    What the person may neither read nor ask is taken to be granted, and stands in ``unknown``.
    """

    def __init__(self, api: ApiServer, clock: Clock, account: Account) -> None:
        super().__init__(api, clock)
        self._account = account
        self._unknown: dict[str, None] = {}
        self._allowed: dict[tuple[str, Right], bool] = {}
        """What was asked before: one look is short, and many models need the same rights."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be told, each with how to find it out."""
        return tuple(self._unknown)

    async def view(self, namespace: str, target: Target | None, *, history: bool = True) -> TargetView | NoTarget:
        """The target as it is now, or why the person or the account cannot see it."""
        seen = await super().view(namespace, target, history=history)
        if isinstance(seen, NoTarget):
            return NoTarget("Unreadable", seen.message) if seen.reason == "Forbidden" else seen
        assert target is not None, "without a target nothing is seen"
        kind = WORKLOADS[target.kind]
        getting = Right("get", kind.group, kind.plural, name=target.name)
        for right in (getting, *([Right("list", "apps", kind.keeps)] if kind.keeps else [])):
            if not await self._may(namespace, right):
                return NoTarget("Forbidden", f"Tocsin lacks the right to {right.words(namespace)}")
        if "Scale" not in kind.can or await self._may(namespace, _LISTING):
            return seen
        return replace(seen, may_scale=False, lacking=(*seen.lacking, _LISTING.words(namespace)))

    async def _autoscalers(self, namespace: str) -> Any:
        """The autoscalers; none where the person may not list them, which says nothing of the account."""
        found = await super()._autoscalers(namespace)
        if found is None:
            ask = f"kubectl get horizontalpodautoscalers -n {namespace}"
            self._unknown[f"whether an autoscaler would be pinned: you may not list them: {ask}"] = None
        return found or ()

    async def _may(self, namespace: str, right: Right) -> bool:
        if (namespace, right) not in self._allowed:
            self._allowed[namespace, right] = await self._asked(namespace, right)
        return self._allowed[namespace, right]

    async def _asked(self, namespace: str, right: Right) -> bool:
        """By a review of the namespace alone, which its administrators may ask for too."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": namespace},
            "spec": {
                "user": self._account.user,
                "groups": self._account.groups,
                "resourceAttributes": right.attributes(namespace),
            },
        }
        where = path("authorization.k8s.io/v1", "localsubjectaccessreviews", namespace)
        try:
            answer = await self._api.create(where, review)
        except ApiError as refused:
            if refused.code != 403:
                raise
            self._unknown[f"whether Tocsin may {right.words(namespace)}: {self._how(namespace, right)}"] = None
            return True
        return bool(answer["status"]["allowed"])

    def _how(self, namespace: str, right: Right) -> str:
        """The command with which somebody who may find it out does so."""
        what = f"{right.resource}.{right.group}" if right.group else right.resource
        what += f"/{right.name}" if right.name else ""
        part = f" --subresource={right.subresource}" if right.subresource else ""
        return f"kubectl auth can-i {right.verb} {what}{part} -n {namespace} --as={self._account.user}"
