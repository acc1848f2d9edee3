"""``kubectl tocsin lint FILE…``: everything that can be known to be wrong with files, without a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.api.policy import EscalationPolicy
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplate
from tocsin.cli.exposed import load_exposed, unfit
from tocsin.cli.files import Mistake, load_all
from tocsin.clock import SystemClock
from tocsin.decide.accepting import clock_problems
from tocsin.decide.freezes import freezes_over
from tocsin.decide.rendering import problems as unrenderable
from tocsin.decide.roster import cycle, faults, holes
from tocsin.decide.staffing import untold
from tocsin.decide.worst import unreachable_tiers

HELP = "check policies, Responders, message templates and Silences in files, all together, without a cluster"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "lint",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}: what the API server would refuse, tiers that nothing enters, roles "
        "that are not there or cannot be told, rosters with circles and holes, texts that could not be rendered, "
        "freezes that are over. Other kinds are passed over.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="YAML, with as many documents as you like")
    parser.add_argument(
        "--metrics",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what the models expose, by curl of their /metrics: queries that would find nothing, and lines above the "
        "last bucket of a histogram, are found as well; it may be given several times",
    )
    parser.set_defaults(run=run)


@dataclass(slots=True)
class _Found:
    """What stands in the files, each with its file."""

    policies: list[tuple[Path, EscalationPolicy]] = field(default_factory=list)
    roles: dict[tuple[str, str], tuple[Path, Responder]] = field(default_factory=dict)
    """By namespace and name."""
    templates: list[tuple[Path, MessageTemplate]] = field(default_factory=list)
    silences: int = 0
    problems: list[str] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Take in a file, or what is wrong with it."""
        try:
            found = load_all(path)
        except Mistake as mistake:
            self.problems += str(mistake).splitlines()
            return
        for thing in found:
            match thing:
                case EscalationPolicy():
                    self.policies.append((path, thing))
                case Responder():
                    self.roles[thing.metadata.namespace, thing.metadata.name] = path, thing
                case MessageTemplate():
                    self.templates.append((path, thing))
                case Silence():
                    self.silences += 1

    @property
    def counted(self) -> str:
        """How many there are."""
        others = f"{len(self.policies)} policies and {len(self.roles)} Responders"
        counts = ((len(self.templates), "templates"), (self.silences, "Silences"))
        more = [f"{count} {what}" for count, what in counts if count]
        return ", ".join([*([others] if self.policies or self.roles or not more else []), *more])


def run(arguments: argparse.Namespace) -> int:
    """Print each problem on a line; 2 when there is one."""
    exposed = load_exposed(arguments.metrics) if arguments.metrics else None
    found = _Found()
    for path in arguments.files:
        found.read(path)
    problems = found.problems
    rosters: dict[str, dict[str, Responder]] = {}
    for (namespace, name), (_, role) in found.roles.items():
        rosters.setdefault(namespace, {})[name] = role
    for path, policy in found.policies:
        name, roster = policy.metadata.name, rosters.get(policy.metadata.namespace, {})
        wrong = [*_of_policy(policy, roster), *unfit(policy, exposed)]
        problems += [f"{path}: escalationpolicy/{name}: {problem}" for problem in wrong]
    for path, role in found.roles.values():
        name, roster = role.metadata.name, rosters[role.metadata.namespace]
        problems += [f"{path}: responder/{name}: {problem}" for problem in _of_role(role, roster)]
    for path, template in found.templates:
        wrong = [f"{where}, {one.message}" for where, one in unrenderable(template.spec)]
        problems += [f"{path}: messagetemplate/{template.metadata.name}: {problem}" for problem in wrong]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 2
    print(f"{found.counted}: nothing is wrong with them")
    return 0


def _of_policy(policy: EscalationPolicy, roster: Mapping[str, Responder]) -> Iterator[str]:
    for place, tier in enumerate(policy.spec.tiers):
        for name in tier.roles:
            if name not in roster:
                yield f"spec.tiers[{place}]: Responder {name} stands in none of these files"
    for place, model in enumerate(policy.spec.models):
        for what, name in model.owners.named.items():
            if name not in roster:
                yield f"spec.models[{place}].owners: Responder {name} ({what}) stands in none of these files"
    yield from _of_attestation(policy, roster)
    yield from clock_problems(policy.spec, SystemClock().now())
    yield from freezes_over(policy.spec, SystemClock().now())
    for name, why in unreachable_tiers(policy.spec):
        yield f"spec.tiers: {name} is never entered by itself: {why}"


def _of_attestation(policy: EscalationPolicy, roster: Mapping[str, Responder]) -> Iterator[str]:
    """What is missing for rules that somebody shall stand for."""
    spec = policy.spec
    if spec.second_line is None:
        return
    if spec.second_line not in roster:
        yield f"spec.secondLine: Responder {spec.second_line} stands in none of these files"
    for place, signal in enumerate(spec.signals):
        if signal.basis is None:
            yield f"spec.signals[{place}].basis: say why {signal.name} has its lines: {spec.second_line} attests them"


def _of_role(role: Responder, roster: Mapping[str, Responder]) -> Iterator[str]:
    name = role.metadata.name
    yield from faults(role.spec)
    if circle := cycle(roster, name):
        yield f"spec: it stands in for itself at last: {' → '.join(circle)}"
    for other in filter(None, (role.spec.escalate_to, role.spec.working_hours and role.spec.working_hours.otherwise)):
        if other not in roster:
            yield f"spec: Responder {other}, which stands in, stands in none of these files"
    if silent := untold(role):
        yield f"spec: {silent}"
    for began, ended in holes(roster, name, SystemClock().now()):
        yield f"spec: nobody is there from {began:%Y-%m-%d %H:%M}Z until {ended:%Y-%m-%d %H:%M}Z"
