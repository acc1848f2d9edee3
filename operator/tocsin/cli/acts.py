"""``kubectl tocsin ack|approve|…``: which acts there are, and what each asks of the command line."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

from tocsin.api.decision import DecisionType, Impact, LegalExposure, Materiality
from tocsin.api.incident import Source
from tocsin.api.objects import Severity
from tocsin.cli.noting import add_note_file

SEVERITIES = [severity.value for severity in Severity]


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of Decision as a command."""

    word: str
    type: DecisionType
    help: str
    reasoned: bool = False
    """Whether it needs a reason."""
    field: str = ""
    """The further option that it takes: option, tier, severity, to or question."""
    bound: bool = False
    """Whether it is bound to what exactly an option would do."""
    several: bool = False
    """Whether it takes several incidents at once."""
    all_: bool = False
    """Whether it takes all that wait for it from the user."""
    noted: bool = False
    """Whether a privileged note may go with it."""


ACTS = (
    Act(
        "ack",
        DecisionType.ACKNOWLEDGE,
        "say that you are on it: the paging of your tier ends",
        several=True,
        all_=True,
    ),
    Act(
        "approve",
        DecisionType.APPROVE,
        "let a containment option run, or say that it was right to order it alone",
        reasoned=True,
        field="option",
        bound=True,
    ),
    Act("reject", DecisionType.REJECT, "never run a containment option", reasoned=True, field="option", bound=True),
    Act(
        "break-glass",
        DecisionType.BREAK_GLASS,
        "run a containment option at once, alone; somebody else must approve or reject it within 24 h",
        reasoned=True,
        field="option",
        bound=True,
    ),
    Act(
        "undo",
        DecisionType.UNDO,
        "take a containment back, while it is still there as it was written; automation is on hold from then on",
        reasoned=True,
        field="option",
        bound=True,
    ),
    Act(
        "classify",
        DecisionType.CLASSIFY,
        "say how grave it is besides what the metrics tell",
        reasoned=True,
        noted=True,
    ),
    Act("escalate", DecisionType.ESCALATE, "enter the next tier now, or the one you name", reasoned=True, field="tier"),
    Act("lower", DecisionType.LOWER, "lower the severity", reasoned=True, field="severity"),
    Act("hold", DecisionType.HOLD, "stop automation for this incident; people and deadlines go on", reasoned=True),
    Act("resume", DecisionType.RESUME, "let automation go on"),
    Act(
        "decide",
        DecisionType.DECIDE,
        "answer a question of your tier, for good",
        reasoned=True,
        field="question",
        noted=True,
    ),
    Act("handover", DecisionType.HAND_OVER, "ask another role to take over your tiers", reasoned=True, field="to"),
    Act("accept", DecisionType.ACCEPT, "take over what was handed over to you: you lead from then on", several=True),
    Act(
        "note",
        DecisionType.NOTE,
        "write into the story what you did or saw; it counts as progress",
        reasoned=True,
        several=True,
    ),
    Act(
        "resolve",
        DecisionType.RESOLVE,
        "close the incident, also while a signal still breaches",
        reasoned=True,
        noted=True,
    ),
)
_FIELD_HELP = {
    "option": "which option; by default the one that asks, or to undo the last one that was carried out",
    "tier": "which tier; by default the next one",
    "severity": "to what",
    "question": "which question",
    "to": "the Responder that shall take over",
}


