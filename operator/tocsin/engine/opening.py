"""How an incident is opened once, whoever else tries: by two replicas, or by a tenant who takes its name."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from tocsin.api.incident import Incident, Origin
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy, Rules
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Pair, Store, pair_of

SALTS = 5
"""So many names can be foreseen, by a tenant as by the other replica."""


async def open_incident(
    api: ApiServer, store: Store, telemetry: Telemetry, pair: Pair, policy: EscalationPolicy, rules: Rules
) -> Incident | None:
    """Create the pair's incident under a name that follows from what was before, or find that it is there.

    None when the API server knows an incident of the pair that the store did not: whoever asked was behind, for
    instance paused while another replica opened it and a person resolved it, and must decide anew.

    Whoever may report can take every name that can be foreseen. The last one tried cannot be: opened twice under such
    names, one incident would join the other. Raises ApiError and NoAnswer.
    """
    where = path(API_VERSION, "incidents", pair.namespace)
    listed = await api.get(where, fieldSelector=f"spec.policyRef.name={pair.policy},spec.model={pair.model}")
    behind = [item for item in listed["items"] if store.put("Incident", item)]
    uids = {item["metadata"]["uid"] for item in listed["items"]}
    before = [one for one in store.incidents_of(pair) if one.metadata.uid in uids]
    if before and not before[-1].resolved:
        return before[-1]
    if behind:
        return None
    previous = before[-1].metadata.uid if before else ""
    reference = {"name": pair.policy, "uid": policy.metadata.uid, "generation": policy.metadata.generation}
    spec = {"origin": "Signal", "policyRef": reference, "model": pair.model, "rules": rules.dump()}
    if previous:
        spec["previous"] = previous
    for salt in (*map(str, range(SALTS)), secrets.token_hex(8)):
        metadata = {"name": incident_name(pair, previous, salt), "namespace": pair.namespace}
        body = {"apiVersion": API_VERSION, "kind": "Incident", "metadata": metadata, "spec": spec}
        raw = await _created(api, telemetry, where, body)
        made = Incident.model_validate(raw)
        if made.spec.origin is Origin.SIGNAL and pair_of(made) == pair and made.spec.previous == (previous or None):
            store.put("Incident", raw)
            return made
    raise ApiError(409, "AlreadyExists", f"every name for an incident of {pair.model} is taken")


async def _created(api: ApiServer, telemetry: Telemetry, where: str, body: dict[str, Any]) -> Any:
    """What stands under the name: made now, or by whoever came first."""
    try:
        raw = await api.create(where, body)
    except ApiError as refused:
        if refused.code != 409:
            telemetry.wrote("incident", "refused")
            raise
        raw = await api.get(f"{where}/{body['metadata']['name']}")
    telemetry.wrote("incident", "accepted")
    return raw


def incident_name(pair: Pair, previous: str, salt: str = "0") -> str:
    """A name that two replicas, or one twice, come to alike: from the pair and the UID of its previous incident."""
    text = "\n".join([*pair, previous, salt])
    return f"{pair.model[:50].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
