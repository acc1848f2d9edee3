"""Does whoever approves read first what people will feel, and is an authorisation void when that text is another?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_policy, a_situation, an_incident, the_rules
from tests.decide.test_containment import a_record, a_standing, only, step
from tests.decide.test_notices import an_intent, the_status
from tocsin.api.containment import Option
from tocsin.api.incident import OptionState
from tocsin.api.policy import EscalationPolicy
from tocsin.decide.defaults import freeze, option_digest
from tocsin.decide.felt import felt, felt_if_approved
from tocsin.decide.notices import due_notices
from tocsin.decide.situation import Budget

EFFECT = {"experience": "Applicants wait\n  until tomorrow.", "fallback": "The branches decide by hand."}
BACK: dict[str, Any] = {"name": "back", "type": "RollBack"}
ORDERED = {"option": "stop", "digest": "sha256:" + "a" * 64, "by": "eve", "time": T0, "reason": "patients wait"}
ORDERED |= {"approveDeadline": T0 + 24 * HOUR}
BY_HAND = "By hand meanwhile: The branches decide by hand."
ASKED = (
    "If last-healthy runs, people will experience: Payments are checked by the older rules.",
    "By hand meanwhile: The desk reviews large payments by hand.",
)
HOLDS = (f"While last-healthy holds, people experience: {ASKED[0].partition(': ')[2]}", ASKED[1])
STOPPED = (
    "While stop holds, people experience: Payments above 500 wait.",
    "By hand meanwhile: The desk releases waiting payments by hand.",
)


@pytest.mark.parametrize(
    ("option", "ran", "lines"),
    [
        pytest.param(
            BACK | {"effect": EFFECT},
            False,
            ("If back runs, people will experience: Applicants wait until tomorrow.", BY_HAND),
            id="before it runs, each text in one line",
        ),
        pytest.param(
            BACK | {"effect": EFFECT},
            True,
            ("While back holds, people experience: Applicants wait until tomorrow.", BY_HAND),
            id="once it ran",
        ),
        pytest.param(BACK, False, (), id="an option of an older policy says nothing"),
        pytest.param(None, False, (), id="an option that the rules do not have"),
    ],
)
def test_what_an_option_means_to_people(option: dict[str, Any] | None, ran: bool, lines: tuple[str, ...]) -> None:
    assert felt(option and Option.model_validate(option), ran=ran) == lines


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        pytest.param({"containment": (a_record(OptionState.ASKING),)}, ASKED, id="what asks"),
        pytest.param({"containment": (a_record(OptionState.EXECUTED),)}, (), id="nothing that runs by itself"),
        pytest.param({"break_glass": (ORDERED,)}, STOPPED, id="what one person has ordered alone"),
        pytest.param({"break_glass": (ORDERED | {"verdict": "Approved"},)}, (), id="nothing that has its verdict"),
        pytest.param(
            {"break_glass": (ORDERED,), "containment": (a_record(OptionState.ASKING),)},
            (*ASKED, *STOPPED),
            id="what asks before what was ordered alone",
        ),
        pytest.param(
            {"containment": (a_record(OptionState.ASKING),), "resolved_time": T0}, (), id="nothing when it is over"
        ),
    ],
)
def test_what_whoever_gives_their_word_reads_first(fields: dict[str, Any], lines: tuple[str, ...]) -> None:
    assert felt_if_approved(the_rules(), the_status(**fields)) == lines
    assert felt_if_approved(None, the_status(**fields)) == ()


@pytest.mark.parametrize(
    ("state", "first", "beneath"),
    [
        (OptionState.ASKING, ASKED, ()),
        (OptionState.EXECUTING, (), ()),
        (OptionState.EXECUTED, (), HOLDS),
        (OptionState.HELPED, (), HOLDS),
        (OptionState.CANNOT_TELL, (), HOLDS),
        (OptionState.DID_NOT_HELP, (), HOLDS),
        (OptionState.REVERTED, (), ()),
        (OptionState.UNDONE, (), ()),
        (OptionState.OBSERVED, (), ()),
    ],
)
def test_a_notice_says_it_before_all_else_while_it_is_asked_and_beneath_while_it_is_in_place(
    state: OptionState, first: tuple[str, ...], beneath: tuple[str, ...]
) -> None:
    status = the_status(effects=(an_intent(),), containment=(a_record(state),))
    (due,) = due_notices(a_situation(an_incident().model_copy(update={"status": status})), status)
    lines = due.notice.text.splitlines()
    model, option = (next(at for at, line in enumerate(lines) if line.startswith(one)) for one in ("Model", "Contain"))
    assert lines[1:model] == list(first)
    assert [line.strip() for line in lines[option + 1 :] if line.strip() in (*ASKED, *HOLDS)] == list(beneath)


def described(text: str | None) -> EscalationPolicy:
    """A policy whose option needs a person, who reads this."""
    effect = {"effect": {"experience": text, "fallback": "The branches decide by hand."}} if text else {}
    option = {"name": "last-healthy", "type": "RollBack", "approval": {"required": 1, "failSafeAfter": "5m"}}
    return a_policy(containment=[option | effect])


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("Applicants wait.", OptionState.EXECUTING, id="the text that was authorised: it runs"),
        pytest.param("Nobody notices.", OptionState.ASKING, id="another text: it asks"),
        pytest.param(None, OptionState.ASKING, id="no text: it asks"),
    ],
)
def test_an_authorisation_is_for_the_consequences_that_were_shown(text: str | None, state: OptionState) -> None:
    authorised = a_standing(the_rules(described("Applicants wait.")))
    record = a_record(OptionState.ASKING, fail_safe_time=T0)
    rules, now = the_rules(described(text)), T0 + 5 * MIN
    after = step(record, rules=rules, decisions=(authorised,), budget=Budget.RESERVED, now=now)
    assert only(after).state is state


def test_an_option_without_it_has_the_digest_that_it_had() -> None:
    policy = described(None)
    (option,) = policy.spec.containment
    assert "effect" not in option.dump()
    assert freeze(policy, policy.spec.models[0]).digests == {option.name: option_digest(policy, option)}
