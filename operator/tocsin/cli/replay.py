"""``kubectl tocsin replay``: what a policy would have done, by the same decisions that the operator takes."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from tocsin.api.policy import EscalationPolicy, PolicyModel
from tocsin.api.quantities import parse_time
from tocsin.cli.files import Mistake, choose_model, load_policy, load_responders
from tocsin.cli.recording import RecordedTarget, load_acts, load_recording, tape_of, target_of
from tocsin.cli.timeline import as_json, as_text
from tocsin.decide.rehearsal import rehearse
from tocsin.decide.script import Script
from tocsin.settings import PrometheusServer, Settings, Tenancy

COLOURS = {
    "title": "bold",
    "incident": "bold red",
    "severity": "red",
    "containment": "green",
    "tier": "yellow",
    "notice": "cyan",
    "decision": "magenta",
}
WITH_PROMETHEUS = {
    "start": "--from: goes with --prometheus: leave it out, or write start into the file of series",
    "end": "--to: goes with --prometheus: leave it out, or write until into the file of series",
    "token_file": "--token-file: goes with --prometheus: leave it out",
    "one_tenant": "--one-tenant: goes with --prometheus: leave it out",
}
"""By option, what to do about it with --series, where it would change nothing."""
HELP = """\
Play a policy over recorded series and print what would have happened: the incident, who is told and when, what
containment would do, which deadlines would be missed. Nothing is read from or written to a cluster.

The series come from a file (docs/how-to/replay.md has the format):
  kubectl tocsin replay policy.yaml --series series.yaml
or from a Prometheus server:
  kubectl tocsin replay policy.yaml --prometheus http://localhost:9090 \\
      --from 2026-11-23T09:00:00Z --to 2026-11-23T12:00:00Z
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "replay",
        help="what a policy would have done on recorded series",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", type=Path, help="a file with one EscalationPolicy; Responders beside it are used")
    parser.add_argument("--series", type=Path, metavar="FILE", help="recorded series")
    parser.add_argument("--prometheus", metavar="URL", help="read the series from this server")
    parser.add_argument("--from", dest="start", metavar="TIME", help="with --prometheus: the first evaluation")
    parser.add_argument("--to", dest="end", metavar="TIME", help="with --prometheus: the last evaluation")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="with --prometheus: a bearer token")
    parser.add_argument(
        "--one-tenant",
        action="store_true",
        help="with --prometheus: do not confine the queries to the policy's namespace",
    )
    parser.add_argument("--model", metavar="NAME", help="which model of the policy; needed where it has several")
    parser.add_argument("--responder", type=Path, action="append", default=[], metavar="FILE", help="more Responders")
    parser.add_argument("--decisions", type=Path, metavar="FILE", help="what people decide, and when")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print."""
    script = script_of(arguments)
    rehearsal = rehearse(script)
    if arguments.output == "json":
        print(json.dumps(as_json(script, rehearsal), indent=2))
        return 0
    console = Console() if sys.stdout.isatty() else None
    for kind, text in as_text(script, rehearsal):
        if console:
            console.print(text, style=COLOURS.get(kind, ""), markup=False, highlight=False, soft_wrap=True)
        else:
            print(text)
    return 0


def script_of(arguments: argparse.Namespace) -> Script:
    """What is to be played, out of the command's options and files."""
    policy, beside = load_policy(arguments.policy)
    model = choose_model(policy, arguments.model)
    roster = beside | load_responders(arguments.responder)
    if (arguments.series is None) == (arguments.prometheus is None):
        raise Mistake("give either --series FILE or --prometheus URL with --from and --to")
    if arguments.prometheus is not None:
        script = _from_prometheus(arguments, policy, model)
    else:
        idle = [words for name, words in WITH_PROMETHEUS.items() if getattr(arguments, name) not in (None, False)]
        if idle:
            raise Mistake(*idle)
        script = _from_file(arguments.series, policy, model)
    cues = load_acts(arguments.decisions, script.start) if arguments.decisions else ()
    return replace(script, roster=roster, cues=cues)


def _from_file(path: Path, policy: EscalationPolicy, model: PolicyModel) -> Script:
    recording = load_recording(path, policy)
    return Script(
        policy=policy,
        model=model,
        start=recording.start,
        end=recording.start + recording.span,
        tape=tape_of(recording, recording.series, model, recording.affected),
        after={option: tape_of(recording, changed, model) for option, changed in recording.after.items()},
        target=target_of(recording.target, model),
    )


def _from_prometheus(arguments: argparse.Namespace, policy: EscalationPolicy, model: PolicyModel) -> Script:
    start, end = _instant("--from", arguments.start), _instant("--to", arguments.end)
    if end <= start:
        raise Mistake("--to: must be later than --from")
    if not policy.metadata.namespace and not arguments.one_tenant:
        raise Mistake(
            f"{arguments.policy}: metadata.namespace: is needed to confine the queries to it, as the operator does; "
            "give it, or --one-tenant"
        )
    from tocsin.cli.past import read_past

    try:
        server = PrometheusServer(
            url=arguments.prometheus.rstrip("/"),
            bearer_token_file=arguments.token_file,
            tenancy=Tenancy.SINGLE if arguments.one_tenant else Tenancy.NAMESPACE,
        )
    except ValidationError as bad:
        raise Mistake("--prometheus: is no address: write for example http://localhost:9090") from bad
    return Script(
        policy=policy,
        model=model,
        start=start,
        end=end,
        tape=asyncio.run(read_past(server, policy, model, start, end)),
        target=target_of(RecordedTarget(), model),
        alone=arguments.one_tenant and len(policy.spec.models) == 1,
        allowed_labels=Settings.model_fields["allowed_labels"].default,
    )


def _instant(option: str, text: str | None) -> datetime:
    if text is None:
        raise Mistake(f"{option}: is needed with --prometheus, for example 2026-11-23T14:32:00Z")
    try:
        return parse_time(text)
    except ValueError as bad:
        raise Mistake(f"{option}: {bad}") from bad
