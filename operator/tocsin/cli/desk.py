"""What a person types becomes a Decision under the person's own name; then what became of it is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.api.containment import Option
from tocsin.api.decision import DecisionType
from tocsin.api.incident import Incident, IncidentStatus, OptionRecord, OptionState
from tocsin.api.legalnote import text_digest
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.api.quantities import format_time, parse_duration
from tocsin.api.responder import Responder
from tocsin.apiserver import ApiError, ApiServer, path
from tocsin.cli.acts import Act
from tocsin.cli.attesting import attested_lines
from tocsin.cli.files import Mistake
from tocsin.cli.looking import connected, listed, read
from tocsin.cli.noting import note_text
from tocsin.clock import Clock, SystemClock
from tocsin.decide.approval import unsettled
from tocsin.decide.felt import felt, option_of
from tocsin.decide.options import IN_PLACE
from tocsin.decide.presets import PRESETS
from tocsin.decide.restoring import what_comes_back
from tocsin.decide.standing import unacknowledged

PATIENCE = 5.0
"""Seconds that a verdict is waited for."""
PAUSE = 0.25
"""Seconds between two looks."""
FIELDS = ("option", "tier", "severity", "to", "question", "choice", "reason")
"""Of a Decision, as they are on the command line."""
JUDGED = ("impact", "legal_exposure", "materiality")
LESSON = ("post_mortem", "within")
NOTE = ("note_file",)
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def carry_out(arguments: argparse.Namespace) -> int:
    """Connect as the user, make the Decision, and say what became of it."""
    async with connected() as (api, default):
        desk = Desk(api, arguments.namespace or default, SystemClock(), ask=asked if sys.stdin.isatty() else None)
        if arguments.word == "report":
            return await desk.report(
                arguments.model, arguments.reason, arguments.source, arguments.harm, arguments.policy
            )
        if arguments.word == "authorise":
            return await desk.authorise(arguments.policy, arguments.option, arguments.span, arguments.reason)
        if arguments.word == "attest":
            return await desk.attest(arguments.policy.rpartition("/")[2], arguments.reason, yes=arguments.yes)
        given = {name: getattr(arguments, name, None) for name in (*FIELDS, *JUDGED, *LESSON, *NOTE)}
        names, yes = arguments.incidents, getattr(arguments, "yes", False)
        if arguments.act.all_:
            _check_all(names, everything=arguments.all, yes=yes)
        if not names:
            names = await desk.mine(yes=yes)
        return await desk.decide(arguments.act, names, given, yes=yes) if names else 0


def _check_all(names: Sequence[str], *, everything: bool, yes: bool) -> None:
    """Either names or --all, and --yes with --all only."""
    if bool(names) == everything:
        raise Mistake("name the incidents, or give --all", "see what is open: kubectl tocsin status")
    if yes and not everything:
        raise Mistake("--yes: goes with --all: leave it out, nothing is asked about incidents that you name")


def asked(question: str) -> bool:
    """Whether somebody at the terminal says yes."""
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _print_felt(option: Option | None, *, ran: bool = False) -> None:
    """What people feel of an option, before anything else is said of it."""
    for line in felt(option, ran=ran):
        print(line)


class Desk:
    """Where Decisions are made, in one namespace, under the user's own name."""

    def __init__(self, api: ApiServer, namespace: str, clock: Clock, *, ask: Callable[[str], bool] | None) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._ask = ask

    async def decide(self, act: Act, names: Sequence[str], given: Mapping[str, Any], *, yes: bool) -> int:
        """Decide on incidents, on none if a name is wrong; 1 when any did not count, 0 when no verdict came yet."""
        note = note_text(file) if (file := given.get("note_file")) else None
        incidents = [await self._incident(name) for name in dict.fromkeys(name.rpartition("/")[2] for name in names)]
        fields: dict[str, Any] = {name: given[name] for name in FIELDS if given.get(name) is not None}
        if given.get("impact"):
            impact, legal_exposure, materiality = (given[name] for name in JUDGED)
            fields["classification"] = {"impact": impact, "legalExposure": legal_exposure, "materiality": materiality}
        if owner := given.get("post_mortem"):
            due = self._after("--within", given.get("within") or "")
            fields["postMortem"] = {"owner": owner, "dueTime": format_time(due)}
        if act.bound:
            fields |= self._bound(act, incidents[0], given.get("option"), yes=yes)
        if note is not None:
            fields["note"] = await self.note(incidents[0], note)
        made: list[tuple[str, Any]] = []
        refusal: Mistake | None = None
        for incident in incidents:
            reference = {"name": incident.metadata.name, "uid": incident.metadata.uid}
            try:
                decision = await self._create({"type": act.type, "incidentRef": reference, **fields}, act.type.right)
            except Mistake as refused:
                refusal = refused
                break
            made.append((incident.metadata.name, decision["metadata"]))
        deadline = self._clock.monotonic() + PATIENCE
        counted = [await self._said(name, one, deadline, alone=len(incidents) == 1) for name, one in made]
        if refusal:
            raise refusal
        return 0 if all(counted) else 1

    async def note(self, incident: Incident, text: str) -> dict[str, str]:
        """Keep a privileged text about an incident; gives what a Decision says of it, its name and digest."""
        reference = {"name": incident.metadata.name, "uid": incident.metadata.uid}
        spec = {"incidentRef": reference, "text": text}
        made = await self._made("LegalNote", "legalnotes", "note-", spec, "legalnotes.tocsin.dev", "")
        name = made["metadata"]["name"]
        print(f"the note is legalnote/{name}: kubectl tocsin notes verify {incident.metadata.name}")
        return {"name": name, "digest": text_digest(text)}

    async def _said(self, incident: str, decision: Any, deadline: float, *, alone: bool) -> bool:
        """Say what became of one Decision; False when it did not count."""
        recorded = (
            f"recorded as decision/{decision['name']}; the operator has not answered within "
            f"{PATIENCE:g} s: kubectl get incident {incident} -n {self._namespace} -o yaml"
        )
        counted, message = await self._verdict(incident, decision["uid"], deadline) or (True, recorded)
        words = message if counted else f"did not count: {message}"
        print(words if alone else f"{incident}: {words}")
        return counted

    async def mine(self, *, yes: bool) -> list[str]:
        """The open incidents in which an entered tier of the user's is not acknowledged; shown, and asked back."""
        user = await self._user()
        found = await listed(self._api, "responders", self._namespace)
        roster = {one["metadata"]["name"]: Responder.model_validate(one) for one in found}
        incidents = [Incident.model_validate(one) for one in await listed(self._api, "incidents", self._namespace)]
        waiting = {one.metadata.name: tiers for one in incidents if (tiers := unacknowledged(one, roster, user))}
        if not waiting:
            print(f"nothing in namespace {self._namespace} waits for {user} to acknowledge: kubectl tocsin status")
        for one in incidents:
            if mine := waiting.get(one.metadata.name):
                print(f"{one.metadata.name}: {one.status.severity}, model {one.spec.model}, tier {', '.join(mine)}")
        if waiting:
            self._confirm("acknowledge", "them" if len(waiting) > 1 else "it", yes=yes)
        return list(waiting)

    async def authorise(self, policy: str, option: str, span: str, reason: str) -> int:
        """Give an option of a policy a standing authorisation."""
        until = self._after("--for", span)
        found = await self._observed(policy)
        known = {one.name: one.digest for one in found.status.options}
        if option not in known:
            raise Mistake(
                f"--option: policy {policy} has no option {option}; it has {', '.join(known) or 'none'}",
                f"see what they do: kubectl describe escalationpolicy {policy} -n {self._namespace}",
            )
        spec = {
            "type": "Authorise",
            "policyRef": {"name": policy, "uid": found.metadata.uid},
            "option": option,
            "digest": known[option],
            "expireTime": format_time(until),
            "reason": reason,
        }
        _print_felt(next((one for one in found.spec.containment if one.name == option), None))
        made = await self._create(spec, "authorise")
        print(f"authorised {option} of {policy} until {spec['expireTime']}: decision/{made['metadata']['name']}")
        return 0

    async def attest(self, name: str, reason: str, *, yes: bool) -> int:
        """Stand for the rules of a policy; 0 when it counted or no verdict came yet, 1 when it did not count."""
        policy = await self._observed(name)
        if policy.spec.second_line is None:
            raise Mistake(
                f"spec.secondLine of policy {name} names nobody who attests its rules: set it to a Responder",
                f"see which there are: kubectl get responders -n {self._namespace}",
            )
        for line in attested_lines(policy, self._clock.now()):
            print(line)
        self._confirm("attest", yes=yes)
        reference = {"name": name, "uid": policy.metadata.uid}
        spec = {"type": "Attest", "policyRef": reference, "digest": policy.status.digest, "reason": reason}
        made = await self._create(spec, "attest")
        deadline = self._clock.monotonic() + PATIENCE
        while self._clock.monotonic() < deadline:
            for record in (await self._policy(name)).status.attests:
                if record.uid == made["metadata"]["uid"]:
                    print(record.message if record.counted else f"did not count: {record.message}")
                    return 0 if record.counted else 1
            await self._clock.sleep(PAUSE)
        print(
            f"recorded as decision/{made['metadata']['name']}; the operator has not answered within {PATIENCE:g} s: "
            f"kubectl get escalationpolicy {name} -n {self._namespace} -o yaml"
        )
        return 0

    async def clock(self, type_: DecisionType, name: str, fields: Mapping[str, Any], note: str | None = None) -> int:
        """Say something of a legal clock of an incident; 1 when it did not count, 0 when no verdict came yet."""
        incident = await self._incident(name)
        known = [one.name for one in incident.status.clocks]
        if fields["clock"] not in known:
            raise Mistake(
                f"--clock: {name} has no clock {fields['clock']}; it has {', '.join(known) or 'none'}",
                f"see how far they are: kubectl tocsin clock list {name} -n {self._namespace}",
            )
        reference = {"name": incident.metadata.name, "uid": incident.metadata.uid}
        noted = {"note": await self.note(incident, note)} if note is not None else {}
        made = await self._create({"type": type_, "incidentRef": reference, **fields, **noted}, type_.right)
        deadline = self._clock.monotonic() + PATIENCE
        return 0 if await self._said(name, made["metadata"], deadline, alone=True) else 1

    async def accept_clock(self, policy: str, clock: str, reason: str, *, yes: bool) -> int:
        """Stand for the numbers of a clock that a policy names, or that follows one; they are shown first."""
        found = await self._observed(policy)
        known = {one.name: one for one in found.status.clocks}
        if clock not in known:
            raise Mistake(
                f"--clock: policy {policy} has no clock {clock}; it has {', '.join(known) or 'none'}",
                f"see what they count: kubectl describe escalationpolicy {policy} -n {self._namespace}",
            )
        preset, digest = PRESETS[clock], known[clock].digest
        if preset.digest() != digest:
            raise Mistake(f"{clock}: this version of kubectl-tocsin and the operator have other numbers: update one")
        print(f"{clock}: {preset.words}")
        print(f"  {preset.title}; {preset.citation}; evidence {preset.evidence}")
        if preset.effective_from:
            print(f"  it applies from {preset.effective_from}")
        self._confirm("accept", yes=yes)
        reference = {"name": policy, "uid": found.metadata.uid}
        spec = {"type": "AcceptClock", "policyRef": reference, "clock": clock, "digest": digest, "reason": reason}
        made = await self._create(spec, "acceptclock")
        print(f"accepted {clock} for {policy}: decision/{made['metadata']['name']}")
        return 0

    async def _policy(self, name: str) -> EscalationPolicy:
        return EscalationPolicy.model_validate(
            await read(self._api, "escalationpolicies", self._namespace, name, "escpol")
        )

    async def _observed(self, name: str) -> EscalationPolicy:
        """The policy, if the operator has looked at it as it is now."""
        found = await self._policy(name)
        if found.status.observed_generation != found.metadata.generation:
            raise Mistake(
                "the operator has not looked at this version of the policy yet: try again in a moment",
                f"see what it says: kubectl describe escalationpolicy {name} -n {self._namespace}",
            )
        return found

    async def report(self, model: str, reason: str, source: str | None, harm: str | None, policy: str | None) -> int:
        """Open an incident, and say what became of it."""
        found = [
            EscalationPolicy.model_validate(one)
            for one in await listed(self._api, "escalationpolicies", self._namespace)
        ]
        names = sorted(one.metadata.name for one in found if any(guarded.name == model for guarded in one.spec.models))
        chosen = [name for name in names if policy in (None, name)]
        if len(chosen) != 1:
            models = ", ".join(sorted({guarded.name for one in found for guarded in one.spec.models})) or "none"
            if names:
                raise Mistake(f"--policy: choose one of {', '.join(names)}, which name the model {model}")
            raise Mistake(
                f"no policy in namespace {self._namespace} names the model {model}; there are: {models}",
                "see where it may be: kubectl tocsin coverage -A",
            )
        spec = {"origin": "Person", "policyRef": {"name": chosen[0]}, "model": model, "reason": reason}
        spec |= {"source": source.capitalize()} if source else {}
        spec |= {"harm": harm} if harm else {}
        made = await self._made(
            "Incident", "incidents", f"{model[:40]}-report-", spec, "incidents.tocsin.dev", "report"
        )
        name = made["metadata"]["name"]
        status = await self._looked_at(name)
        if status is None:
            print(f"opened incident/{name}; the operator has not looked at it within {PATIENCE:g} s")
        elif status.joined:
            print(
                f"incident/{name} joined incident/{status.joined}, which is open: kubectl tocsin show {status.joined}"
            )
        else:
            print(f"opened incident/{name}: {status.severity}; waiting for {status.waiting_for}")
        return 0

    async def _looked_at(self, name: str) -> IncidentStatus | None:
        """What the operator made of a new incident; None when it says nothing in time."""
        deadline = self._clock.monotonic() + PATIENCE
        while self._clock.monotonic() < deadline:
            status = (await self._incident(name)).status
            if status.conditions:
                return status
            await self._clock.sleep(PAUSE)
        return None

    async def _incident(self, name: str) -> Incident:
        return Incident.model_validate(await read(self._api, "incidents", self._namespace, name, "incidents"))

    def _after(self, flag: str, span: str) -> datetime:
        try:
            return self._clock.now() + parse_duration(span)
        except ValueError as bad:
            raise Mistake(f"{flag}: {bad}") from bad

    def _bound(self, act: Act, incident: Incident, wanted: str | None, *, yes: bool) -> dict[str, str]:
        """What exactly is decided on: the option that asks, what was carried out, what somebody has ordered alone."""
        if act.type is DecisionType.UNDO:
            return self._in_place(incident, wanted, yes=yes)
        asks = any(
            one.state is OptionState.ASKING and wanted in (None, one.name) for one in incident.status.containment
        )
        broken = [one for one in unsettled(incident.status) if wanted in (None, one.option)]
        if broken and not asks and act.type is not DecisionType.BREAK_GLASS:
            _print_felt(option_of(incident.rules, broken[0].option), ran=True)
            print(f"{broken[0].option}, which {broken[0].by} ordered alone: {broken[0].reason}")
            self._confirm(act.word, yes=yes)
            return {"option": broken[0].option, "digest": broken[0].digest}
        option = self._asking(incident, wanted)
        _print_felt(option_of(incident.rules, option.name))
        print(f"{option.name}: {option.summary}")
        for note in option.notes:
            print(f"  note: {note}")
        print(f"  approvals so far: {len(option.approvals)} of {option.needs}")
        self._confirm(act.word, yes=yes)
        return {"option": option.name, "digest": option.digest or ""}

    def _in_place(self, incident: Incident, wanted: str | None, *, yes: bool) -> dict[str, str]:
        """What an undo takes back, shown with what comes back: the option that is meant, or the last carried out."""
        found = [one for one in incident.status.containment if one.state in IN_PLACE and wanted in (None, one.name)]
        if not found:
            raise self._no_option(incident, wanted, "is in place")
        option, target = found[-1], incident.target.what if incident.target else "the target"
        print(f"{option.name} is {option.state}: {option.summary}")
        print(f"  to undo it: {what_comes_back(option, target)}")
        print("  nothing is contained again by itself until somebody lets automation go on: kubectl tocsin resume")
        self._confirm("undo", yes=yes)
        return {"option": option.name, "digest": option.digest or ""}

    def _asking(self, incident: Incident, wanted: str | None) -> OptionRecord:
        asking = [one for one in incident.status.containment if one.state is OptionState.ASKING]
        chosen = [one for one in asking if wanted in (None, one.name)]
        if chosen:
            return chosen[0]
        raise self._no_option(incident, wanted, "asks for approval")

    def _no_option(self, incident: Incident, wanted: str | None, does: str) -> Mistake:
        states = ", ".join(f"{one.name} is {one.state}" for one in incident.status.containment) or "none was tried"
        return Mistake(
            f"no option{f' {wanted}' if wanted else ''} of {incident.metadata.name} {does}: {states}",
            f"see: kubectl describe incident {incident.metadata.name} -n {self._namespace}",
        )

    def _confirm(self, word: str, what: str = "it", *, yes: bool) -> None:
        """Ask back, after it was shown what exactly is meant."""
        if yes:
            return
        if self._ask is None:
            raise Mistake(f"standard input is no terminal: give --yes to {word} {what}")
        if not self._ask(f"{word} {what}?"):
            raise Mistake("nothing was decided")

    async def _create(self, spec: Mapping[str, Any], right: str) -> Any:
        return await self._made("Decision", "decisions", f"{right}-", spec, "decisions.tocsin.dev", right)

    async def _made(self, kind: str, plural: str, prefix: str, spec: Mapping[str, Any], what: str, right: str) -> Any:
        """Create an object in the user's own name; a refusal says how to see what one may do.

        The right is a subresource of what is created, or empty when to create it is the right.
        """
        try:
            body = {
                "apiVersion": API_VERSION,
                "kind": kind,
                "metadata": {"generateName": prefix, "namespace": self._namespace},
                "spec": {**spec, "by": await self._user()},
            }
            return await self._api.create(path(API_VERSION, plural, self._namespace), body)
        except ApiError as refused:
            if refused.code == 403:
                subresource = f" --subresource={right}" if right else ""
                raise Mistake(
                    f"refused: {refused.message}",
                    f"see what you may do: kubectl auth can-i create {what}{subresource} -n {self._namespace}",
                ) from refused
            raise Mistake(
                f"refused: {refused.message}", f"see what it must say: kubectl explain {kind.lower()}.spec"
            ) from refused

    async def _user(self) -> str:
        """The user's own name, as the API server knows it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return str((await self._api.create(REVIEWS, body))["status"]["userInfo"]["username"])

    async def _verdict(self, incident: str, uid: str, deadline: float) -> tuple[bool, str] | None:
        """What the operator made of a Decision; None when it says nothing in time."""
        while True:
            found = await self._incident(incident)
            for record in found.status.decisions:
                if record.uid == uid:
                    return record.counted, record.message
            if self._clock.monotonic() >= deadline:
                return None
            await self._clock.sleep(PAUSE)
