"""Does what is typed become the right Silence or note, and is what they say said in words?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_decision, a_silence, an_incident
from tests.cli.test_desk import Office
from tests.cli.test_views import an_open, printed
from tests.cluster.access import Access
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.legalnote import LegalNote, text_digest
from tocsin.api.silence import Silence
from tocsin.cli.files import Mistake
from tocsin.cli.main import main
from tocsin.cli.noting import note_text, verdicts
from tocsin.cli.silencing import FIELDS, in_force, matchers_of, words_of
from tocsin.clock import SystemClock

NOTHING: dict[str, list[str]] = {word: [] for word in FIELDS}
FRAUD = {"field": "Model", "values": ["fraud"]}
ADVICE = "counsel advises to tell the authority by noon"


@pytest.mark.parametrize(
    ("chosen", "matchers", "words"),
    [
        pytest.param(
            {"model": ["fraud", "credit", "fraud"]},
            [{"field": "Model", "operator": "In", "values": ["fraud", "credit"]}],
            "model fraud or credit",
            id="one of several models",
        ),
        pytest.param(
            {"policy": ["shop"], "model": ["!fraud"], "responder": ["owners"]},
            [
                {"field": "Model", "operator": "NotIn", "values": ["fraud"]},
                {"field": "Policy", "operator": "In", "values": ["shop"]},
                {"field": "Responder", "operator": "In", "values": ["owners"]},
            ],
            "not model fraud, policy shop, responder owners",
            id="a policy but for a model, and one role",
        ),
        pytest.param(
            {"tier": ["owners"], "signal": ["latency"]},
            [
                {"field": "Signal", "operator": "In", "values": ["latency"]},
                {"field": "Tier", "operator": "In", "values": ["owners"]},
            ],
            "signal latency, tier owners",
            id="a signal and a tier",
        ),
    ],
)
def test_flags_become_matchers(chosen: dict[str, list[str]], matchers: list[dict[str, Any]], words: str) -> None:
    assert matchers_of(NOTHING | chosen) == matchers
    assert words_of(a_silence(*matchers).spec) == words


def test_status_lists_what_is_silenced_now_and_show_says_why_nobody_hears(capsys: pytest.CaptureFixture[str]) -> None:
    held = a_silence(FRAUD)
    later, over = a_silence(name="later", begin=T0 + MIN), a_silence(name="over", begin=T0 - HOUR, until=T0)
    assert in_force([later, held, over], T0) == [held]

    lines = printed(capsys, [an_open(), later, held, over], "status")
    assert lines[-2:] == ["silenced", "  models/quiet: model fraud, by alice, ends in 1h: maintenance"]

    told = {"name": "quiet", "uid": "u", "by": "alice", "until": T0 + HOUR, "reason": "maintenance"}
    swings = (T0 - 3 * MIN, T0 - 2 * MIN, T0 - MIN)
    shown = printed(capsys, an_open(silenced=told, swings=swings, flapping_since=T0), "show", "fraud-1")
    assert "  silenced by alice, ends in 1h: maintenance (silence/quiet)" in shown
    assert "  it flaps: 3 changes between breach and recovery within 2h, the last at 2026-11-23T08:59:00Z" in shown


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "cannot be read as a text", id="no file"),
        pytest.param(b"\xff\xfe", "cannot be read as a text", id="no text"),
        pytest.param(b" \n", "says nothing", id="an empty text"),
        pytest.param(b"x" * 16385, "has 16385 characters, at most 16384 are kept: shorten it", id="a book"),
    ],
)
def test_a_file_that_is_no_note_is_refused_before_anything_is_made(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "note"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Mistake, match="--note-file: ") as refused:
        note_text(file)
    assert says in str(refused.value)


def test_a_note_is_kept_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "note"
    file.write_bytes("§ 33\r\n€\n".encode())
    assert note_text(file) == "§ 33\r\n€\n"


def a_note(text: str = ADVICE, name: str = "note-1", uid: str = "incident-uid") -> LegalNote:
    spec = {"incidentRef": {"name": "fraud-1", "uid": uid}, "text": text, "by": "lena"}
    return LegalNote.model_validate({"metadata": {"name": name, "namespace": "models"}, "spec": spec})


RESOLVE = a_decision("Resolve", "alice", reason="closed", note={"name": "note-1", "digest": text_digest(ADVICE)})
PLAIN = a_decision("Note", "bob", reason="looked at")


def recorded(*decisions: Decision) -> Incident:
    records = [
        {
            "uid": one.metadata.uid,
            "name": one.metadata.name,
            "type": one.spec.type,
            "by": one.spec.by,
            "time": T0,
            "counted": True,
            "note": one.spec.note and one.spec.note.digest,
        }
        for one in decisions
    ]
    return an_incident(decisions=records)


WHO = "Resolve by alice (decision/resolve-alice)"


@pytest.mark.parametrize(
    ("incident", "decisions", "notes", "said"),
    [
        pytest.param(
            recorded(RESOLVE, PLAIN),
            [RESOLVE, PLAIN],
            [a_note()],
            [(f"{WHO}: legalnote/note-1 by lena says what it said", True)],
            id="it is as it was",
        ),
        pytest.param(
            recorded(RESOLVE),
            [],
            [a_note(name="copy")],
            [(f"{WHO}: legalnote/copy by lena says what it said", True)],
            id="the Decision is gone, and the text is there",
        ),
        pytest.param(
            recorded(RESOLVE),
            [RESOLVE],
            [a_note("counsel advises to wait")],
            [(f"{WHO}: legalnote/note-1 DIFFERS: its text is not the one of {text_digest(ADVICE)}", False)],
            id="it was made anew with another text",
        ),
        pytest.param(
            recorded(RESOLVE),
            [RESOLVE],
            [a_note(uid="another")],
            [(f"{WHO}: legalnote/note-1 is MISSING: nothing with the digest {text_digest(ADVICE)} is there", False)],
            id="it is missing: one of another incident of that name is none",
        ),
        pytest.param(
            recorded(),
            [RESOLVE],
            [a_note()],
            [(f"{WHO}: legalnote/note-1 by lena says what it said", True)],
            id="the Decision was not heard yet",
        ),
        pytest.param(
            recorded(PLAIN),
            [PLAIN],
            [a_note()],
            [
                ("legalnote/note-1 by lena is named by no Decision", True),
            ],
            id="nobody names it",
        ),
        pytest.param(
            recorded(PLAIN), [PLAIN], [], [("no Decision about fraud-1 names a note", True)], id="there is none"
        ),
    ],
)
def test_what_is_said_of_notes(
    incident: Incident, decisions: list[Decision], notes: list[LegalNote], said: list[tuple[str, bool]]
) -> None:
    assert list(verdicts(incident, decisions, notes)) == said


# --- on a real API server


@pytest.fixture
def office(served: Access, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(served, namespace, monkeypatch)


def silences(cluster: Access, place: Office) -> list[Silence]:
    return [Silence.model_validate(one) for one in cluster.api("GET", f"{place.url}/silences")["items"]]


def test_a_silence_is_made_listed_and_ended(served: Access, office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "list", "-n", office.namespace]) == 0
    assert capsys.readouterr().out == "nothing is silenced\n"
    words = ["silence", "add", "--model", "fraud", "--for", "2h", "--reason", "maintenance", "-n", office.namespace]
    assert main(words) == 0

    (made,) = silences(served, office)
    name = made.metadata.name
    assert (made.spec.by, made.spec.reason, words_of(made.spec)) == ("alice", "maintenance", "model fraud")
    assert made.spec.until - made.spec.from_ == 2 * HOUR
    assert f"silence/{name}; SEV1 and SEV2 page all the same" in capsys.readouterr().out
    main(["silence", "list", "-n", office.namespace])
    assert re.search(rf"^{name}\s+holds\s+model fraud ", capsys.readouterr().out, re.MULTILINE)
    main(["status", "-n", office.namespace])
    assert f"{office.namespace}/{name}: model fraud, by alice, ends in " in capsys.readouterr().out

    assert main(["silence", "expire", f"sil/{name}", "-n", office.namespace]) == 0
    assert silences(served, office)[0].spec.until <= SystemClock().now() + MIN
    main(["silence", "expire", name, "-n", office.namespace])
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"silence/{name} is over since ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--for", "1h"], "name what is silenced, for example --model fraud, or give --everything alone"),
        (["--model", "!fraud", "--for", "1h"], "name what is silenced"),
        (["--model", "fraud", "--everything", "--for", "1h"], "name what is silenced"),
        (["--model", "fraud", "--for", "721h"], "--for: 721h is not between 1s and 720h, which are 30 days"),
        (["--model", "fraud", "--for", "0s"], "--for: 0s is not between 1s and 720h"),
        (["--model", "fraud", "--for", "1d"], "--for: '1d' is not a duration"),
        (["--model", "fraud", "--for", "1h", "--reason", "x"], "--reason: say why nobody needs to be told"),
    ],
)
def test_a_silence_of_nothing_or_for_ever_is_refused(
    served: Access, office: Office, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["silence", "add", "--reason", "maintenance", "-n", office.namespace, *words]) == 2
    assert says in capsys.readouterr().err
    assert silences(served, office) == []


def test_a_note_file_becomes_a_note_and_the_decision_says_its_digest(
    served: Access, office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "advice.txt"
    file.write_text(ADVICE)
    office.decide("resolve", reason="closed on advice", note_file=file)  # type: ignore[arg-type]  # as argparse gives it

    (note,) = (LegalNote.model_validate(one) for one in served.api("GET", f"{office.url}/legalnotes")["items"])
    (decision,) = office.decisions()
    assert (note.spec.text, note.spec.by, note.spec.incident_ref.name) == (ADVICE, "alice", "fraud-1")
    assert decision.spec.note
    assert (decision.spec.note.name, decision.spec.note.digest) == (note.metadata.name, text_digest(ADVICE))
    assert ADVICE not in str(decision.dump())
    capsys.readouterr()

    assert main(["notes", "verify", "inc/fraud-1", "-n", office.namespace]) == 0
    assert capsys.readouterr().out.endswith(f"legalnote/{note.metadata.name} by alice says what it said\n")
    served.api("DELETE", f"{office.url}/legalnotes/{note.metadata.name}")
    assert main(["notes", "verify", "fraud-1", "-n", office.namespace]) == 1
    assert "is MISSING" in capsys.readouterr().out


def test_without_a_note_nothing_is_made(served: Access, office: Office, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="cannot be read"):
        office.decide("resolve", reason="closed", note_file=tmp_path / "none")  # type: ignore[arg-type]  # as above
    assert (office.decisions(), served.api("GET", f"{office.url}/legalnotes")["items"]) == ([], [])
