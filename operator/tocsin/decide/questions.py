"""The questions of a tier: who may answer which, with what, and which are open."""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.api.decision import Decision
from tocsin.api.incident import Answer, IncidentStatus, TierStatus
from tocsin.api.policy import Question, Rules
from tocsin.decide.situation import Situation
from tocsin.decide.standing import Verdict, is_of, tiers_of
from tocsin.decide.tiers import tier_of


def open_questions(rules: Rules, status: IncidentStatus) -> Iterator[tuple[str, Question]]:
    """The questions of the tiers that were entered and that nobody has answered, with their tiers."""
    for tier in status.tiers:
        rule, answered = tier_of(rules, tier.name), {one.question for one in tier.answers}
        for question in rule.questions if rule else ():
            if question.name not in answered:
                yield tier.name, question


def answer_question(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Record an answer, for good; the last one of a tier is its decision."""
    wanted, choice, by = decision.spec.question, decision.spec.choice or "", decision.spec.by
    asked = [(tier, one) for tier, one in open_questions(s.rules, status) if one.name == wanted]
    mine = [(tier, one) for tier, one in asked if _may_answer(s, status, by, tier, one)]
    if not mine:
        there = ", ".join(one.name for _, one in open_questions(s.rules, status)) or "none"
        why = f"it is not for {by} to answer" if asked else f"no such question is open; open: {there}"
        return Verdict(status, counted=False, message=f"{wanted}: {why}")
    name, question = mine[0]
    if choice not in question.options:
        return Verdict(status, counted=False, message=f"{wanted}: {choice} is none of {', '.join(question.options)}")
    answer = Answer(question=question.name, choice=choice, by=by, time=s.now, reason=decision.spec.reason or "")
    tiers = tuple(_answered(s, tier, answer) if tier.name == name else tier for tier in status.tiers)
    message = f"{question.name} of tier {name}: {choice}"
    return Verdict(status.model_copy(update={"tiers": tiers}), counted=True, message=message)


def _may_answer(s: Situation, status: IncidentStatus, user: str, tier: str, question: Question) -> bool:
    return is_of(s, user, question.answered_by) if question.answered_by else tier in tiers_of(s, status, user)


def _answered(s: Situation, tier: TierStatus, answer: Answer) -> TierStatus:
    rule, answers = tier_of(s.rules, tier.name), (*tier.answers, answer)
    done = rule is not None and len(answers) == len(rule.questions) and tier.decided_time is None
    decided = {"decided_by": answer.by, "decided_time": answer.time} if done else {}
    return tier.model_copy(update={"answers": answers, **decided})
