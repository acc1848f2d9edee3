"""``kubectl tocsin message preview``: what a template says of an incident, before anybody is told."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from tocsin.api.incident import Incident
from tocsin.api.policy import Rules
from tocsin.api.quantities import parse_duration
from tocsin.api.template import MessageTemplate
from tocsin.cli.files import Mistake, choose_model, load_policy, load_template
from tocsin.clock import SystemClock
from tocsin.decide.rendering import Rendered, Unrenderable, message_facts, render
from tocsin.decide.specimen import specimen

HELP = "show what a template says of an incident, without sending anything"
RELEASE_NAMESPACE = "tocsin-system"


def add(messages: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to its group."""
    parser = messages.add_parser(
        "preview",
        help=HELP,
        description=f"{HELP[0].upper()}{HELP[1:]}. With --file nothing is read from a cluster: the incident is one "
        "that the policy of that file could have.",
    )
    parser.add_argument(
        "template",
        help="its name, which is looked up in the incident's namespace, then in the operator's; with --file also a "
        "file that holds it",
    )
    about = parser.add_mutually_exclusive_group(required=True)
    about.add_argument("--incident", metavar="incident", help="an incident of the cluster")
    about.add_argument("--file", type=Path, metavar="POLICY", help="a policy in a file")
    parser.add_argument("--model", help="with --file, where the policy has several")
    parser.add_argument("--language", help="only this one of its languages")
    parser.add_argument(
        "--value", action="append", default=[], metavar="NAME=TEXT", help="a value of the template; may be repeated"
    )
    parser.add_argument("--next-update", metavar="SPAN", help="when the next message follows, as 4h from now")
    parser.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    parser.add_argument(
        "--operator-namespace",
        default=RELEASE_NAMESPACE,
        help=f"where the chart put the ready-made templates; default: {RELEASE_NAMESPACE}",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the message; 2 when there is none."""
    template, incident, rules = _of_file(arguments) if arguments.file else asyncio.run(_of_cluster(arguments))
    now = SystemClock().now()
    later = now + _span(arguments.next_update) if arguments.next_update else None
    facts = message_facts(incident, rules, now, values_of(arguments.value), next_update_at=later)
    made = render(template.spec, facts)
    if isinstance(made, Unrenderable):
        raise Mistake(f"{template.metadata.name}: {made.reason}: {made.message}")
    languages = [text.language for text in made.texts]
    if arguments.language and arguments.language not in languages:
        raise Mistake(f"--language: {template.metadata.name} has {', '.join(languages)}")
    print("\n".join(preview_lines(template, made, arguments.language)))
    return 0


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as wrong:
        raise Mistake(f"--next-update: {wrong}") from wrong


def values_of(given: Iterable[str]) -> dict[str, str]:
    """The values that were supplied on the command line."""
    pairs = [one.partition("=") for one in given]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise Mistake(f"--value: {name!r} is no NAME=TEXT: write for example --value contact=help@example.com")
    return {name: text for name, _, text in pairs}


def preview_lines(template: MessageTemplate, made: Rendered, language: str | None = None) -> Iterator[str]:
    """The message, what goes with it, and whose word it needs."""
    spec = template.spec
    needs = f"needs the approval of {', '.join(spec.approvals)}" if spec.approvals else "needs no approval"
    yield f"{template.metadata.name}: for {spec.audience}, phase {spec.phase}; {needs}"
    for text in made.texts:
        if language in (None, text.language):
            yield from ("", f"--- {text.language}", f"Subject: {text.subject}", "", text.body)
    if made.talking_points:
        yield from ("", "--- talking points, which are not sent", *(f"- {point}" for point in made.talking_points))
    yield from ("", f"digest: {made.digest}")


def _of_file(arguments: argparse.Namespace) -> tuple[MessageTemplate, Incident, Rules]:
    """Without a cluster: the template of a file, and an incident that a policy could have."""
    path = Path(arguments.template)
    if not path.is_file():
        raise Mistake(f"{path}: is no file; with --file the template is one too", "or name an incident: --incident")
    template, (policy, _) = load_template(path), load_policy(arguments.file)
    model = choose_model(policy, arguments.model)
    return template, *specimen(policy, model, template.spec.phase, SystemClock().now())


async def _of_cluster(arguments: argparse.Namespace) -> tuple[MessageTemplate, Incident, Rules]:
    from tocsin.api.objects import API_VERSION
    from tocsin.apiserver import ApiError, path
    from tocsin.cli.looking import connected, read

    if arguments.model:
        raise Mistake("--model: goes with --file: the incident names its model")
    name = arguments.template
    async with connected() as (api, default):
        namespace = arguments.namespace or default
        raw = await read(api, "incidents", namespace, arguments.incident.rpartition("/")[2], "incidents")
        incident = Incident.model_validate(raw)
        if incident.rules is None:
            raise Mistake(f"{incident.metadata.name} has no rules yet: try again in a moment")
        for where in (namespace, arguments.operator_namespace):
            try:
                found = await api.get(path(API_VERSION, "messagetemplates", where, name))
                return MessageTemplate.model_validate(found), incident, incident.rules
            except ApiError as refused:
                if refused.code != 404:
                    raise
    raise Mistake(
        f"there is no template {name} in namespace {namespace}, nor in {arguments.operator_namespace}",
        f"see: kubectl get messagetemplates -n {arguments.operator_namespace}; another one: --operator-namespace",
    )
