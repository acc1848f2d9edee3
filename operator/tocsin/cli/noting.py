"""``--note-file`` and ``kubectl tocsin notes verify``: what is privileged stands apart, elsewhere its digest."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocsin.api.decision import Decision
from tocsin.api.incident import DecisionRecord, Incident
from tocsin.api.legalnote import LONGEST, LegalNote, text_digest
from tocsin.cli.files import Mistake


def add_note_file(parser: argparse.ArgumentParser) -> None:
    """Add the flag to a command that makes a Decision about one incident; the Desk does the rest."""
    parser.add_argument(
        "--note-file",
        type=Path,
        metavar="FILE",
        help="what of the reason is privileged: it becomes a LegalNote, and stands in the Decision by its digest alone",
    )


def note_text(file: Path) -> str:
    """The text of a privileged note, as it stands in a file; a Mistake says what is wrong with it."""
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as bad:
        raise Mistake(f"--note-file: {file}: cannot be read as a text: {bad}") from bad
    if not text.strip():
        raise Mistake(f"--note-file: {file}: says nothing: leave the flag out, or write what is privileged")
    if len(text) > LONGEST:
        raise Mistake(f"--note-file: {file}: has {len(text)} characters, at most {LONGEST} are kept: shorten it")
    return text


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    top = commands.add_parser(
        "notes",
        help="the privileged notes of an incident, for who may read them",
        description="The privileged notes of an incident, for who may read them.",
    )
    words = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = words.add_parser(
        "verify",
        help="whether each note is there, and says what the record says that it said",
        description="Compare the text of each note with the digest that stands in the incident's record.",
    )
    parser.add_argument("name", metavar="incident", help="its name, with or without inc/ before it")
    parser.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    parser.set_defaults(run=run, word="notes verify")


def run(arguments: argparse.Namespace) -> int:
    """Look at the cluster of the kubeconfig; 1 when a note is missing or differs."""
    return asyncio.run(_verify(arguments.name.rpartition("/")[2], arguments.namespace))


async def _verify(name: str, namespace: str | None) -> int:
    from tocsin.cli.looking import connected, listed, read

    async with connected() as (api, default):
        where = namespace or default
        incident = Incident.model_validate(await read(api, "incidents", where, name, "incidents"))
        selector = {"fieldSelector": f"spec.incidentRef.name={name}"}
        decisions = [Decision.model_validate(one) for one in await listed(api, "decisions", where, **selector)]
        notes = [LegalNote.model_validate(one) for one in await listed(api, "legalnotes", where, **selector)]
    sound = True
    for words, good in verdicts(incident, decisions, notes):
        print(words)
        sound = sound and good
    return 0 if sound else 1


def verdicts(
    incident: Incident, decisions: Sequence[Decision], notes: Sequence[LegalNote]
) -> Iterator[tuple[str, bool]]:
    """What is to be said of each note of the record, and whether it is as it was; then of those that nobody names."""
    uid = incident.metadata.uid
    mine = {one.metadata.name: one for one in notes if one.spec.incident_ref.uid == uid}
    by_digest = {text_digest(one.spec.text): one for one in mine.values()}
    named: set[str] = set()
    promised = list(_promised(incident, decisions))
    for who, note, digest in promised:
        found = by_digest.get(digest)
        if found:
            named.add(found.metadata.name)
            yield f"{who}: legalnote/{found.metadata.name} by {found.spec.by} says what it said", True
        elif note in mine:
            named.add(note)
            yield f"{who}: legalnote/{note} DIFFERS: its text is not the one of {digest}", False
        else:
            where = f"legalnote/{note}" if note else "its note"
            yield f"{who}: {where} is MISSING: nothing with the digest {digest} is there", False
    for name in sorted(mine.keys() - named):
        yield f"legalnote/{name} by {mine[name].spec.by} is named by no Decision", True
    if not promised and not mine:
        yield f"no Decision about {incident.metadata.name} names a note", True


def _promised(incident: Incident, decisions: Sequence[Decision]) -> Iterator[tuple[str, str, str]]:
    """The Decisions that name a note, on record or as objects: who decided what, the note's name, and its digest."""
    uid = incident.metadata.uid
    objects: Mapping[str, Decision] = {
        one.metadata.uid: one for one in decisions if one.spec.incident_ref and one.spec.incident_ref.uid in (None, uid)
    }
    records: dict[str, DecisionRecord] = {one.uid: one for one in incident.status.decisions}
    for key in dict.fromkeys((*records, *objects)):
        record, decision = records.get(key), objects.get(key)
        note = decision.spec.note if decision else None
        digest = record.note if record else note.digest if note else None
        if digest:
            about: Any = record or (decision and decision.spec)
            name = record.name if record else decision.metadata.name if decision else ""
            yield f"{about.type} by {about.by} (decision/{name})", note.name if note else "", digest
