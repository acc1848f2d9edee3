"""``kubectl tocsin message list|show|edit|approve|…``: what each asks of the command line."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tocsin.api.decision import DecisionType
from tocsin.cli.previewing import RELEASE_NAMESPACE

JUDGED = {
    "approve": DecisionType.APPROVE_MESSAGE,
    "reject": DecisionType.REJECT_MESSAGE,
    "release": DecisionType.RELEASE_MESSAGE,
}
"""The commands that decide on the very words that are shown."""
_HELP = {
    "list": "list the messages, and who is waited for",
    "show": "print the exact words of a message, and what became of it",
    "draft": "have a message drafted now, with words that only a person can supply",
    "edit": "change the words of a message, in your editor or from a file; what was approved is void then",
    "approve": "let these very words be released, for a role that was asked",
    "reject": "never let these very words be released",
    "release": "send what was approved, once",
    "authorise": "let messages of a template be released unseen for a while, as far as only certain variables vary",
}


def add(messages: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to their group."""
    parser = _command(messages, "list")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.add_argument("--incident", metavar="incident", help="only those about this incident")
    _named(_command(messages, "show"))
    parser = _command(messages, "draft")
    parser.add_argument("template", help="the MessageTemplate's name, of this namespace or else of the operator's")
    parser.add_argument("--incident", required=True, metavar="incident", help="what it is about")
    parser.add_argument(
        "--value", action="append", default=[], metavar="NAME=TEXT", help="a value of the template; may be repeated"
    )
    _operators(parser)
    parser = _named(_command(messages, "edit"))
    parser.add_argument(
        "-f",
        "--file",
        type=Path,
        help="the texts as YAML: a list of language, subject and body (default: your $EDITOR)",
    )
    for word in JUDGED:
        parser = _named(_command(messages, word))
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask back")
        parser.add_argument("--reason", required=True, help="why; it stays on record")
    parser = _command(messages, "authorise")
    parser.add_argument("template", help="the MessageTemplate's name, of this namespace or else of the operator's")
    parser.add_argument("--for", dest="span", required=True, metavar="DURATION", help="how long, for example 720h")
    parser.add_argument(
        "--varying",
        action="append",
        default=[],
        metavar="VARIABLE",
        help="what may say whatever is true then, for example incident.detectedTime; may be repeated",
    )
    _operators(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask back")
    parser.add_argument("--reason", required=True, help="why; it stays on record")


def _command(messages: argparse._SubParsersAction[argparse.ArgumentParser], word: str) -> argparse.ArgumentParser:
    help_ = _HELP[word]
    parser = messages.add_parser(word, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    parser.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    parser.set_defaults(run=run, word=word)
    return parser


def _operators(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--operator-namespace",
        default=RELEASE_NAMESPACE,
        help="where the ready-made templates are (default: %(default)s)",
    )


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("message", help="its name, with or without msg/ before it")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out against the cluster of the kubeconfig."""
    from tocsin.cli.letters import carry_out

    return asyncio.run(carry_out(arguments))