_JUDGED = (
    ("--impact", [one.value for one in Impact], "how hard people or the business are hit"),
    ("--legal-exposure", [one.value for one in LegalExposure], "whether a duty to report or a claim is in sight"),
    ("--materiality", [one.value for one in Materiality], "whether investors or supervisors must know"),
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add a command for every act, for the standing authorisation, and for the attestation of rules."""
    for act in ACTS:
        parser = commands.add_parser(act.word, help=act.help, description=_sentence(act.help))
        _which(parser, act)
        if act.field:
            choices = SEVERITIES if act.field == "severity" else None
            flag = "--to" if act.field == "severity" else f"--{act.field}"
            parser.add_argument(
                flag,
                dest=act.field,
                choices=choices,
                required=act.field in ("severity", "to", "question"),
                help=_FIELD_HELP[act.field],
            )
        match act.type:
            case DecisionType.DECIDE:
                parser.add_argument("--choice", required=True, help="the answer: one of its options")
            case DecisionType.CLASSIFY:
                for flag, choices, help_ in _JUDGED:
                    parser.add_argument(flag, choices=choices, required=True, help=help_)
            case DecisionType.RESOLVE:
                parser.add_argument("--post-mortem", metavar="USER", help="who writes it; required at SEV1 and SEV2")
                parser.add_argument(
                    "--within", default="336h", metavar="DURATION", help="of that (default: %(default)s)"
                )
            case _:
                pass
        if act.bound:
            parser.add_argument("-y", "--yes", action="store_true", help="do not ask back")
        if act.noted:
            add_note_file(parser)
        parser.add_argument("--reason", required=act.reasoned, help="why; it stays on record")
        _namespace(parser)
        parser.set_defaults(run=run, act=act, word=act.word)
    parser = commands.add_parser(
        "report",
        help="open an incident that no metric sees, or join the open one",
        description="Report what no metric sees. It pages as an incident of at least SEV3 does; with --harm as one of "
        "SEV1. When an incident of the model is open already, the report joins it. Nothing is contained without an "
        "approval, and not by you.",
    )
    parser.add_argument("model", help="the model, as a policy of the namespace names it")
    parser.add_argument("--reason", required=True, help="what was seen")
    sources = [source.value.lower() for source in Source]
    parser.add_argument("--source", choices=sources, help="from whom you heard of it")
    parser.add_argument("--harm", help="what harm was done to people, if any")
    parser.add_argument("--policy", help="which policy; needed where several name the model")
    _namespace(parser)
    parser.set_defaults(run=run, act=None, word="report")
    parser = commands.add_parser(
        "authorise",
        help="let an option run by itself for a while",
        description="Give a standing authorisation: the option may run by itself, after its failSafeAfter, until the "
        "authorisation expires. It is bound to the option as the policy has it now; an edit of the option voids it.",
    )
    parser.add_argument("policy", help="the EscalationPolicy's name")
    parser.add_argument("--option", required=True, help="the containment option")
    parser.add_argument("--for", dest="span", required=True, metavar="DURATION", help="how long, for example 720h")
    parser.add_argument("--reason", required=True, help="why; it stays on record")
    _namespace(parser)
    parser.set_defaults(run=run, act=None, word="authorise")
    parser = commands.add_parser(
        "attest",
        help="stand for the rules of a policy, as a member of its second line",
        description="Attest that the rules of a policy are right. They are shown first, each line with its basis. The "
        "attestation is bound to them as they are now: when one is loosened it is void, and the second line is told.",
    )
    parser.add_argument("policy", help="the EscalationPolicy's name, with or without escpol/ before it")
    parser.add_argument("--reason", required=True, help="on what it rests; it stays on record")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask back")
    _namespace(parser)
    parser.set_defaults(run=run, act=None, word="attest")


def _which(parser: argparse.ArgumentParser, act: Act) -> None:
    """Which incidents it is about."""
    few: int | str = "+" if act.several else 1
    names = "their names" if act.several else "its name"
    parser.add_argument(
        "incidents", metavar="incident", nargs="*" if act.all_ else few, help=f"{names}, with or without inc/ before it"
    )
    if act.all_:
        parser.add_argument(
            "--all",
            action="store_true",
            help="every open incident of the namespace in which a tier of yours was entered and waits for it",
        )
        parser.add_argument("-y", "--yes", action="store_true", help="with --all: do not ask back")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _namespace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out against the cluster of the kubeconfig."""
    from tocsin.cli.desk import carry_out

    return asyncio.run(carry_out(arguments))
