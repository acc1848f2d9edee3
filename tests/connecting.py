"""How does a test talk to the API server as the operator does? By an ApiServer of a given kubeconfig."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_kube_config

from tocsin.apiserver import ApiServer


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[ApiServer]:
    configuration = Configuration()
    load: Any = load_kube_config  # it has no types
    await load(config_file=str(kubeconfig), client_configuration=configuration)
    api = ApiServer(ApiClient(configuration))
    try:
        yield api
    finally:
        await api.close()
