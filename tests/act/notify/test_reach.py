"""Which hosts may be reached, and that nothing gets out of the fence."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tocsin.act.notify.reach import OutOfReach, Reach, Resolver, fenced, is_public
from tocsin.settings import ChannelSettings


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::8.8.8.8", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::169.254.169.254", False),
        ("2002:7f00:1::", False),
        ("not an address", False),
    ],
)
def test_is_public(address, public):
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("allowed", "host", "port", "named"),
    [
        pytest.param(("sink.tools.svc",), "sink.tools.svc", 8080, True, id="a host on any port"),
        pytest.param(("sink.tools.svc:80",), "sink.tools.svc", 8080, False, id="a host on another port"),
        pytest.param(("*.tools.svc:8080",), "Sink.tools.SVC", 8080, True, id="a pattern, in any case"),
        pytest.param(("*.tools.svc",), "sink.tools.svc.", 80, True, id="a name with a dot at its end"),
        pytest.param(("*.tools.svc",), "tools.svc.example.org", 80, False, id="a name that only begins alike"),
        pytest.param((), "sink.tools.svc", 80, False, id="nothing is allowed by default"),
    ],
)
def test_named(allowed, host, port, named):
    assert Reach(ChannelSettings(allowed_hosts=allowed)).named(host, port) is named


def resolve(settings: ChannelSettings, host: str, port: int = 443) -> list[str]:
    async def main() -> list[str]:
        with ThreadPoolExecutor(1) as threads:
            return [one["host"] for one in await Resolver(Reach(settings), threads).resolve(host, port)]

    return asyncio.run(main())


def test_a_name_of_this_host_resolves_only_where_it_is_allowed():
    assert set(resolve(ChannelSettings(allowed_hosts=("localhost:443",)), "localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(OutOfReach):
        resolve(ChannelSettings(), "localhost")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def connect(port: int, host: str = "localhost") -> None:
    socket.create_connection((host, port), timeout=1).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f000001"])
def test_a_library_inside_the_fence_does_not_connect_to_this_host(listener, host):
    with fenced(Reach(ChannelSettings())) as fence, pytest.raises(OutOfReach):
        connect(listener, host)
    assert fence.refused == "its host is not allowed: ask the administrator to add it to channels.allowedHosts"


def test_urllib_inside_the_fence_fails_as_on_any_network_error(listener):
    with fenced(Reach(ChannelSettings())), pytest.raises(OSError):
        urllib.request.urlopen(f"http://localhost:{listener}/", timeout=1)


def test_a_library_inside_the_fence_reaches_what_is_allowed(listener):
    with fenced(Reach(ChannelSettings(allowed_hosts=(f"localhost:{listener}",)))) as fence:
        connect(listener)
    assert fence.refused == ""


def test_a_local_socket_is_out_of_reach(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with fenced(Reach(ChannelSettings(allowed_hosts=("*",)))), pytest.raises(OutOfReach):
            client.connect(str(tmp_path / "s"))


def test_a_file_is_not_read_inside_the_fence_but_code_is(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("s3cr3t")
    with fenced(Reach(ChannelSettings())):
        with pytest.raises(OutOfReach):
            secret.read_text()
        assert Path(socket.__file__).read_text()


def test_the_fence_stands_only_in_its_own_thread_and_only_while_it_is_up(listener):
    with fenced(Reach(ChannelSettings())), ThreadPoolExecutor(1) as threads:
        threads.submit(connect, listener).result()
    connect(listener)
