"""The one way to the API server: plain dictionaries, a timeout on every call, errors as values to match on."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_config

FIELD_MANAGER = "tocsin"
UNDO_MANAGER = "tocsin-undo"
"""Who owns a number of replicas that was put back: it must not look like one that contains."""
CACHED = {"resourceVersion": "0"}
"""A list at once, out of the API server's cache. A consistent one waits up to 100 ms to hear that nothing has changed
(measured on 1.37). For what a guarded write or another look sets right."""
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
WATCHED = 60
"""Seconds after which the server ends a watch; one that is silent for longer is lost."""


class ApiError(Exception):
    """An answer of the API server that is not a success: its HTTP code, reason and message."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class NoAnswer(Exception):
    """The request may or may not have been carried out: the answer was lost. Read before any retry."""


def path(api_version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The REST path of a resource, for example ``path("apps/v1", "deployments", "models", "fraud", "scale")``."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    parts = [root]
    if namespace:
        parts.append(f"namespaces/{quote(namespace, safe='')}")
    parts.append(plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


async def configured() -> Configuration:
    """Where the API server is and who we are there: by KUBECONFIG, or by the pod's ServiceAccount."""
    configuration = Configuration()
    load: Any = load_config
    await load(client_configuration=configuration)
    return configuration


def proxy_for(server: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a server; None when there is none."""
    parts = urlsplit(server)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _decoded(answer: Any, raw: bytes) -> Any:
    """The body of an answer; an ApiError where that is no success."""
    try:
        data = json.loads(raw)
    except ValueError:
        data = {}
    if answer.status < 400:
        return data
    after = answer.getheader("Retry-After")
    status = data if isinstance(data, dict) else {"message": raw[:200].decode(errors="replace")}
    raise _error(answer.status, status, float(after) if after and after.isdigit() else None)


def _error(code: int, status: Mapping[str, Any], after: float | None = None) -> ApiError:
    return ApiError(code, str(status.get("reason", "")), str(status.get("message", "")), after)


class ApiServer:
    """A client of the Kubernetes API; every call takes at most ``patience`` seconds."""

    def __init__(self, client: Any, patience: float = 10.0) -> None:
        self._client = client
        self._patience = patience

    @classmethod
    async def connect(cls, patience: float = 10.0, server: str | None = None) -> ApiServer:
        """Connect by KUBECONFIG, or by the pod's ServiceAccount; ``server`` overrides the address."""
        configuration = await configured()
        configuration.retries = None  # 0 means for ever: a GET that is answered 500 would never return
        configuration.connection_pool_maxsize = 32
        if server:
            configuration.host = server
        # Left to itself the client reads the environment and ~/.netrc anew for each request, each in a thread: a third
        # of the operator's processor time. The environment is read once; a .netrc has no business at an API server.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or proxy_for(configuration.host)
        return cls(ApiClient(configuration), patience)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def call(
        self,
        method: str,
        where: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Any:
        """One request; returns the decoded answer, raises ApiError or NoAnswer."""
        answer = await self._ask(method, where, body, content_type, params, patience or self._patience)
        try:
            raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise NoAnswer(f"{method} {where}: {type(lost).__name__}: {lost}") from lost
        return _decoded(answer, raw)

    async def watch(self, where: str, version: str, **params: str) -> AsyncGenerator[Mapping[str, Any], None]:
        """The events of a list after a resourceVersion, bookmarks among them, until the server ends the watch.

        Raises ApiError, with the code 410 where that version is too old, and NoAnswer where the connection was lost.
        """
        asked = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCHED)}
        asked |= {"resourceVersion": version, **params}
        answer = await self._ask("GET", where, None, "application/json", asked, WATCHED + self._patience)
        try:
            if answer.status >= 400:
                _decoded(answer, await answer.read())
            async for line in answer.response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(event["object"].get("code", 500), event["object"])
                yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as lost:
            raise NoAnswer(f"watching {where}: {type(lost).__name__}: {lost}") from lost
        finally:
            connection = answer.response.connection
            if connection and connection.transport:  # closed in good order, TLS might outlive the loop by some turns
                connection.transport.abort()
            answer.response.close()

    async def _ask(
        self, method: str, where: str, body: Any, content_type: str, params: Mapping[str, str] | None, patience: float
    ) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], where, method, body)
        url = self._client.configuration.host + where + (f"?{urlencode(params)}" if params else "")
        try:
            return await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=patience
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise NoAnswer(f"{method} {where}: {type(lost).__name__}: {lost}") from lost

    async def get(self, where: str, **params: str) -> Any:
        """GET one object or a list; query parameters as keywords."""
        return await self.call("GET", where, params=params or None)

    async def create(self, where: str, body: Mapping[str, Any]) -> Any:
        """POST an object."""
        return await self.call("POST", where, dict(body), params={"fieldManager": FIELD_MANAGER})

    async def delete(self, where: str, guard: Mapping[str, str], dry_run: bool = False) -> Any:
        """DELETE one object, while it is as the guard says: its ``uid``, its ``resourceVersion``."""
        params = {"dryRun": "All"} if dry_run else {}
        return await self.call("DELETE", where, {"preconditions": dict(guard)}, params=params)

    async def merge(self, where: str, body: Mapping[str, Any], dry_run: bool = False) -> Any:
        """PATCH by JSON merge patch."""
        return await self._patch(where, dict(body), MERGE, dry_run)

    async def json_patch(self, where: str, operations: list[dict[str, Any]], dry_run: bool = False) -> Any:
        """PATCH by JSON Patch."""
        return await self._patch(where, operations, JSON_PATCH, dry_run)

    async def apply(
        self, where: str, body: Mapping[str, Any], dry_run: bool = False, manager: str = FIELD_MANAGER
    ) -> Any:
        """PATCH by server-side apply, forced: what the body holds becomes ours; a resourceVersion in it is a guard."""
        return await self._patch(where, dict(body), APPLY, dry_run, manager)

    async def _patch(
        self, where: str, body: Any, content_type: str, dry_run: bool, manager: str = FIELD_MANAGER
    ) -> Any:
        params = {"fieldManager": manager, **({"dryRun": "All"} if dry_run else {})}
        if content_type == APPLY:
            params["force"] = "true"
        return await self.call("PATCH", where, body, content_type=content_type, params=params)
