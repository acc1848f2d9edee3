"""``kubectl tocsin status|show|timeline|explain|oncall|coverage``: what is there, for people; nothing is changed."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from tocsin.api.decision import Decision
from tocsin.api.incident import Incident, IncidentStatus, OptionRecord, TierStatus
from tocsin.api.objects import condition
from tocsin.api.policy import EscalationPolicy, Mode, PolicyModel
from tocsin.api.quantities import format_duration, format_time
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.cli.clock import clock_lines
from tocsin.cli.files import Mistake
from tocsin.cli.silencing import in_force
from tocsin.cli.silencing import words_of as words_of_silence
from tocsin.cli.unguarded import Unguarded
from tocsin.clock import SystemClock
from tocsin.decide.approval import unsettled
from tocsin.decide.clocks import clock_words
from tocsin.decide.closing import words_of
from tocsin.decide.felt import asked_about, felt, felt_if_approved, option_of
from tocsin.decide.flapping import words_of as changes
from tocsin.decide.freezes import freeze_in_force
from tocsin.decide.options import IN_PLACE
from tocsin.decide.questions import open_questions
from tocsin.decide.roster import Roster, deputy, holes, on_duty, until
from tocsin.decide.tiers import WORDS, accountable_of, open_deadlines, tier_of
from tocsin.decide.wording import kinship, papers

LINES = 12
"""So many of the last lines of the story does ``show`` print; ``timeline`` prints all."""

View = Callable[[Console, Any, Roster, datetime], None]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that look."""
    for word, help_, about in (
        ("status", "what is open, and who is waited for", ""),
        ("show", "one incident: what, since when, what was done, who must do what by when", "incident"),
        ("timeline", "the whole story of an incident", "incident"),
        ("explain", "why an incident has its severity, and why each tier was entered", "incident"),
        ("oncall", "who is on duty, until when, and who stands in", "responder"),
        ("coverage", "which models are watched, reach people, may be contained and are attested; what lacks first", ""),
    ):
        parser = commands.add_parser(word, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        if about == "incident":
            parser.add_argument("name", metavar="incident", help="its name, with or without inc/ before it")
        elif about:
            parser.add_argument("name", metavar="responder", nargs="?", help="one role; by default all")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
        if about != "incident":
            where.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
        parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="for programs")
        parser.set_defaults(run=run, word=word)


def run(arguments: argparse.Namespace) -> int:
    """Look at the cluster of the kubeconfig."""
    from tocsin.cli.looking import look

    everywhere, name = getattr(arguments, "all_namespaces", False), getattr(arguments, "name", None)
    if everywhere and name:
        raise Mistake(f"-A shows every role: name a namespace to see {name}, with -n")
    found, roster = asyncio.run(look(arguments.word, name, "" if everywhere else arguments.namespace))
    show(arguments, found, roster, SystemClock().now())
    return 0


def show(arguments: argparse.Namespace, found: Any, roster: Roster, now: datetime) -> None:
    """Print what was found, as a table or for programs; colours only on a terminal, and no markup in people's words."""
    match arguments.output:
        case "json":
            print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
        case "yaml":
            print(yaml.safe_dump(_plain(found), sort_keys=False, allow_unicode=True), end="")
        case _:
            _VIEWS[arguments.word](Console(highlight=False, markup=False, emoji=False), found, roster, now)


def _plain(found: Any) -> Any:
    return [one.dump() for one in found] if isinstance(found, list) else found.dump()


def _status(console: Console, found: Sequence[Incident | Silence], _: Roster, now: datetime) -> None:
    incidents = [one for one in found if isinstance(one, Incident)]
    console.print(overview(incidents, now))
    _section(console, "to approve or reject", _to_approve(incidents))
    _section(console, "legal clocks", clock_lines(incidents, now))
    silences = in_force((one for one in found if isinstance(one, Silence)), now)
    _section(console, "silenced", (_silenced(one, now) for one in silences))


