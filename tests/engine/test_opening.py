"""Is an incident opened once, whoever else opened it, took its name, or resolved it meanwhile?"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.builders import MIN, T0, a_policy, an_incident, the_rules
from tocsin.api.incident import Incident
from tocsin.apiserver import ApiError, ApiServer
from tocsin.engine.opening import incident_name, open_incident
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Pair, Store

PAIR = Pair("models", "fraud", "fraud")


class Server(ApiServer):
    """The incidents of one namespace, as the API server keeps them."""

    def __init__(self, *incidents: Incident) -> None:
        super().__init__(None)
        self.kept: dict[str, dict[str, Any]] = {}
        for incident in incidents:
            self._keep(incident.dump())

    def _keep(self, body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.kept) + 1
        metadata = {"uid": f"uid-{number}", "resourceVersion": str(number), "creationTimestamp": "2026-11-23T09:00:00Z"}
        kept = body | {"metadata": metadata | body["metadata"] | {"resourceVersion": str(number)}}
        self.kept[kept["metadata"]["name"]] = kept
        return kept

    async def call(self, method: str, where: str, body: Any = None, **_: Any) -> Any:
        name = where.rpartition("/")[2]
        if method == "POST":
            if body["metadata"]["name"] in self.kept:
                raise ApiError(409, "AlreadyExists", "it is there")
            return self._keep(body)
        of_the_pair = [one for one in self.kept.values() if one["spec"]["model"] == PAIR.model]
        return {"items": of_the_pair} if name == "incidents" else self.kept[name]


def opened(server: Server, store: Store) -> str:
    """The name of the incident, and empty when whoever asks must decide anew."""
    found = asyncio.run(open_incident(server, store, Telemetry(), PAIR, a_policy(), the_rules()))
    return found.metadata.name if found else ""


def test_opened_twice_it_is_one() -> None:
    server = Server()

    assert opened(server, Store()) == opened(server, Store()) == incident_name(PAIR, "")
    assert len(server.kept) == 1


def test_the_next_is_named_after_the_last_so_that_replicas_agree() -> None:
    server, store = Server(an_incident(resolved_time=T0)), Store()
    for body in server.kept.values():
        store.put("Incident", body)

    assert opened(server, store) == incident_name(PAIR, "incident-uid")


def test_a_name_that_a_person_took_is_left_to_them() -> None:
    taken = an_incident(by="mallory")
    metadata = taken.metadata.model_copy(update={"name": incident_name(PAIR, "")})
    other = taken.spec.model_copy(update={"model": "chat"})
    server = Server(taken.model_copy(update={"metadata": metadata, "spec": other}))

    assert opened(server, Store()) == incident_name(PAIR, "", "1")
    assert len(server.kept) == 2


def test_whoever_did_not_know_that_the_last_was_resolved_meanwhile_opens_nothing_and_decides_anew() -> None:
    """For instance a leader that was paused while another opened it, and a person resolved it."""
    server, store = Server(an_incident(opened_time=T0, resolved_time=T0 + MIN)), Store()

    assert opened(server, store) == ""
    assert len(server.kept) == 1
    assert [one.resolved for one in store.incidents_of(PAIR)] == [True]
