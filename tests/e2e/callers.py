"""How do people decide a hundred times in a minute? Each on one connection, with a certificate of their own."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.parse
from typing import Any

from tests.cluster.cluster import Cluster
from tests.e2e.stage import API

GROUP = f"/apis/{API}"


class Caller:
    """Somebody with a certificate; a thousand runs of kubectl would take too long."""

    def __init__(self, cluster: Cluster, user: str, *groups: str) -> None:
        certificate, key = cluster.authority.user(user, groups)
        address = urllib.parse.urlsplit(cluster.server)
        tls = ssl.create_default_context(cafile=cluster.ca)
        tls.load_cert_chain(certificate, key)
        self._line = http.client.HTTPSConnection(str(address.hostname), address.port, timeout=30, context=tls)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request, a PATCH as merge patch; what exists already, or is not there, is None."""
        for _ in range(60):
            try:
                answer, text = self._ask(method, path, body)
            except (http.client.HTTPException, OSError):
                self._line.close()
            else:
                if answer.status not in (403, 429, 503):
                    break
            time.sleep(0.5)  # noqa: TID251 - the API server was restarted: for a second or two it knows no role
        assert answer.status < 400 or answer.status in (404, 409), text
        return json.loads(text) if answer.status < 400 else None

    def _ask(self, method: str, path: str, body: Any) -> tuple[http.client.HTTPResponse, str]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._line.request(method, path, body and json.dumps(body), {"Content-Type": kind})
        answer = self._line.getresponse()
        return answer, answer.read().decode()

    def close(self) -> None:
        self._line.close()

    def decide(self, kind: str, incident: Any) -> None:
        """Once an incident: the Decision is named after it and what it says."""
        namespace, name = incident["metadata"]["namespace"], incident["metadata"]["name"]
        reference = {"name": name, "uid": incident["metadata"]["uid"]}
        body = {
            "apiVersion": API,
            "kind": "Decision",
            "metadata": {"name": f"{name}-{kind.lower()}", "namespace": namespace},
            "spec": {"type": kind, "incidentRef": reference, "reason": "as it goes in every life"},
        }
        self.call("POST", f"{GROUP}/namespaces/{namespace}/decisions", body)