def _to_approve(incidents: Sequence[Incident]) -> Iterator[str]:
    """What waits for somebody's word: first what people feel of it, then what would be written."""
    several = len({one.metadata.namespace for one in incidents if not one.resolved}) > 1
    for one in sorted((one for one in incidents if not one.resolved), key=_urgency):
        name = f"{one.metadata.namespace}/{one.metadata.name}" if several else one.metadata.name
        yield from (f"{name}: {line}" for line in felt_if_approved(one.rules, one.status))
        asked = asked_about(one.status)
        yield from (f"{name}: {_record(record)}" for record in one.status.containment if record.name in asked)


def _record(record: OptionRecord) -> str:
    return f"{record.name}: {record.state}: {record.summary}{_dash(record.message)}"


def _containment(incident: Incident) -> Iterator[str]:
    """How far each option is, and what people feel of those that ask or are in place."""
    asked = asked_about(incident.status)
    yield from felt_if_approved(incident.rules, incident.status)
    for record in incident.status.containment:
        yield _record(record)
        if record.state in IN_PLACE and record.name not in asked and not incident.resolved:
            yield from (f"  {line}" for line in felt(option_of(incident.rules, record.name), ran=True))


def _silenced(one: Silence, now: datetime) -> str:
    where, spec = f"{one.metadata.namespace}/{one.metadata.name}", one.spec
    return f"{where}: {words_of_silence(spec)}, by {spec.by}, ends {_due(spec.until, now)}: {spec.reason}"


def overview(incidents: Sequence[Incident], now: datetime) -> Table | str:
    """What is open, the worst first."""
    unresolved = [one for one in incidents if not one.resolved]
    if not unresolved:
        return "nothing is open"
    several = len({one.metadata.namespace for one in unresolved}) > 1
    rows = [
        (
            *([one.metadata.namespace] if several else []),
            one.metadata.name,
            one.status.severity or "",
            one.status.phase,
            one.status.waiting_for or "",
            _due(one.status.next_deadline_time, now),
        )
        for one in sorted(unresolved, key=_urgency)
    ]
    heads = [*(["NAMESPACE"] if several else []), "INCIDENT", "SEV", "PHASE", "WAITING FOR", "DUE"]
    return _table(heads, rows)


def _urgency(incident: Incident) -> tuple[str, bool, str, str]:
    """The worst first, then what is due first."""
    due = incident.status.next_deadline_time
    return incident.status.severity or "SEV9", due is None, format_time(due) if due else "", incident.metadata.name


def _show(console: Console, incident: Incident, roster: Roster, now: datetime) -> None:
    status, metadata = incident.status, incident.metadata
    console.print(metadata.name, style="bold", end="")
    console.print(f"  {status.severity or ''} {status.phase}, model {incident.spec.model}", soft_wrap=True)
    if incident.spec.by:
        console.print(f"  reported by {incident.spec.by}: {incident.spec.reason}", soft_wrap=True)
    if status.opened_time:
        ago = format_duration(_whole(now - status.opened_time))
        console.print(f"  open since {format_time(status.opened_time)} ({ago} ago), episode {status.episode}")
    if status.lead:
        console.print(f"  led by {status.lead.user} since {format_time(status.lead.time)}")
    if kin := kinship(status):
        console.print(f"  {kin}", soft_wrap=True)
    waiting = f"  waiting for {status.waiting_for or 'nobody'}{_dash(_due(status.next_deadline_time, now))}"
    console.print(waiting, soft_wrap=True)
    for line in _hushed(status, now):
        console.print(f"  {line}", style="yellow", soft_wrap=True)
    if status.held:
        console.print(f"  on hold by {status.held.by}: {status.held.reason}", style="yellow", soft_wrap=True)
    if judged := status.classification:
        console.print(f"  classified by {judged.by}: {words_of(judged)} — {judged.reason}", soft_wrap=True)
    for one in unsettled(status):
        verdict = "overdue" if one.overdue else f"due {_due(one.approve_deadline, now)}"
        console.print(
            f"  {one.option} was ordered by {one.by} alone, approval {verdict}: {one.reason}",
            style="yellow",
            soft_wrap=True,
        )
    if lesson := status.post_mortem:
        console.print(f"  post-mortem by {lesson.owner}, due {_due(lesson.due_time, now)}", soft_wrap=True)
    if incident.rules:
        _section(console, "the model", iter(papers(incident.rules.model, roster, now)))
    _section(console, "signals", (f"{one.name}: {one.message}" for one in status.signals))
    _section(console, "containment", _containment(incident))
    asked = open_questions(incident.rules, status) if incident.rules else iter(())
    _section(
        console, "questions", (f"{tier}: {one.text} ({one.name}: {', '.join(one.options)})" for tier, one in asked)
    )
    _section(console, "legal clocks", (clock_words(one, now) for one in status.clocks))
    _section(console, "tiers", (_tier(one, incident, roster, now) for one in status.tiers))
    late = status.timeline[-LINES:]
    _section(console, "lately", (f"{format_time(one.time)}  {one.what}" for one in late))
    if len(status.timeline) > LINES:
        console.print(f"\nall of it: kubectl tocsin timeline {metadata.name} -n {metadata.namespace}", soft_wrap=True)


