"""What Tab offers: commands, options, and names that are in the cluster; by a shell's script, or through kubectl."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from functools import partial
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter, SuppressCompleter
from argcomplete.finders import CompletionFinder
from argcomplete.shell_integration import shellcode

from tocsin.api.objects import API_VERSION
from tocsin.cli.files import Mistake

SHELLS = ("bash", "zsh", "fish")
PATIENCE = 2.0
"""Seconds after which a cluster that does not answer is done without."""
MOST = "500"
"""More names nobody picks from."""
NO_SPACE, NO_FILES = 2, 4
"""Of the directives of cobra, by which kubectl is told what to do with what is offered."""
HELP = "print a script with which a shell completes kubectl-tocsin"

Offer = Mapping[str, str]
"""Each word with what stands beside it."""


class _Silent(CompletionFinder):
    """It writes nothing for debugging: by itself it takes file descriptor 9 for that, whosever it is."""

    def _init_debug_stream(self) -> None:
        pass


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}, for example: source <(kubectl-tocsin completion bash). "
        "'kubectl tocsin' itself is completed wherever kubectl is, since kubectl_complete-tocsin is installed beside "
        "this: see kubectl completion --help.",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(shellcode(["kubectl-tocsin"], shell=arguments.shell, complete_arguments=["-o", "nospace"]))
    return 0


def offer(top: argparse.ArgumentParser) -> None:
    """Where a shell's script asks, answer it and end; else do nothing."""
    if "_ARGCOMPLETE" in os.environ:
        argcomplete.autocomplete(top, **_manner(top))


def for_kubectl(words: Sequence[str] | None = None) -> int:
    """``kubectl_complete-tocsin``: offer what kubectl asks for, a word a line, and a directive on the last."""
    from tocsin.cli.main import parser

    *before, begun = sys.argv[1:] if words is None else words
    line = f"{shlex.join(['kubectl-tocsin', *before])} {shlex.quote(begun) if begun else ''}"
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    os.environ |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_DFS": "\t", "_ARGCOMPLETE_SHELL": "fish"}
    found, top = io.StringIO(), parser()
    with redirect_stderr(io.StringIO()):
        _Silent()(top, exit_method=lambda _: None, output_stream=found, append_space=False, **_manner(top))
    words = found.getvalue().splitlines()
    folders = any(word.partition("\t")[0].endswith("/") for word in words)
    print("\n".join([*words, f":{NO_FILES | NO_SPACE if folders else NO_FILES}"]))
    return 0


def _manner(top: argparse.ArgumentParser) -> dict[str, Any]:
    """Options only where one is begun, files only where a file is read, and names out of the cluster."""
    for parser, action in _arguments(top):
        completer = FilesCompleter() if action.type is Path else _names_for(parser, action)
        if completer:
            action.completer = completer  # type: ignore[attr-defined]  # how argcomplete is told
    return {"always_complete_options": False, "default_completer": SuppressCompleter()}


def _arguments(top: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, argparse.Action]]:
    """Every argument of every command, and of the commands of a command."""
    for commands in top._actions:  # noqa: SLF001 - there is no public way to the arguments of a parser
        for parser in commands.choices.values() if isinstance(commands.choices, dict) else ():
            for action in parser._actions:  # noqa: SLF001 - as above
                yield parser, action
            yield from _arguments(parser)  # a group has commands of its own
            yield from _arguments(parser)
            yield from _arguments(parser)


def _names_for(parser: argparse.ArgumentParser, action: argparse.Action) -> Callable[..., Offer] | None:
    """What offers the names that an argument may be, if they are in the cluster."""
    if action.choices:
        return None
    match action.metavar or action.dest:
        case "incident":
            looks = parser.get_default("act") is None  # what goes on after the end is among these, as clocks do
            return _offering("incidents", partial(_incident, resolved=looks))
        case "policy":
            return _offering("escalationpolicies", _named)
        case "model" if not action.option_strings:
            return _offering("escalationpolicies", _models)
        case "message":
            return _offering("messages", _message)
        case "template":
            return _offering("messagetemplates", _named)
        case "responder" | "to":
            return _offering("responders", _named)
        case "silence":
            return _offering("silences", _named)
        case "namespace":
            return _offering("namespaces", _named)
    return None


def _offering(plural: str, words: Callable[[Any], Offer]) -> Callable[..., Offer]:
    def offering(*, parsed_args: argparse.Namespace, **_: Any) -> Offer:
        """With the user's rights; where there is no cluster, nothing."""
        found: dict[str, str] = {}
        for raw in asyncio.run(_listed(plural, getattr(parsed_args, "namespace", None))):
            found |= words(raw)
        return found

    return offering


async def _listed(plural: str, namespace: str | None) -> list[Any]:
    from tocsin.apiserver import path
    from tocsin.cli.looking import connected

    with suppress(Mistake, TimeoutError):
        async with asyncio.timeout(PATIENCE), connected() as (api, default):
            where = path(API_VERSION, plural, namespace or default)
            return list((await api.get("/api/v1/namespaces" if plural == "namespaces" else where, limit=MOST))["items"])
    return []


def _named(raw: Any) -> Offer:
    return {raw["metadata"]["name"]: ""}


def _message(raw: Any) -> Offer:
    return {raw["metadata"]["name"]: f"{raw['spec']['audience']} {raw.get('status', {}).get('state', '')}".strip()}


def _incident(raw: Any, *, resolved: bool) -> Offer:
    status = raw.get("status", {})
    if "resolvedTime" in status and not resolved:
        return {}
    return {raw["metadata"]["name"]: f"{status.get('severity', '')} {status.get('phase', '')}".strip()}


def _models(raw: Any) -> Offer:
    return {model["name"]: f"policy {raw['metadata']['name']}" for model in raw["spec"]["models"]}
