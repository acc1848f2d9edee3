"""Objects as they change: listed once, watched from there on, and listed anew where the watch was lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from tocsin.apiserver import ApiError, ApiServer, NoAnswer
from tocsin.cli.looking import everything
from tocsin.clock import Clock

PAUSE = 2.0
"""Seconds before a lost watch is taken up again."""
SHORT = 1.0
"""A watch that the server ends within so many seconds was not served."""
Event = Mapping[str, Any]
"""As the API gives it: a type, ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""


async def follow(
    api: ApiServer, where: str, clock: Clock, warn: Callable[[str], None], **params: str
) -> AsyncGenerator[Event, None]:
    """Every object of a list, a bookmark, then every change, for ever; nothing is told twice.

    What changed while the watch was lost is told after it, and a bookmark follows again. A refusal is raised, and a
    failure of the very first list; what is lost later is said and tried again.
    """
    known: dict[str, Any] = {}
    begun = lost = False
    while True:
        try:
            items, version = await everything(api, where, **params)
            if lost:
                warn("the API server answers again")
            begun, lost = True, False
            for event in tuple(_missed(known, items)):
                _note(known, event)
                yield event
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
            async with aclosing(_watched(api, where, version, clock, **params)) as events:
                async for event in events:
                    _note(known, event)
                    yield event
        except (ApiError, NoAnswer) as bad:
            if not begun or _refused(bad):
                raise
            if not lost and not _outdated(bad):
                warn(f"the watch was lost, and is tried again every {PAUSE:g} s: {bad}")
                lost = True
        await clock.sleep(PAUSE)


async def _watched(
    api: ApiServer, where: str, version: str, clock: Clock, **params: str
) -> AsyncGenerator[Event, None]:
    """Every change after a version; a watch that the server ends in good order is followed by the next."""
    while True:
        began = clock.monotonic()
        async with aclosing(api.watch(where, version, **params)) as events:
            async for event in events:
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event
        if clock.monotonic() - began < SHORT:
            raise NoAnswer(f"watching {where}: the server ended it at once")


def _refused(bad: ApiError | NoAnswer) -> bool:
    """Whether it would be refused again."""
    return isinstance(bad, ApiError) and bad.code < 500 and bad.code != 429 and not _outdated(bad)


def _outdated(bad: ApiError | NoAnswer) -> bool:
    """Whether only the version was too old to watch from."""
    return isinstance(bad, ApiError) and bad.code == 410


def _note(known: dict[str, Any], event: Event) -> None:
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event["object"]


def _missed(known: Mapping[str, Any], items: Sequence[Any]) -> Iterator[Event]:
    """What a list shows that was not told yet."""
    found = {one["metadata"]["uid"]: one for one in items}
    for uid, gone in known.items():
        if uid not in found:
            yield {"type": "DELETED", "object": gone}
    for uid, one in found.items():
        if uid not in known:
            yield {"type": "ADDED", "object": one}
        elif one["metadata"]["resourceVersion"] != known[uid]["metadata"]["resourceVersion"]:
            yield {"type": "MODIFIED", "object": one}
