"""Whatever happens in whatever order: what goes out is what every role approved, and no more than once a death."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.builders import SECOND, T0
from tests.letters import ROLES, a_message, digest, edited, judged
from tocsin.api.decision import Decision
from tocsin.api.message import CLOSED, Message, MessageStatus, PartState
from tocsin.decide.message_situation import Broadcast, MessageSituation, Sending
from tocsin.decide.messages import plan_message
from tocsin.decide.situation import Trust

WORDS = ("It is bad.", "It is very bad.", "It is fine.")
PEOPLE = ("paula", "carl", "lena", "max", "mallory")
RIGHTS = {role: {one.user for one in responder.spec.members} for role, responder in ROLES.items()}

ANSWERS = st.sampled_from(("accepted", "lost after", "lost before", "refused", "killed after", "killed before"))


class Course(RuleBasedStateMachine):
    """An API server that refuses stale writes and edits of closed messages, people, and an operator that dies."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.stored = a_message()
        self.decisions: list[Decision] = []
        self.instant = T0
        self.sent: list[tuple[str, str, str]] = []
        """Key, words and digest of what the receiver was given."""
        self.deaths = 0
        self.forget()

    def forget(self) -> None:
        """What an operator knows that has just begun."""
        self.known: tuple[int, Message, MessageStatus, tuple[Any, ...]] | None = None
        self.sendings: dict[str, Sending] = {}
        self.intended: set[str] = set()
        self.due: list[Broadcast] = []

    def tick(self) -> None:
        self.instant += SECOND

    # --- people

    @rule(words=st.sampled_from(WORDS), by=st.sampled_from(PEOPLE))
    def edit(self, words: str, by: str) -> None:
        if self.stored.status.state in CLOSED:
            return  # refused by the rule over the whole object
        self.stored, self.version = edited(self.stored, words, by), self.version + 1

    @rule(
        kind=st.sampled_from(("ApproveMessage", "ApproveMessage", "RejectMessage", "ReleaseMessage")),
        by=st.sampled_from(PEOPLE),
        words=st.sampled_from((None, *WORDS)),
    )
    def decide(self, kind: str, by: str, words: str | None) -> None:
        """About the words as they are, or about others that somebody has read before."""
        self.tick()
        about = self.stored if words is None else edited(self.stored, words, by)
        self.decisions.append(judged(kind, by, about, self.instant, uid=f"decision-{len(self.decisions)}"))

    @rule(by=st.sampled_from(PEOPLE))
    def authorise(self, by: str) -> None:
        self.tick()
        self.decisions.append(
            judged("AuthoriseMessage", by, self.stored, self.instant, uid=f"decision-{len(self.decisions)}")
        )

    @initialize(kind=st.sampled_from(("ApproveMessage", "AuthoriseMessage", "")))
    def begin(self, kind: str) -> None:
        """In most courses everybody agrees at first, so that releases are not rare."""
        for by in ("paula", "lena") if kind else ():
            self.tick()
            self.decisions.append(judged(kind, by, self.stored, self.instant, uid=f"decision-{len(self.decisions)}"))

    @rule(by=st.sampled_from(PEOPLE))
    def release(self, by: str) -> None:
        self.decide("ReleaseMessage", by, None)

    # --- the operator, step by step

    @rule()
    def read(self) -> None:
        self.tick()
        situation = MessageSituation(
            now=self.instant,
            message=self.stored,
            roster=ROLES,
            decisions=tuple(one for one in self.decisions if one.spec.message_ref),
            authorisations=tuple(one for one in self.decisions if one.spec.template_ref),
            trust=Trust.TRUSTED,
            sendings=dict(self.sendings),
        )
        plan = plan_message(situation)
        self.known = self.version, self.stored, plan.status, plan.effects

    @precondition(lambda self: self.known is not None)
    @rule()
    def write(self) -> None:
        version, message, status, effects = self.known  # type: ignore[misc]  # the precondition
        self.known = None
        if version != self.version:
            return  # 409: it is decided anew
        before = message.status.release
        if status != message.status:
            self.stored, self.version = self.stored.model_copy(update={"status": status}), self.version + 1
        if status.release and status.release != before:
            fresh = {one.key for one in before.parts} if before else set()
            self.intended |= {one.key for one in status.release.parts} - fresh
        self.due = [one for one in effects if isinstance(one, Broadcast)]

    @precondition(lambda self: self.due)
    @rule(answer=ANSWERS)
    def send(self, answer: str) -> None:
        self.tick()
        effect = self.due.pop()
        known = self.sendings.get(effect.key)
        if known and (known.over or known.state is PartState.SENT):
            return
        took = answer in ("accepted", "lost after", "killed after")
        if took:
            self.sent.append((effect.key, effect.texts[0].body, effect.digest))
        if answer.startswith("killed"):
            self.die()
            return
        perhaps = effect.perhaps or effect.key not in self.intended or answer.startswith("lost")
        state, over = {
            "accepted": (PartState.SENT, True),
            "refused": (PartState.PERHAPS if perhaps else PartState.FAILED, True),
        }.get(answer, (PartState.PERHAPS, False))
        self.sendings[effect.key] = Sending(effect.key, state, self.instant, answer, over)
        if answer == "lost after":
            self.deaths += 1  # the answer died, which for the sender is the same

    @rule(answer=ANSWERS)
    def work(self, answer: str) -> None:
        """All of it, with nothing in between."""
        self.read()
        self.write()
        if self.due:
            self.send(answer)

    @rule()
    def die(self) -> None:
        self.deaths += 1
        self.forget()

    # --- what must always hold

    @invariant()
    def what_went_out_was_approved_word_for_word(self) -> None:
        for _, words, bound in self.sent:
            assert digest(edited(a_message(), words, "x")) == bound
            assert self.approved(bound) or self.covered(words), (words, bound)

    def approved(self, bound: str) -> bool:
        """Whether two persons have said of these very words that they may go out, one for each role."""
        by = {one.spec.by for one in self.decisions if one.spec.type == "ApproveMessage" and one.spec.digest == bound}
        return any(one != other for one in by & RIGHTS["comms"] for other in by & RIGHTS["legal"])

    def covered(self, words: str) -> bool:
        """Whether it is what was drafted, and each role has authorised that."""
        by = {one.spec.by for one in self.decisions if one.spec.type == "AuthoriseMessage"}
        return words == WORDS[0] and any(one != other for one in by & RIGHTS["comms"] for other in by & RIGHTS["legal"])

    @invariant()
    def it_went_out_once_and_once_more_for_each_death(self) -> None:
        assert len(self.sent) <= 1 + self.deaths
        assert len({bound for _, _, bound in self.sent}) <= 1, "other words after the first never follow"

    @invariant()
    def what_is_said_of_it_is_true(self) -> None:
        status = self.stored.status
        if status.state == "Released":
            assert self.sent
        if status.state in ("Draft", "Approved", "Rejected", "Failed"):
            assert not self.sent, "whatever went out is known, or in doubt"
        if status.state in CLOSED:
            assert status.digest == digest(self.stored)


Course.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestCourse = Course.TestCase