def _hushed(status: IncidentStatus, now: datetime) -> Iterator[str]:
    """Why people are not told of everything."""
    if one := status.silenced:
        yield f"silenced by {one.by}, ends {_due(one.until, now)}: {one.reason} (silence/{one.name})"
    if status.flapping_since:
        yield f"it flaps: {changes(status.swings, now)}"


def _tier(tier: TierStatus, incident: Incident, roster: Roster, now: datetime) -> str:
    words = [tier.name]
    if tier.handed_over:
        words.append(f"handed over to {tier.handed_over.to}, who must accept")
    if tier.acknowledged_time:
        words.append(f"acknowledged by {tier.acknowledged_by}")
    words += [f"{WORDS[limit]} {_due(due, now)}" for limit, due in open_deadlines(tier, incident.status)]
    rules = incident.rules
    rule = tier_of(rules, tier.name) if rules else None
    role = accountable_of(tier, rule) if rule else ""
    duty = on_duty(roster, role, now)
    return ", ".join([*words, f"on duty: {duty.words if duty else f'nobody ({role})'}"])


def _timeline(console: Console, incident: Incident, _: Roster, now: datetime) -> None:
    if incident.status.timeline_dropped:
        console.print(f"({incident.status.timeline_dropped} older lines were dropped)")
    for one in incident.status.timeline:
        console.print(f"{format_time(one.time)}  {one.what}", soft_wrap=True)


def _explain(console: Console, incident: Incident, _: Roster, now: datetime) -> None:
    status, score = incident.status, incident.status.score
    if score is None:
        console.print("no risk was computed yet")
        return
    console.print(f"{status.severity}: risk {score.risk} of 100, the worst of episode {status.episode}")
    rows = [(term.name, str(term.value), term.because) for term in score.terms]
    console.print(_table(["TERM", "ADDS", "BECAUSE"], rows))
    console.print(f"The sum alone gives {score.band}.")
    for floor in score.floors:
        console.print(f"Besides: {floor}.", soft_wrap=True)
    if lowered := status.lowered:
        console.print(f"{lowered.by} lowered it to {lowered.to} at {format_time(lowered.time)}.")
    _section(console, "tiers", (f"{tier.name}: {tier.reason}" for tier in status.tiers))


def _oncall(console: Console, responders: Sequence[Responder], roster: Roster, now: datetime) -> None:
    if not responders:
        console.print("there is no Responder")
        return
    several = len({one.metadata.namespace for one in responders}) > 1
    rows = []
    for one in responders:
        beside = {two.metadata.name: two for two in responders if two.metadata.namespace == one.metadata.namespace}
        known = beside if several else roster
        name = one.metadata.name
        duty, change = on_duty(known, name, now), until(known, name, now)
        second = deputy(known, duty, now) if duty else None
        hole = next(holes(known, name, now), None)
        rows.append(
            (
                f"{one.metadata.namespace}/{name}" if several else name,
                duty.words_in(name) if duty else "nobody",
                _minute(change) if change else "",
                second.member.name if second else "",
                f"nobody from {_minute(hole[0])}" if hole else "",
            )
        )
    console.print(_table(["ROLE", "ON DUTY", "UNTIL", "DEPUTY", "THIS WEEK"], rows))


