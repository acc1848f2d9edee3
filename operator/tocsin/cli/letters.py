"""Where people read, edit and judge messages: nobody decides on words that they were not shown."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tocsin.api.checks import strict
from tocsin.api.decision import DecisionType
from tocsin.api.message import BY_HAND, CLOSED, UNDER_WAY, Message, MessageSpec
from tocsin.api.objects import API_VERSION
from tocsin.api.quantities import format_time
from tocsin.api.template import Audience, MessageTemplate
from tocsin.apiserver import ApiError, path
from tocsin.cli.desk import PATIENCE, PAUSE, Desk, asked
from tocsin.cli.files import Mistake, documents
from tocsin.cli.looking import connected, listed, read
from tocsin.cli.messages import JUDGED
from tocsin.cli.previewing import values_of
from tocsin.clock import SystemClock
from tocsin.decide.context import BY_PATH, Variable
from tocsin.decide.drafting import drafted, template_digest
from tocsin.decide.message_situation import words_of
from tocsin.decide.rendering import Unrenderable, digest_of

COLUMNS = ("NAME", "INCIDENT", "AUDIENCE", "PHASE", "STATE", "WAITING FOR")
ESTIMATE = "remediation.estimate"
"""Stands in the template itself."""
EDITED = """\
# The texts of {name}, for {audience} ({phase}). Lines that begin with # here, before the first text, are left out.
# What is saved is what others approve: {digest}
"""


async def carry_out(arguments: argparse.Namespace) -> int:
    """Connect as the user, and do what was asked."""
    async with connected() as (api, default):
        namespace = "" if getattr(arguments, "all_namespaces", False) else arguments.namespace or default
        letters = Letters(api, namespace, SystemClock(), ask=asked if sys.stdin.isatty() else None)
        name = getattr(arguments, "message", "").rpartition("/")[2]
        match arguments.word:
            case "list":
                return await letters.list_all(arguments.incident)
            case "show":
                return await letters.show(name)
            case "draft":
                return await letters.draft(arguments)
            case "edit":
                return await letters.edit(name, arguments.file)
            case "authorise":
                return await letters.authorise_template(arguments)
            case word:
                return await letters.judge(word, name, arguments.reason, yes=arguments.yes)


class Letters(Desk):
    """The desk at which messages are read and judged, in one namespace, under the user's own name."""

    async def list_all(self, incident: str | None) -> int:
        """One line for each, without its words."""
        found = [Message.model_validate(one) for one in await listed(self._api, "messages", self._namespace)]
        about = (incident or "").rpartition("/")[2]
        rows = [_row(one) for one in found if about in ("", one.spec.incident_ref.name)]
        if not rows:
            print(f"no messages{f' about {about}' if about else ''}; what could be: kubectl tocsin message preview")
            return 0
        for line in _aligned([COLUMNS, *rows]):
            print(line)
        return 0

    async def show(self, name: str) -> int:
        """The words as they are, whose word they have, and what happened."""
        print("\n".join(message_lines(await self._message(name))))
        return 0

    async def draft(self, arguments: argparse.Namespace) -> int:
        """Make a message of an incident as it is now; it needs what its template asks, like any other."""
        incident = await self._incident(arguments.incident.rpartition("/")[2])
        if incident.rules is None:
            raise Mistake(f"{incident.metadata.name} has no rules yet: try again in a moment")
        template = await self._template(arguments.template, arguments.operator_namespace)
        key = f"{BY_HAND}{incident.metadata.uid}/{secrets.token_hex(8)}"
        values, user = values_of(arguments.value), await self._user()
        made = drafted(incident, incident.rules, self._clock.now(), key, template, values=values, by=user)
        if isinstance(made, Unrenderable):
            raise Mistake(f"{template.metadata.name}: {made.reason}: {made.message}")
        metadata = {"generateName": f"{incident.metadata.name[:63]}-{template.metadata.name[:63]}-"}
        body = {"apiVersion": API_VERSION, "kind": "Message", "metadata": metadata, "spec": made.dump()}
        try:
            raw = await self._api.create(path(API_VERSION, "messages", self._namespace), body)
        except ApiError as refused:
            raise Mistake(
                f"refused: {refused.message}",
                f"see: kubectl auth can-i create messages.tocsin.dev -n {self._namespace}",
            ) from refused
        print("\n".join(message_lines(Message.model_validate(raw))))
        return 0

    async def edit(self, name: str, file: Path | None) -> int:
        """Write other words, if nobody else has meanwhile."""
        message = await self._message(name)
        if message.status.state in CLOSED:
            raise Mistake(f"{name} is {message.status.state}: {UNDER_WAY}")
        texts = _texts_in(file, documents(file)) if file else await self._in_editor(message)
        spec, wrong = strict(message.spec.dump() | {"texts": texts}, MessageSpec, "spec")
        if spec is None:
            raise Mistake(*wrong)
        if spec.texts == message.spec.texts:
            raise Mistake("nothing was changed")
        user = await self._user()
        editors = [*(one for one in message.spec.edited_by if one != user), user]
        where = path(API_VERSION, "messages", self._namespace, name)
        body = {
            "metadata": {"resourceVersion": message.metadata.resource_version, "uid": message.metadata.uid},
            "spec": {"texts": texts, "editedBy": editors},
        }
        try:
            raw = await self._api.merge(where, body)
        except ApiError as refused:
            if refused.code == 409:
                raise Mistake(
                    f"somebody else has changed {name} meanwhile: yours was not written",
                    f"see: kubectl tocsin message show {name}",
                ) from refused
            raise Mistake(f"refused: {refused.message}", f"see: kubectl tocsin message show {name}") from refused
        changed = Message.model_validate(raw)
        void = len(message.status.approvals)
        print(f"edited {name}: {digest_of(words_of(changed))}{f'; {void} approvals are void' if void else ''}")
        return 0

    async def judge(self, word: str, name: str, reason: str, *, yes: bool) -> int:
        """Decide on the very words that were shown; 1 when it did not count."""
        message = await self._message(name)
        for line in message_lines(message):
            print(line)
        bound = digest_of(words_of(message))
        if message.status.digest != bound:
            raise Mistake("the operator has not looked at these words yet: try again in a moment")
        self._confirm(word, yes=yes)
        type_ = JUDGED[word]
        reference = {"name": name, "uid": message.metadata.uid}
        made = await self._create(
            {"type": type_, "messageRef": reference, "digest": bound, "reason": reason}, type_.right
        )
        return await self._told(name, made["metadata"])

    async def authorise_template(self, arguments: argparse.Namespace) -> int:
        """Let messages of a template go out unseen, as far as only some of what they say varies."""
        until = self._after("--for", arguments.span)
        template = await self._template(arguments.template, arguments.operator_namespace)
        varying = _facts_of(arguments.varying)
        for line in template_lines(template, varying):
            print(line)
        self._confirm("authorise", yes=arguments.yes)
        type_ = DecisionType.AUTHORISE_MESSAGE
        spec = {
            "type": type_,
            "templateRef": {"name": template.metadata.name, "uid": template.metadata.uid},
            "digest": template_digest(template.spec),
            "expireTime": format_time(until),
            "reason": arguments.reason,
            **({"varying": varying} if varying else {}),
        }
        made = await self._create(spec, type_.right)
        name, until_words = template.metadata.name, spec["expireTime"]
        print(f"authorised messages from {name} until {until_words}: decision/{made['metadata']['name']}")
        return 0

    async def _told(self, name: str, decision: Any) -> int:
        """Say what became of a Decision."""
        deadline = self._clock.monotonic() + PATIENCE
        while self._clock.monotonic() < deadline:
            message = await self._message(name)
            for record in message.status.decisions:
                if record.uid == decision["uid"]:
                    print(record.message if record.counted else f"did not count: {record.message}")
                    return 0 if record.counted else 1
            await self._clock.sleep(PAUSE)
        print(
            f"recorded as decision/{decision['name']}; the operator has not answered within {PATIENCE:g} s: "
            f"kubectl tocsin message show {name} -n {self._namespace}"
        )
        return 0

    async def _message(self, name: str) -> Message:
        return Message.model_validate(await read(self._api, "messages", self._namespace, name, "messages"))

    async def _template(self, name: str, operators: str) -> MessageTemplate:
        for namespace in (self._namespace, operators):
            try:
                return MessageTemplate.model_validate(
                    await self._api.get(path(API_VERSION, "messagetemplates", namespace, name))
                )
            except ApiError as refused:
                if refused.code != 404:
                    raise
        raise Mistake(
            f"there is no template {name} in namespace {self._namespace}, nor in {operators}",
            f"see: kubectl get messagetemplates -n {operators}; another one: --operator-namespace",
        )

    async def _in_editor(self, message: Message) -> list[Any]:
        """The texts as the user's editor has left them."""
        if self._ask is None:
            raise Mistake("standard input is no terminal: give the texts by --file")
        editor = shlex.split(os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi")
        with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:  # readable by its owner only
            file = Path(folder) / f"{message.metadata.name}.yaml"
            file.write_text(editable(message))
            done = await asyncio.to_thread(subprocess.run, [*editor, str(file)], check=False)
            if done.returncode:
                raise Mistake(f"{editor[0]} ended with {done.returncode}: nothing was written")
            return _texts_in(file, documents(file))


def editable(message: Message) -> str:
    """The texts as YAML that a person edits, long ones as blocks."""
    head = EDITED.format(
        name=message.metadata.name,
        audience=message.spec.audience,
        phase=message.spec.phase,
        digest=digest_of(words_of(message)),
    )
    return head + yaml.dump([one.dump() for one in message.spec.texts], Dumper=_Blocks, sort_keys=False, width=10_000)


class _Blocks(yaml.SafeDumper):
    """YAML in which a text of several lines stands as it is."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _block)


def _texts_in(file: Path, found: Sequence[Any]) -> list[Any]:
    """The one list of texts in a file; what each of them says, the model checks."""
    if len(found) != 1 or not isinstance(found[0], list):
        raise Mistake(f"{file}: write one list of texts, each with language, subject and body")
    return list(found[0])


def message_lines(message: Message) -> Iterator[str]:
    """All that there is to say of a message, its exact words first."""
    metadata, spec, status = message.metadata, message.spec, message.status
    yield f"{metadata.name}: for {spec.audience}, phase {spec.phase}, about incident {spec.incident_ref.name}"
    for text in spec.texts:
        yield from ("", f"--- {text.language}", f"Subject: {text.subject}", "", text.body)
    yield from ("", f"digest: {digest_of(words_of(message))}")
    waits = f", waiting for {status.waiting_for}" if status.waiting_for else ""
    yield f"state: {status.state}{waits}"
    yield f"needs: {', '.join(spec.terms.approvals) or 'no approval'}; drafted from template {spec.template_ref.name}"
    yield f"goes to: {_destination(spec)}"
    if spec.edited_by:
        yield f"edited by: {', '.join(spec.edited_by)}"
    yield from (f"approved by {one.by} at {format_time(one.time)}" for one in status.approvals)
    if status.release:
        approved = status.release.under == "Approval"
        yield f"released by {status.release.by} {'as approved' if approved else 'under standing approval, unseen'}"
        for part in status.release.parts:
            yield f"  {part.to}: {part.state}{f', {part.message}' if part.message else ''}"
    yield from (f"{format_time(one.time)} {one.what}" for one in status.story)


def _destination(spec: MessageSpec) -> str:
    if spec.terms.to:
        return f"the channels of {', '.join(spec.terms.to)}"
    if spec.terms.sender:
        return f"the sender in Secret {spec.terms.sender.secret_ref.name}"
    why = "a person submits it" if spec.audience is Audience.REGULATORS else "it has no sender"
    return f"nobody by itself: {why}"


def template_lines(template: MessageTemplate, varying: Sequence[str]) -> Iterator[str]:
    """What is authorised: the words, and what in them may say whatever is true then."""
    spec = template.spec
    asks = ", ".join(spec.approvals) or "nobody"
    yield f"{template.metadata.name}: for {spec.audience}, phase {spec.phase}; asks {asks}"
    for text in spec.texts:
        yield from ("", f"--- {text.language}", f"Subject: {text.subject}", "", text.body)
    yield from ("", f"digest: {template_digest(spec)}", f"may vary: {', '.join(varying) or 'nothing'}")
    sources = "\n".join(part for one in spec.texts for part in (one.subject, one.body))
    facts = dict.fromkeys(_fact_of(one) for one in BY_PATH.values() if one.path in sources)
    others = [name for name in facts if name not in varying and name != ESTIMATE]
    if others:
        yield f"also named: {', '.join(others)}; a message whose words rest on one of these is not covered"


def _facts_of(varying: Sequence[str]) -> list[str]:
    """What an authorisation lets vary: a variable that says a fact in words stands for that fact."""
    for name in varying:
        if name not in BY_PATH:
            raise Mistake(f"--varying: there is no variable {name}", "see docs/reference/message-context.md")
    return sorted({_fact_of(BY_PATH[name]) for name in varying})


def _fact_of(variable: Variable) -> str:
    return (variable.source or variable.path).partition("[]")[0]


def _row(message: Message) -> tuple[str, ...]:
    spec, status = message.spec, message.status
    return (message.metadata.name, spec.incident_ref.name, spec.audience, spec.phase, status.state, status.waiting_for)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
