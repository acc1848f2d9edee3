"""What ``plan`` reads from the cluster with the user's own rights: it only looks, and asks what an account may do."""

from __future__ import annotations

from tocsin.api.containment import Target
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.objects import API_VERSION, Metadata
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.cli.files import Mistake
from tocsin.cli.looking import listed, read
from tocsin.clock import Clock
from tocsin.decide.planned import Bearings, Planned, Seen, planned
from tocsin.decide.situation import TargetView
from tocsin.observe.cluster import holds_from
from tocsin.observe.onlooker import Account, Onlooker


async def plan_in(
    api: ApiServer, clock: Clock, namespace: str, which: str | EscalationPolicy, account: Account
) -> Planned:
    """The plan of a policy that is there by that name, or of one that is not applied yet."""
    living: EscalationPolicy | None
    if isinstance(which, EscalationPolicy):
        policy, living = which, await _of_that_name(api, namespace, which.metadata.name)
    else:
        raw = await read(api, "escalationpolicies", namespace, which.rpartition("/")[2], "escalationpolicies")
        policy = living = EscalationPolicy.model_validate(raw)
    looks = Onlooker(api, clock, account)
    rolls = any(option.type == "RollBack" for option in policy.spec.containment)
    seen = {
        model.name: await _seen(looks, namespace, model.target, templates=rolls)
        for model in policy.spec.models
        if model.target
    }
    namespace_hold, one = await _hold(api, namespace)
    cluster_hold, other = await _hold(api, account.namespace)
    decisions = await listed(api, "decisions", namespace, fieldSelector="spec.type=Authorise")
    incidents = await listed(api, "incidents", namespace)
    bearings = Bearings(
        now=clock.now(),
        policy_uid=living.metadata.uid if living else "",
        decisions=tuple(Decision.model_validate(raw) for raw in decisions),
        incidents=tuple(Incident.model_validate(raw) for raw in incidents),
        namespace_hold=namespace_hold,
        cluster_hold=cluster_hold,
        account=account.user,
        unknown=tuple(filter(None, (one, other, *looks.unknown))),
    )
    return planned(policy, seen, bearings)


def placed(policy: EscalationPolicy, namespace: str | None, default: str) -> EscalationPolicy:
    """A policy of a file where kubectl would apply it, without what a cluster may have said of it when it was saved."""
    own = policy.metadata.namespace
    if namespace and own and namespace != own:
        raise Mistake(f"--namespace: is {namespace}, and metadata.namespace of the policy is {own}: leave one out")
    metadata = Metadata(name=policy.metadata.name, namespace=namespace or own or default)
    return policy.model_copy(update={"metadata": metadata, "status": EscalationPolicyStatus()})


async def _of_that_name(api: ApiServer, namespace: str, name: str) -> EscalationPolicy | None:
    """The policy that a file would change; authorisations are bound to it."""
    try:
        return EscalationPolicy.model_validate(await api.get(path(API_VERSION, "escalationpolicies", namespace, name)))
    except ApiError as refused:
        if refused.code in (403, 404):
            return None
        raise


async def _seen(looks: Onlooker, namespace: str, target: Target, *, templates: bool) -> Seen:
    view = await looks.view(namespace, target)
    if templates and isinstance(view, TargetView):
        return Seen(view, await looks.templates(namespace, target))
    return Seen(view)


async def _hold(api: ApiServer, name: str) -> tuple[str, str]:
    """The brake on a namespace, and what could not be told of it."""
    try:
        return holds_from([await api.get(path("v1", "namespaces", name=name))]).get(name, ""), ""
    except ApiError as refused:
        match refused.code:
            case 403:
                how = f"kubectl get namespace {name} --show-labels"
                return "", f"whether namespace {name} is on hold: you may not read it: {how}"
            case 404:
                return "", f"what runs in namespace {name}, which is not there: --operator-namespace names another"
        raise