def _coverage(
    console: Console, found: Sequence[EscalationPolicy | Unguarded | Decision], _: Roster, now: datetime
) -> None:
    covered = [one for one in found if not isinstance(one, Decision)]
    if not covered:
        console.print("there is no policy, and no workload with the label tocsin.dev/model")
    else:
        _covered(console, covered, now)
    attests = (one for one in found if isinstance(one, Decision))
    _section(console, "attested, and removed since", (_removed(one) for one in attests))


def _removed(attest: Decision) -> str:
    reference, metadata = attest.spec.policy_ref, attest.metadata
    name = reference.name if reference else ""
    return f"{metadata.namespace}/{name}: attested by {attest.spec.by} (decision/{metadata.name})"


def _covered(console: Console, found: Sequence[EscalationPolicy | Unguarded], now: datetime) -> None:
    several = len({one.metadata.namespace for one in found}) > 1
    rows: list[tuple[int, bool, tuple[str, ...]]] = []
    for policy in found:
        name = f"{policy.metadata.namespace}/{policy.metadata.name}" if several else policy.metadata.name
        if isinstance(policy, Unguarded):
            where = f" in {policy.metadata.namespace}" if several else ""
            rows.append((0, False, (policy.model, f"none{where}", "no", "no", "no", "never", "no")))
            continue
        facts = [_fact(policy, kind) for kind in ("Ready", "Measured", "Staffed")]
        attested = _attested(policy)
        for model in policy.spec.models:
            contained = _contained(policy, model, now)
            lacks = contained == "never" or any(fact != "yes" for fact in facts)
            stands = attested.startswith(("yes", "until"))
            rows.append((1 if lacks else 2, stands, (model.name, name, *facts, contained, attested)))
    heads = ["MODEL", "POLICY", "READY", "DATA", "PEOPLE", "CONTAINED", "ATTESTED"]
    console.print(_table(heads, [row for _, _, row in sorted(rows)]))


def _fact(policy: EscalationPolicy, kind: str) -> str:
    found = condition(policy.status.conditions, kind)
    if found is None or found.status == "Unknown":
        return "unknown"
    return "yes" if found.status == "True" else found.reason


def _attested(policy: EscalationPolicy) -> str:
    """Whether the second line stands for the rules, and until when; else why not."""
    fact, review_by = _fact(policy, "Attested"), policy.spec.review_by
    if fact in ("unknown", "NoSecondLine", "NeverAttested"):  # of rules that nobody shall attest nothing is said
        return "no"
    return f"until {review_by:%Y-%m-%d}" if fact == "yes" and review_by else fact


def _contained(policy: EscalationPolicy, model: PolicyModel, now: datetime) -> str:
    """Whether the policy may act on a model, and on whose word."""
    if model.target is None or not policy.spec.containment:
        return "never"
    if policy.spec.mode is Mode.OBSERVE:
        return "rehearsed only"
    if freeze := freeze_in_force(policy.spec.freezes, now):
        return f"frozen until {_minute(freeze.until)}"
    until_ = [one.authorised_until for one in policy.status.options if one.authorised_until]
    if standing := [one for one in until_ if one > now]:
        return f"authorised until {_minute(max(standing))}"
    return "by itself" if any(one.approval.required == 0 for one in policy.spec.containment) else "asks"


_VIEWS: Mapping[str, View] = {
    "status": _status,
    "show": _show,
    "timeline": _timeline,
    "explain": _explain,
    "oncall": _oncall,
    "coverage": _coverage,
}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def _section(console: Console, title: str, lines: Iterator[str]) -> None:
    found = list(lines)
    if found:
        console.print(f"\n{title}", style="bold")
    for line in found:
        console.print(f"  {line}", soft_wrap=True)


def _due(at: datetime | None, now: datetime) -> str:
    """How far away an instant is."""
    if at is None:
        return ""
    span = format_duration(_whole(abs(at - now)))
    return f"in {span}" if at > now else f"{span} late"


def _minute(at: datetime) -> str:
    return at.strftime("%a %m-%d %H:%MZ")


def _whole(span: Any) -> Any:
    """Without milliseconds, and without seconds past an hour."""
    seconds = int(span.total_seconds())
    return type(span)(seconds=seconds if seconds < 3600 else seconds // 60 * 60)


def _dash(text: str) -> str:
    return f" — {text}" if text else ""
