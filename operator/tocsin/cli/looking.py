"""What the commands that look read from the cluster, with the user's own rights."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from kubernetes.aio.config import ConfigException, list_kube_config_contexts

from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.cli.files import Mistake
from tocsin.cli.unguarded import MODEL_LABEL, Unguarded, unguarded


async def look(word: str, name: str | None, namespace: str | None) -> tuple[Any, dict[str, Responder]]:
    """What a command is about, and the Responders beside it; the namespace is "" for all, None for the context's."""
    async with connected() as (api, default):
        where = default if namespace is None else namespace
        if word == "status":
            incidents = [Incident.model_validate(one) for one in await listed(api, "incidents", where)]
            return [*incidents, *await _silences(api, where)], {}
        if word == "coverage":
            policies = [EscalationPolicy.model_validate(one) for one in await listed(api, "escalationpolicies", where)]
            return [*await _unguarded(api, where, policies), *policies, *await _removed(api, where, policies)], {}
        responders = [Responder.model_validate(one) for one in await listed(api, "responders", where)]
        roster = {one.metadata.name: one for one in responders}
        if word != "oncall":
            incident = await read(api, "incidents", where, (name or "").rpartition("/")[2], "incidents")
            return Incident.model_validate(incident), roster
        chosen = [one for one in responders if name in (None, one.metadata.name)]
        if name and not chosen:
            there = ", ".join(roster) or "none"
            raise Mistake(
                f"there is no responder {name} in namespace {where}; there are: {there}",
                f"see who is on duty: kubectl tocsin oncall -n {where}",
            )
        return chosen, roster


async def _silences(api: ApiServer, namespace: str) -> list[Silence]:
    """The Silences; a word when they may not be listed."""
    try:
        found, _ = await everything(api, path(API_VERSION, "silences", namespace))
    except ApiError as refused:
        print(f"what is silenced is not listed: {refused.message}", file=sys.stderr)
        return []
    return [Silence.model_validate(one) for one in found]


async def _unguarded(api: ApiServer, namespace: str, policies: Sequence[EscalationPolicy]) -> list[Unguarded]:
    """The workloads that say that they are a model, and that no policy guards; a word when they may not be listed."""
    bare = []
    for kind, workload in WORKLOADS.items():
        try:
            found, _ = await everything(
                api, path(workload.api_version, workload.plural, namespace), labelSelector=MODEL_LABEL
            )
        except ApiError as refused:
            print(f"{kind}s without a policy are not listed: {refused.message}", file=sys.stderr)
        else:
            bare += unguarded(kind, found, policies)
    return bare


async def _removed(api: ApiServer, namespace: str, policies: Sequence[EscalationPolicy]) -> list[Decision]:
    """By their attestations the policies that are there no more; a word when Decisions may not be listed."""
    try:
        found, _ = await everything(api, path(API_VERSION, "decisions", namespace), fieldSelector="spec.type=Attest")
    except ApiError as refused:
        print(f"attested policies that were removed are not listed: {refused.message}", file=sys.stderr)
        return []
    return removed(policies, [Decision.model_validate(one) for one in found])


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[ApiServer, str]]:
    """The API server as the user of the kubeconfig, and the namespace of its context; a Mistake says what is wrong."""
    try:
        default = current_namespace()
        api = await ApiServer.connect()
    except (ConfigException, OSError) as bad:
        raise Mistake(
            f"no cluster to talk to: {bad}", "check KUBECONFIG, then: kubectl config current-context"
        ) from bad
    try:
        yield api, default
    except NoAnswer as lost:
        read = str(lost).startswith("GET ")
        then = (
            "see whether it is there: kubectl cluster-info"
            if read
            else "it may have been done: look before you try again"
        )
        raise Mistake(f"the API server did not answer: {lost}", then) from lost
    except ApiError as refused:
        raise Mistake(
            f"the API server refused: {refused.message}", "see what you may do: kubectl auth can-i --list"
        ) from refused
    finally:
        await api.close()


def current_namespace() -> str:
    """The namespace of the kubeconfig's context."""
    contexts: Any = list_kube_config_contexts
    _, active = contexts()
    return str(active["context"].get("namespace") or "default")


async def read(api: ApiServer, plural: str, namespace: str, name: str, words: str) -> Any:
    """One object; a Mistake names the command that shows which there are."""
    try:
        return await api.get(path(API_VERSION, plural, namespace, name))
    except ApiError as refused:
        if refused.code == 404:
            raise Mistake(
                f"there is no {plural}/{name} in namespace {namespace}", f"see: kubectl get {words} -n {namespace}"
            ) from refused
        raise Mistake(f"{plural}/{name}: {refused.message}", _then(refused, "get", plural, namespace)) from refused


def removed(policies: Sequence[EscalationPolicy], attests: Iterable[Decision]) -> list[Decision]:
    """The last attestation of each policy that is there no more."""
    there = {one.metadata.uid for one in policies}
    gone = [one for one in attests if one.spec.policy_ref and one.spec.policy_ref.uid not in there]
    last = {one.spec.policy_ref.uid: one for one in sorted(gone, key=_age) if one.spec.policy_ref}
    return list(last.values())


def _age(decision: Decision) -> tuple[str, str]:
    created = decision.metadata.creation_timestamp
    return created.isoformat() if created else "", decision.metadata.name


async def listed(
    api: ApiServer, plural: str, namespace: str, api_version: str = API_VERSION, **params: str
) -> list[Any]:
    """All objects of a kind, in a namespace or, without one, in all."""
    try:
        return (await everything(api, path(api_version, plural, namespace), **params))[0]
    except ApiError as refused:
        raise Mistake(f"{plural}: {refused.message}", _then(refused, "list", plural, namespace)) from refused


def _then(refused: ApiError, verb: str, plural: str, namespace: str) -> str:
    """The next command after a refusal."""
    match refused.code:
        case 403:
            where = f"-n {namespace}" if namespace else "-A"
            return f"see whether you may: kubectl auth can-i {verb} {plural} {where}"
        case 404:
            return f"see whether Tocsin is installed: kubectl get crd {plural}.tocsin.dev"
        case _:
            return "try again in a moment, or see how it is: kubectl get --raw /readyz"


async def everything(api: ApiServer, where: str, **params: str) -> tuple[list[Any], str]:
    """All objects of a list, page by page, and the resourceVersion at which they were so."""
    items: list[Any] = []
    token: str | None = None
    version = ""
    while token != "":
        more: dict[str, str] = {"continue": token} if token else {}
        page = await api.get(where, limit="500", **more, **params)
        items += page["items"]
        token, version = page["metadata"].get("continue", ""), page["metadata"]["resourceVersion"]
    return items, version
