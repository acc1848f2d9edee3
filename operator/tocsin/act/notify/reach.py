"""Which hosts a message may be sent to: the address that was checked is the address that is connected to."""

from __future__ import annotations

import asyncio
import mimetypes
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from tocsin.settings import ChannelSettings

_NAT64 = IPv6Network("64:ff9b::/96")


class OutOfReach(PermissionError):
    """The administrator has not allowed this host; an OSError, as every network library expects of a failed connect."""


class Reach:
    """Who may be reached, by the administrator's settings."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings

    def named(self, host: str, port: int) -> bool:
        """Whether the administrator named this host: then it may be inside the cluster, and spoken to by plain http."""
        name = host.lower().rstrip(".")
        return any(
            fnmatchcase(name, pattern.lower()) or fnmatchcase(f"{name}:{port}", pattern.lower())
            for pattern in self._settings.allowed_hosts
        )

    def admits(self, host: str, port: int, address: str) -> bool:
        """Whether this address may be connected to for that host."""
        return self.named(host, port) or (self._settings.public_hosts and is_public(address))


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also when it wraps an IPv4 address: mapped, 6to4 or NAT64."""
    try:
        ip = ip_address(address.split("%")[0])
    except ValueError:
        return False
    inner = _inner(ip) if isinstance(ip, IPv6Address) else ip
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(ip: IPv6Address) -> IPv4Address | IPv6Address:
    if ip in _NAT64:
        return IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or ip


class Resolver(AbstractResolver):
    """Resolves once for one connection and leaves out every address that is not admitted."""

    def __init__(self, reach: Reach, threads: Executor) -> None:
        self._reach = reach
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The admitted addresses; OutOfReach when there are some, but none admitted."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        admitted = [
            ResolveResult(hostname=host, host=str(where[0]), port=port, family=kind, proto=proto,
                          flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
            for kind, _, proto, _, where in found
            if self._reach.admits(host, port, str(where[0]))
        ]  # fmt: skip
        if not admitted:
            raise OutOfReach("none of its addresses is allowed")
        return admitted

    async def close(self) -> None:
        """Nothing to close: the threads belong to whoever made them."""


class Fence:
    """What the senders of others did inside one fence."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._host = ""
        self.refused = ""
        """What was refused, in words; empty when nothing was."""

    def check(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse a connection to an address that is not admitted, and any file but code of Python and its packages."""
        match event, args:
            case "socket.getaddrinfo", (host, *_):
                self._host = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
            case (("socket.connect" | "socket.sendto"), (_, (str(address), int(port), *_))):
                if not self._reach.admits(self._host or address, port, address):
                    self._refuse("its host is not allowed: ask the administrator to add it to channels.allowedHosts")
            case (("socket.connect" | "socket.sendto"), _):
                self._refuse("it is no address on a network")
            case "open", (str() | bytes() as name, *_) if not _is_harmless(name):
                self._refuse("its URL names a file, and files are never read for a message: remove it from the URL")

    def _refuse(self, words: str) -> None:
        self.refused = words
        raise OutOfReach(words)


_CURRENT: ContextVar[Fence | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(reach: Reach) -> Iterator[Fence]:
    """Within it, in this thread, nothing connects out of reach and nothing reads files, whichever library tries.

    An audit hook of the interpreter sees the very address that is connected to, so a name cannot change its meaning
    between check and use. It fences in trusted code with hostile addresses, not hostile code.
    """
    _install()
    fence = Fence(reach)
    token = _CURRENT.set(fence)
    try:
        yield fence
    finally:
        _CURRENT.reset(token)


@cache
def _install() -> None:
    """Hooks cannot be removed: one for the process, which does nothing outside a fence."""
    current: Callable[[], Fence | None] = _CURRENT.get

    def hook(event: str, args: tuple[Any, ...]) -> None:
        fence = current()
        if fence is not None:
            fence.check(event, args)

    sys.addaudithook(hook)


@cache
def _code_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*(f"{Path(folder).resolve()}/" for folder in paths), "/usr/share/zoneinfo/")


def _is_harmless(name: str | bytes) -> bool:
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    return text in mimetypes.knownfiles or str(Path(text).resolve()).startswith(_code_folders())
