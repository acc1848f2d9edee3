"""``kubectl tocsin plan``: what each option of a policy would write now, shown before anybody has to trust it."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel
from rich.console import Console

from tocsin.api.quantities import format_duration, format_time
from tocsin.cli.files import load_policy
from tocsin.cli.previewing import RELEASE_NAMESPACE
from tocsin.decide.planned import Change, Planned, PlannedModel, PlannedOption

HELP = "show what each option of a policy would write now, on whose word, and how it is undone; nothing is touched"
CONTEXT = 3
"""So many lines around a change does a diff show, as kubectl's."""
CLASSES = {"A": "safe", "B": "reversible and wide", "C": "stops service", "D": "alters data"}
"""By autonomy class: how far an option reaches."""
STYLES = {"+": "green", "-": "red", "@": "cyan"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}. Exit code 1 when an option would be refused, or could not be told.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="policy", nargs="?", help="a policy of the cluster")
    which.add_argument("-f", "--file", type=Path, metavar="FILE", help="one that is not applied yet; - for stdin")
    parser.add_argument(
        "-n", "--namespace", help="default: the one that the file names, else that of the kubeconfig's context"
    )
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="for programs")
    parser.add_argument(
        "--operator-namespace",
        default=RELEASE_NAMESPACE,
        help=f"where the operator runs; default: {RELEASE_NAMESPACE}",
    )
    parser.add_argument("--service-account", default="tocsin", help="by which the operator acts there; default: tocsin")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; 1 when an option would be refused."""
    found = asyncio.run(_look(arguments))
    show(arguments.output, found)
    return 0 if found.feasible else 1


def show(output: str, found: Planned) -> None:
    """Print it for people or for programs; colours only on a terminal, and no markup in what was read."""
    match output:
        case "json":
            print(json.dumps(plain(found), indent=2, ensure_ascii=False))
        case "yaml":
            print(yaml.safe_dump(plain(found), sort_keys=False, allow_unicode=True), end="")
        case _:
            console = Console(highlight=False, markup=False, emoji=False)
            for line, style in lines_of(found):
                console.print(line, style=style, soft_wrap=True)


def plain(value: Any) -> Any:
    """The plan as programs get it: camelCase, spans and times as the API writes them, without what is absent."""
    match value:
        case timedelta():
            return format_duration(value)
        case datetime():
            return format_time(value)
        case Mapping():
            return {name: plain(one) for name, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
    if is_dataclass(value):
        named = ((to_camel(one.name.rstrip("_")), getattr(value, one.name)) for one in fields(value))
        return {name: plain(one) for name, one in named if one not in (None, "", (), {})}
    return value


Line = tuple[str, str | None]
"""What is printed, and in which style."""


def lines_of(found: Planned) -> Iterator[Line]:
    """The plan as people read it."""
    yield f"policy {found.policy} in namespace {found.namespace}, mode {found.mode}", "bold"
    yield f"  rights are those of {found.account}", None
    yield from ((f"  {brake}", "yellow") for brake in found.brakes)
    if found.unknown:
        yield "  could not be told:", "yellow"
        yield from ((f"    {one}", "yellow") for one in found.unknown)
    for model in found.models:
        yield "", None
        yield from _model(model)


def _model(model: PlannedModel) -> Iterator[Line]:
    yield f"model {model.name}: {model.target or 'no target'}{f', {model.now}' if model.now else ''}", "bold"
    yield from ((f"  {owner}", None) for owner in model.owners)
    if model.incident:
        yield f"  {model.incident}", "yellow"
    if not model.options:
        yield (
            f"  it is watched, and never contained: the policy names no {'option' if model.target else 'target'}",
            None,
        )
    for place, option in enumerate(model.options):
        following = model.options[place + 1].name if place + 1 < len(model.options) else ""
        yield "", None
        yield from _option(place + 1, option, following)


def _option(place: int, option: PlannedOption, following: str) -> Iterator[Line]:
    yield f"  {place}. {option.name}: {option.type}, class {option.class_} ({CLASSES[option.class_]})", "bold"
    yield from ((f"     {line}", None) for line in option.felt)
    if option.reason:
        verb = "cannot be told" if option.reason == "Unreadable" else "would be refused"
        yield f"     {verb}: {option.reason}: {option.message}", "red"
        yield f"     next: {option.then}", None
    else:
        yield f"     would {option.summary}", None
    if option.healthy is not None:
        yield f"     revision {option.revision} is {'' if option.healthy else 'not '}marked healthy", None
    yield from ((f"     {line}", None) for line in _words(option, following))
    yield from ((f"     note: {note}", None) for note in option.notes)
    for change in option.changes:
        yield from ((f"     {line}", STYLES.get(line[:1])) for line in diff_of(change))


def _words(option: PlannedOption, following: str) -> Iterator[str]:
    """Whose word it needs, by what it is judged, and how it is undone."""
    yield f"approvals: {approvals_in_words(option.approvals)}; at least 1 where a person reported it"
    yield f"undecided: {_undecided(option)}"
    after = f"else {following} is tried" if following else "else nothing further is tried"
    within = format_duration(option.verify_within)
    well = f"each signal that breached is well again ({', '.join(option.helped)})"
    yield f"it has helped when {well}, by values from after it, within {within}; {after}"
    if option.undo:
        yield f"undo: kubectl tocsin undo would {option.undo}"
        yield f"undo by hand: {option.by_hand}"


def approvals_in_words(needed: Mapping[str, int]) -> str:
    """How many must approve at which severities: ``2 at SEV1 and SEV2, none at SEV3 and SEV4``."""
    by_number: dict[int, list[str]] = {}
    for severity, number in needed.items():
        by_number.setdefault(number, []).append(severity)
    if len(by_number) == 1:
        return f"{next(iter(by_number)) or 'none'} at every severity"
    return ", ".join(f"{number or 'none'} at {_and(severities)}" for number, severities in by_number.items())


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _undecided(option: PlannedOption) -> str:
    """What becomes of it when it asks, and nobody decides."""
    ends = f"; it stops asking after {format_duration(option.expire_after)}" if option.expire_after else ""
    if option.authorised_by is None or option.authorised_until is None:
        return f"it waits, for no standing authorisation holds{ends}"
    wait = f"after {format_duration(option.fail_safe_after)}" if option.fail_safe_after else "at once"
    until = format_time(option.authorised_until)
    return f"it runs {wait}, under the authorisation of {option.authorised_by} that ends {until}{ends}"


def diff_of(change: Change) -> Iterator[str]:
    """The change as a unified diff of YAML."""
    before, after = (_yaml(one) for one in (change.before, change.after))
    names = f"{change.object} now", f"{change.object} then"
    yield from (line.rstrip("\n") for line in unified_diff(before, after, *names, n=CONTEXT))


def _yaml(value: Mapping[str, Any]) -> list[str]:
    text: str = yaml.safe_dump(dict(value), sort_keys=True, allow_unicode=True, width=1000)
    return text.splitlines(keepends=True)


async def _look(arguments: argparse.Namespace) -> Planned:
    from tocsin.cli.looking import connected
    from tocsin.cli.surveying import placed, plan_in
    from tocsin.clock import SystemClock
    from tocsin.observe.onlooker import Account

    given = load_policy(arguments.file)[0] if arguments.file else None
    account = Account(arguments.operator_namespace, arguments.service_account)
    async with connected() as (api, default):
        if given is None:
            namespace = arguments.namespace or default
            return await plan_in(api, SystemClock(), namespace, arguments.name, account)
        policy = placed(given, arguments.namespace, default)
        return await plan_in(api, SystemClock(), policy.metadata.namespace, policy, account)
