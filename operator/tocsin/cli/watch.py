"""``kubectl tocsin watch``: what is open as it changes, or one incident's story until it is resolved."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from tocsin.api.incident import Incident
from tocsin.api.objects import API_VERSION
from tocsin.api.quantities import format_time
from tocsin.cli.files import Mistake
from tocsin.cli.views import overview
from tocsin.clock import Clock, SystemClock

HELP = "follow what is open, or the story of one incident until it is resolved"
Event = Mapping[str, Any]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "watch",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}. On a terminal what is open is drawn anew as it changes; elsewhere "
        "each change is a line. End it with Ctrl-C.",
    )
    parser.add_argument("name", metavar="incident", nargs="?", help="its name; by default all that is open")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="json: an object a line, the events of a watch or the lines of the story",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Watch with the user's own rights."""
    if arguments.all_namespaces and arguments.name:
        raise Mistake(f"-A shows what is open: name a namespace to follow {arguments.name}, with -n")
    return asyncio.run(watch(arguments, Console(highlight=False, markup=False, emoji=False), SystemClock()))


async def watch(arguments: argparse.Namespace, console: Console, clock: Clock) -> int:
    """Follow the incidents of the cluster; 0 when the one that is named is resolved."""
    from tocsin.apiserver import path
    from tocsin.cli.following import follow
    from tocsin.cli.looking import connected, read

    name, as_json = (arguments.name or "").rpartition("/")[2], arguments.output == "json"
    async with connected() as (api, default):
        namespace = "" if arguments.all_namespaces else arguments.namespace or default
        chosen = {}
        if name:
            await read(api, "incidents", namespace, name, "incidents")
            chosen["fieldSelector"] = f"metadata.name={name}"
        events = follow(api, path(API_VERSION, "incidents", namespace), clock, _warn, **chosen)
        if name:
            return await tell(events, console, as_json=as_json)
        if as_json:
            return await dump(events)
        return await (draw if console.is_terminal else lines)(events, console, clock)


def _warn(words: str) -> None:
    print(words, file=sys.stderr)


async def tell(events: AsyncIterator[Event], console: Console, *, as_json: bool) -> int:
    """The lines that are added to one incident's story, until it is resolved."""
    told: int | None = None
    async for kind, incident in _changes(events):
        name, namespace, status = incident.metadata.name, incident.metadata.namespace, incident.status
        if kind == "DELETED":
            raise Mistake(f"incident/{name} was deleted", f"see what is there: kubectl get incidents -n {namespace}")
        if told is None and not as_json:
            _line(console, f"{name}  {_summary(incident)}")
        there = status.timeline_dropped + len(status.timeline)
        fresh = there - told if told is not None else 0
        for entry in status.timeline[max(0, len(status.timeline) - fresh) :] if fresh else ():
            if as_json:
                print(json.dumps(entry.dump(), ensure_ascii=False), flush=True)
            else:
                _line(console, f"{format_time(entry.time)}  {entry.what}")
        told = there
        if incident.resolved:
            return 0
    return 0


async def dump(events: AsyncIterator[Event]) -> int:
    """Every incident that is open, and every change of any, as the events of a watch."""
    async for kind, incident in _changes(events):
        if kind != "ADDED" or not incident.resolved:
            print(json.dumps({"type": kind, "object": incident.dump()}, ensure_ascii=False), flush=True)
    return 0


async def lines(events: AsyncIterator[Event], console: Console, clock: Clock) -> int:
    """A line for every incident that is open, and for every change of what an overview shows of it."""
    shown: dict[str, str] = {}
    async for kind, incident in _changes(events):
        uid, name = incident.metadata.uid, f"{incident.metadata.namespace}/{incident.metadata.name}"
        words = "was deleted" if kind == "DELETED" else _summary(incident)
        if shown.get(uid) != words and (uid in shown or not incident.resolved):
            _line(console, f"{format_time(clock.now().replace(microsecond=0))}  {name}  {words}")
        shown[uid] = words
    return 0


async def draw(events: AsyncIterator[Event], console: Console, clock: Clock) -> int:
    """The overview, drawn anew at every change, and every second for what counts down."""
    known: dict[str, Incident] = {}
    listed = False

    def drawn() -> RenderableType:
        return overview(list(known.values()), clock.now()) if listed else ""

    with Live(console=console, get_renderable=drawn, refresh_per_second=1) as live:
        async for event in events:
            known, listed = _known(known, event), listed or event["type"] == "BOOKMARK"
            if listed:
                live.refresh()
    return 0


def _known(known: Mapping[str, Incident], event: Event) -> dict[str, Incident]:
    """What there is after an event, by UID."""
    if event["type"] == "BOOKMARK":
        return dict(known)
    incident = Incident.model_validate(event["object"])
    others = {uid: one for uid, one in known.items() if uid != incident.metadata.uid}
    return others if event["type"] == "DELETED" else others | {incident.metadata.uid: incident}


async def _changes(events: AsyncIterator[Event]) -> AsyncIterator[tuple[str, Incident]]:
    async for event in events:
        if event["type"] != "BOOKMARK":
            yield event["type"], Incident.model_validate(event["object"])


def _summary(incident: Incident) -> str:
    """What an overview shows of an incident, with instants in place of spans."""
    status = incident.status
    words = f"{status.severity or ''} {status.phase}".strip()
    if incident.resolved:
        return words
    due = f", due {format_time(status.next_deadline_time)}" if status.next_deadline_time else ""
    return f"{words}, waiting for {status.waiting_for or 'nobody'}{due}"


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)
