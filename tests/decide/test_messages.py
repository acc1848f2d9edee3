"""Whose word lets which words out, what voids it, and what is said of it?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import HOUR, MIN, SECOND, T0
from tests.letters import ROLES, a_message, a_template, digest, edited, judged, look, seen
from tocsin.api.message import Message, PartState
from tocsin.api.objects import condition
from tocsin.decide.message_situation import Broadcast, MessagePlan, Sending
from tocsin.decide.messages import is_over, plan_message
from tocsin.decide.plan import Notify
from tocsin.decide.quorum import Voice, lacking
from tocsin.decide.situation import Outcome, Trust

KEY = f"message-uid/release/{digest(a_message())[7:23]}"
LATER = T0 + MIN


def verdicts(message: Message) -> list[tuple[str, bool, str]]:
    return [(f"{one.by}: {one.type}", one.counted, one.message) for one in message.status.decisions]


def facts(message: Message) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in message.status.conditions}


def approved(message: Message, *by: str) -> Message:
    users = enumerate(by or ("paula", "lena"))
    return seen(message, *(judged("ApproveMessage", one, message, T0 + place * SECOND) for place, one in users))


def released(message: Message | None = None) -> Message:
    """One whose release is intended, and not sent yet."""
    message = approved(message or a_message())
    return seen(message, judged("ReleaseMessage", "max", message, LATER), now=LATER)


def reported(message: Message, state: PartState, words: str = "", *, over: bool = False) -> Message:
    assert message.status.release
    sendings = {one.key: Sending(one.key, state, LATER, words, over) for one in message.status.release.parts}
    return seen(message, now=LATER, sendings=sendings)


# --- approving


@pytest.mark.parametrize(
    ("by", "state", "says"),
    [
        pytest.param(("paula",), "Draft", "approved; it still needs legal", id="one of two is not enough"),
        pytest.param(("paula", "lena"), "Approved", "approved by all who were asked", id="each role has approved"),
        pytest.param(("carl",), "Draft", "approved; it still needs legal", id="who is in both counts for one of them"),
        pytest.param(
            ("carl", "paula"), "Approved", "approved by all who were asked",
            id="who is in both counts where nobody else can",
        ),
        pytest.param(
            ("paula", "paula"), "Draft", "paula has approved already: another person is needed, whether deputy or not",
            id="nobody counts twice",
        ),
        pytest.param(
            ("max",), "Draft", "max is a member of none of comms, legal, nor of a role that stands in for one",
            id="who was not asked does not count",
        ),
        pytest.param(
            ("carl", "paula", "lena"), "Approved", "legal approved already; it needs nobody", id="more than enough",
        ),
    ],
)  # fmt: skip
def test_approving(by: tuple[str, ...], state: str, says: str) -> None:
    message = a_message()
    decisions = [
        judged("ApproveMessage", one, message, T0 + place * SECOND, uid=f"{place}") for place, one in enumerate(by)
    ]
    found = seen(message, *decisions)
    assert (found.status.state, found.status.decisions[-1].message) == (state, says)


def test_a_deputy_is_one_voice_with_whom_they_stand_in_for() -> None:
    legal = {
        "members": [{"name": "Lena", "user": "lena", "absences": [{"from": T0, "until": T0 + HOUR}]},
                    {"name": "Paula", "user": "paula"}],
        "deputies": ["paula"],
    }  # fmt: skip
    roster = ROLES | {"legal": ROLES["legal"].model_validate({"metadata": {"name": "legal"}, "spec": legal})}
    found = seen(a_message(), judged("ApproveMessage", "paula", a_message()), roster=roster)
    assert found.status.approvals[0].standing_in_for == ("lena",)
    late = judged("ApproveMessage", "lena", found, LATER)
    assert verdicts(seen(found, late, roster=roster))[-1] == (
        "lena: ApproveMessage", False, "paula has approved already: another person is needed, whether deputy or not",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            {"digest": "sha256:" + "0" * 64},
            f"these are not the words any more: read them again, and use the digest {digest(a_message())}",
            id="other words",
        ),
        pytest.param({"at": T0 - MIN}, "void: it is older than the message", id="older than the message"),
    ],
)
def test_an_approval_binds_to_the_very_words(change: dict[str, Any], says: str) -> None:
    found = seen(a_message(), judged("ApproveMessage", "paula", a_message(), **change))
    assert verdicts(found) == [("paula: ApproveMessage", False, says)]


def test_while_nobody_vouches_for_authors_nothing_is_heard() -> None:
    message = a_message()
    found = seen(message, judged("ApproveMessage", "paula", message), trust=Trust.CHANGED)
    assert found.status.decisions == ()
    said = condition(found.status.conditions, "Approved")
    assert said
    assert said.message.endswith("the admission policy that vouches for their authors is Changed")


def test_an_edit_voids_what_was_approved_and_says_so() -> None:
    message = edited(approved(seen(a_message())), "It is very bad.", "paula")
    found = seen(message, now=LATER)
    assert (found.status.state, found.status.approvals, found.status.digest) == ("Draft", (), digest(message))
    assert found.status.story[-1].what == (
        f"edited by paula: {digest(message)}; the approval by paula is void; the approval by lena is void"
    )
    assert [one.key for one in found.status.asks] == ["message-uid/ask/comms/2", "message-uid/ask/legal/2"]


def test_an_edit_before_anybody_judged_asks_nobody_again() -> None:
    found = seen(edited(seen(a_message()), "It is very bad.", "paula"))
    assert [one.key for one in found.status.asks] == ["message-uid/ask/comms/1", "message-uid/ask/legal/1"]


@pytest.mark.parametrize(
    ("editors", "by", "state"),
    [
        pytest.param(["paula"], ["paula", "lena"], "Approved", id="an editor is one of those who approve"),
        pytest.param(["paula", "lena"], ["paula", "lena"], "Draft", id="nobody but editors has approved"),
        pytest.param(["paula", "lena"], ["paula", "carl"], "Approved", id="one who did not edit is among them"),
    ],
)
def test_editors_alone_are_not_enough(editors: list[str], by: list[str], state: str) -> None:
    message = a_message()
    for user in editors:
        message = edited(message, "It is very bad.", user)
    found = approved(seen(message), *by)
    assert found.status.state == state
    if state == "Draft":
        assert "lena has edited these words: somebody who has not" in found.status.decisions[-1].message


def test_the_only_role_that_is_asked_is_not_filled_by_the_editor() -> None:
    terms = {"approvals": ["comms"], "sender": {"secretRef": {"name": "outlet"}}}
    message = edited(a_message("Partners", terms=terms), "It is very bad.", "paula")
    assert approved(seen(message), "paula").status.state == "Draft"
    assert approved(seen(message), "carl").status.state == "Approved"


def test_words_that_come_back_after_an_edit_that_nobody_saw_have_their_editors() -> None:
    message = approved(a_message())
    back = edited(edited(edited(message, "Other.", "paula"), "It is bad.", "paula"), "It is bad.", "lena")
    assert digest(back) == digest(message)
    assert seen(back, now=LATER).status.state == "Draft"


# --- rejecting


def test_a_rejection_is_final_for_these_words() -> None:
    message = approved(a_message())
    rejected = seen(message, judged("RejectMessage", "carl", message, LATER, reason="no promise"), now=LATER)
    assert (rejected.status.state, rejected.status.approvals) == ("Rejected", ())
    again = seen(rejected, judged("ApproveMessage", "lena", rejected, LATER + MIN, uid="2"), now=LATER + MIN)
    assert verdicts(again)[-1][1:] == (False, "carl has rejected these words, for good: edit them")
    other = seen(edited(rejected, "It is very bad.", "paula"), now=LATER)
    assert other.status.state == "Draft"
    assert seen(edited(other, "It is bad.", "paula"), now=LATER).status.state == "Rejected"


def test_who_was_not_asked_rejects_nothing() -> None:
    message = a_message()
    found = seen(message, judged("RejectMessage", "max", message))
    assert verdicts(found) == [("max: RejectMessage", False, "max is a member of none of comms, legal")]


# --- releasing


def test_what_was_approved_is_intended_under_one_key_before_it_is_sent() -> None:
    message = approved(a_message())
    plan = plan_message(look(message, judged("ReleaseMessage", "max", message, LATER), now=LATER))
    release = plan.status.release
    assert release
    assert (plan.status.state, release.under, release.digest) == ("Releasing", "Approval", digest(message))
    assert [(one.key, one.to, one.state) for one in release.parts] == [(KEY, "sender", "Intended")]
    (effect,) = plan.effects
    assert isinstance(effect, Broadcast)
    assert (effect.key, effect.secret, effect.texts[0].body) == (KEY, "outlet", "It is bad.")


@pytest.mark.parametrize(
    ("message", "says"),
    [
        pytest.param(
            seen(a_message()),
            "it still needs the approval of comms, legal; no standing approval: none holds for comms, legal that lets"
            " incident.openedTime vary",
            id="nobody has approved",
        ),
        pytest.param(
            approved(a_message(), "paula"),
            "it still needs the approval of legal; no standing approval: none holds for comms, legal that lets"
            " incident.openedTime vary",
            id="one is missing",
        ),
        pytest.param(
            approved(a_message("Regulators")),
            "the message is Filled already",
            id="a form for a regulator is never sent",
        ),
        pytest.param(
            approved(a_message(terms={"approvals": ["comms", "legal"]})),
            "it has no sender: name one in the template, or send it by hand",
            id="there is no sender",
        ),
        pytest.param(
            seen(a_message("Internal", terms={})),
            "it goes to nobody: name Responders in the template's to",
            id="there is nobody to tell",
        ),
        pytest.param(released(), "the message is Releasing already", id="it is on its way"),
    ],
)
def test_not_released(message: Message, says: str) -> None:
    found = seen(message, judged("ReleaseMessage", "max", message, LATER, uid="r"), now=LATER)
    assert verdicts(found)[-1] == ("max: ReleaseMessage", False, says)
    assert found.status.state is message.status.state


def test_our_own_are_told_by_their_channels_in_every_language() -> None:
    texts = [{"language": "en", "subject": "A", "body": "It is bad.\n"},
             {"language": "de", "subject": "B", "body": "Es ist schlecht."}]  # fmt: skip
    message = seen(a_message("Internal", texts=texts))
    assert (message.status.state, facts(message)["Approved"]) == ("Approved", ("True", "NotNeeded"))
    plan = plan_message(look(message, judged("ReleaseMessage", "max", message)))
    notices = [one.notice for one in plan.effects if isinstance(one, Notify)]
    assert [(one.key[-8:], one.responder, one.person, one.subject, one.text) for one in notices] == [
        ("press.en", "press", "max", "A", "It is bad.\n"),
        ("press.de", "press", "max", "B", "Es ist schlecht."),
    ]
    assert all(one.exact and one.command == "" for one in notices)


def test_a_form_is_filled_and_nothing_goes_out() -> None:
    message = a_message("Regulators")
    plan = plan_message(look(message, *(judged("ApproveMessage", one, message) for one in ("paula", "lena"))))
    assert (plan.status.state, plan.effects) == ("Filled", ())
    assert facts(message.model_copy(update={"status": plan.status})) == {
        "Approved": ("True", "Approved"),
        "Released": ("False", "ByHand"),
    }


SENT, PERHAPS, FAILED, INTENDED = PartState.SENT, PartState.PERHAPS, PartState.FAILED, PartState.INTENDED


@pytest.mark.parametrize(
    ("reports", "state", "fact"),
    [
        pytest.param([(SENT, True)], "Released", ("True", "Released"), id="accepted"),
        pytest.param([(INTENDED, False)], "Releasing", ("False", "Releasing"), id="not reached yet"),
        pytest.param([(FAILED, True)], "Failed", ("False", "Failed"), id="refused"),
        pytest.param([(PERHAPS, False)], "PerhapsReleased", ("Unknown", "PerhapsReleased"), id="the answer was lost"),
        pytest.param([(PERHAPS, False), (SENT, True)], "Released", ("True", "Released"), id="accepted after all"),
        pytest.param(
            [(PERHAPS, False), (FAILED, True)], "PerhapsReleased", ("Unknown", "PerhapsReleased"),
            id="a repetition that is refused does not say that nothing was sent",
        ),
    ],
)  # fmt: skip
def test_what_became_of_it(reports: list[tuple[PartState, bool]], state: str, fact: tuple[str, str]) -> None:
    message = released()
    for part, over in reports:
        message = reported(message, part, "answered", over=over)
    assert (message.status.state, facts(message)["Released"]) == (state, fact)


def test_what_was_refused_is_released_again_as_it_is_or_edited() -> None:
    failed = reported(released(), FAILED, "answered 413", over=True)
    assert plan_message(look(failed, now=LATER)).effects == ()
    again = seen(failed, judged("ReleaseMessage", "max", failed, LATER + MIN, uid="2"), now=LATER + MIN)
    assert again.status.state == "Releasing"
    other = seen(edited(failed, "Bad.", "paula"), now=LATER)
    assert (other.status.state, other.status.release) == ("Draft", None)


def test_what_was_perhaps_sent_and_given_up_keeps_its_key_and_its_doubt() -> None:
    doubtful = reported(reported(released(), PERHAPS), FAILED, "answered 409", over=True)
    assert is_over(doubtful.status)
    again = plan_message(
        look(doubtful, judged("ReleaseMessage", "max", doubtful, LATER + MIN, uid="2"), now=LATER + MIN)
    )
    (effect,) = again.effects
    assert isinstance(effect, Broadcast)
    assert (effect.key, effect.perhaps) == (KEY, True)


@pytest.mark.parametrize("state", ["Releasing", "Released", "PerhapsReleased"])
def test_words_that_changed_behind_a_release_never_go_out(state: str) -> None:
    message = released()
    if state != "Releasing":
        message = reported(message, SENT if state == "Released" else PERHAPS)
    plan = plan_message(look(edited(message, "Forged.", "mallory"), now=LATER))
    assert (plan.effects, plan.status.state, plan.status.digest) == ((), state, digest(message))


# --- standing approval


@pytest.mark.parametrize(
    ("by", "change", "why"),
    [
        pytest.param(["paula", "lena"], {}, "", id="each role has authorised the template"),
        pytest.param(["carl", "paula"], {}, "", id="each by a person of its own"),
        pytest.param(["paula"], {}, "none holds for legal", id="one role has not"),
        pytest.param(["carl"], {}, "none holds for", id="one person does not stand for two roles"),
        pytest.param(["paula", "lena"], {"expireTime": T0}, "none holds for comms, legal", id="it has expired"),
        pytest.param(
            ["paula", "lena"], {"digest": "sha256:" + "1" * 64}, "none holds for comms, legal",
            id="the template was another one",
        ),
        pytest.param(
            ["paula", "lena"], {"varying": ["incident.severity"]}, "that lets incident.openedTime vary",
            id="what the words rest on may not vary",
        ),
        pytest.param(
            ["paula", "lena"], {"varying": ["incident.openedTime", "incident.severity"]}, "", id="more may vary",
        ),
    ],
)  # fmt: skip
def test_a_standing_approval(by: list[str], change: dict[str, Any], why: str) -> None:
    message = seen(a_message())
    standing = [judged("AuthoriseMessage", one, message, **change) for one in by]
    found = seen(message, judged("ReleaseMessage", "max", message), *standing)
    if why:
        assert (found.status.state, found.status.decisions[-1].counted) == ("Draft", False)
        assert why in found.status.decisions[-1].message
        return
    assert found.status.release
    assert (found.status.state, found.status.release.under) == ("Releasing", "StandingApproval")
    assert set(found.status.release.authorisations) == {f"authorisemessage-{one}" for one in by}
    assert facts(found)["Approved"] == ("False", "StandingApproval")
    assert "under standing approval" in found.status.decisions[-1].message
    assert not any("approved" in line.what for line in found.status.story)


def test_no_standing_approval_covers_what_a_person_wrote() -> None:
    message = seen(edited(a_message(), "It is very bad.", "paula"))
    standing = [judged("AuthoriseMessage", one, message) for one in ("paula", "lena")]
    found = seen(message, judged("ReleaseMessage", "max", message), *standing)
    assert "the words were edited by paula" in found.status.decisions[-1].message


# --- one that a person had drafted


@pytest.mark.parametrize(
    ("change", "template", "flaw"),
    [
        pytest.param({}, a_template(), "", id="it is what its template asks"),
        pytest.param({}, None, "its template is not there: have it drafted anew", id="the template is gone"),
        pytest.param(
            {}, a_template(phase="Update"), "its template was another one already: have it drafted anew",
            id="the template is another one",
        ),
        pytest.param(
            {"terms": {"approvals": ["comms"], "sender": {"secretRef": {"name": "outlet"}}}}, a_template(),
            "its terms are not those of its template: have it drafted anew", id="it asks fewer people",
        ),
        pytest.param(
            {"phase": "Update"}, a_template(), "its template is for Customers, phase Initial: have it drafted anew",
            id="it is for another phase",
        ),
    ],
)  # fmt: skip
def test_what_a_person_had_drafted(change: dict[str, Any], template: Any, flaw: str) -> None:
    message = seen(a_message(**{"key": "person/u/1", "editedBy": ["max"]} | change), template=template)
    assert message.status.flaw == flaw
    found = approved(message)
    if flaw:
        assert [one.message for one in found.status.decisions] == [f"it is never released: {flaw}"] * 2
        assert facts(found)["Approved"] == ("False", "NotOfTemplate")
        assert plan_message(look(found)).effects == ()
    else:
        assert found.status.state == "Approved"


# --- who is asked


def test_those_who_must_approve_are_told_without_the_words() -> None:
    plan: MessagePlan = plan_message(look(a_message(words="Nobody may read this.")))
    notices = [one.notice for one in plan.effects if isinstance(one, Notify)]
    assert [(one.responder, one.person, one.cause) for one in notices] == [
        ("comms", "paula", "MessageDrafted"),
        ("legal", "lena", "MessageDrafted"),
    ]
    for notice in notices:
        assert "Nobody may read this." not in str(notice)
        assert notice.command == "kubectl tocsin message show fraud-1-initial -n models"
        assert plan.status.digest
        assert plan.status.digest in notice.text
    assert "Nobody may read this." not in str((plan.status, plan.events))


def test_a_notice_that_was_accepted_is_not_sent_again() -> None:
    key = "message-uid/ask/comms/1"
    told = seen(seen(a_message()), outcomes={key: Outcome(key, "Done", LATER, "accepted")})
    assert [one.key for one in plan_message(look(told)).effects] == ["message-uid/ask/legal/1"]


def test_planning_again_without_new_facts_changes_nothing() -> None:
    for message in (seen(a_message()), approved(a_message()), released(), reported(released(), PERHAPS)):
        decided = plan_message(look(message, now=LATER))
        assert (decided.status, decided.events) == (message.status, ())


def test_whose_words_are_lacking() -> None:
    both, one = Voice("carl", ("comms", "legal")), Voice("lena", ("legal",))
    assert lacking(("comms", "legal"), (both, one)) == ()
    assert lacking(("comms", "legal"), (one, both)) == ()
    assert lacking(("comms", "legal"), (one, Voice("lou", ("legal",)))) == ("comms",)
    assert lacking((), ()) == ()
