"""Channels on a real API server: Secrets made as the how-to says, read as the fake is read."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.act.notify.material import FakeApi, a_notify, a_role, a_secret
from tests.clocks import FakeClock
from tests.cluster.access import Access
from tests.connecting import connected
from tocsin.act.notify.address import Apprise, PagerDuty, Webhook, read_address
from tocsin.act.notify.courier import Courier
from tocsin.decide.delivery import Refused
from tocsin.decide.situation import Outcome
from tocsin.settings import ChannelSettings

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "channels.md"


class Real:
    """Secrets of a real namespace, under the same calls as the fake."""

    def __init__(self, cluster: Access, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.kubeconfig = cluster.kubeconfig

    def put(self, name: str, secret: dict[str, Any]) -> None:
        body = {"metadata": {"name": name}, **secret}
        self.cluster.api("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def read(self, name: str) -> Any:
        async def main() -> Any:
            async with connected(self.kubeconfig) as api:
                return await read_address(api, self.namespace, name)

        return asyncio.run(main())


class Fake:
    def __init__(self) -> None:
        self.api = FakeApi()
        self.put = self.api.put

    def read(self, name: str) -> Any:
        return asyncio.run(read_address(self.api, "models", name))


@pytest.fixture
def real(cluster: Access, namespace: str) -> Real:
    return Real(cluster, namespace)


@pytest.fixture(params=["fake", "real"])
def secrets(request: pytest.FixtureRequest) -> Any:
    return Fake() if request.param == "fake" else request.getfixturevalue("real")


def test_secrets_read_the_same_from_the_fake_and_from_the_real_thing(secrets):
    secrets.put("pager", a_secret("PagerDuty", routingKey="R0"))
    secrets.put("opaque", a_secret("Webhook", secret_type="Opaque", url="https://example.org"))
    assert secrets.read("pager") == PagerDuty("R0")
    assert isinstance(secrets.read("opaque"), Refused)
    assert secrets.read("gone") == Refused("Secret gone does not exist: create it with --type=tocsin.dev/channel")


def test_the_commands_of_the_how_to_make_sound_secrets(real: Real):
    blocks = re.findall(r"```sh\n(kubectl create secret .*?)```", HOW_TO.read_text(), re.DOTALL)
    for block in blocks:
        words = shlex.split(block.replace("\\\n", ""))[1:]
        words[words.index("-n") + 1] = real.namespace
        real.cluster.kubectl(*words)
    assert [type(real.read(name)) for name in ("credit-hook", "credit-pager", "credit-chat")] == [
        Webhook,
        PagerDuty,
        Apprise,
    ]


def test_a_role_without_a_right_to_its_secret_is_told_so(real: Real):
    real.put("pager", a_secret("PagerDuty", routingKey="R0"))
    real.kubeconfig = real.cluster.kubeconfig_for("nobody")
    assert real.read("pager") == Refused("Tocsin may not read Secret pager: grant it get on this Secret by a Role")


def test_a_notice_goes_from_a_real_secret_to_a_real_receiver(real: Real):
    url = real.cluster.sink.url(f"/{real.namespace}")
    real.put("hook", a_secret("Webhook", url=url))

    async def main() -> Outcome:
        done: asyncio.Queue[Outcome] = asyncio.Queue()
        async with connected(real.kubeconfig) as api:
            courier = Courier(api, FakeClock(), ChannelSettings(allowed_hosts=("*",)))
            courier.submit(a_notify(namespace=real.namespace), a_role("hook"), lambda _: True, done.put_nowait)
            try:
                return await done.get()
            finally:
                await courier.close(0)

    outcome = asyncio.run(main())
    assert (outcome.result, outcome.message) == ("Done", "accepted by channel hook (200)")
    (got,) = real.cluster.sink.received(f"/{real.namespace}")
    assert got.headers["idempotency-key"] == a_notify().key
