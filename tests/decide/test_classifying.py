"""Does what a person judges raise the severity, and stay on record?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.builders import T0, a_decision, a_policy, a_situation, an_incident, the_rules
from tests.decide.test_people import heard, the_status, verdict
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.objects import Severity
from tocsin.decide.incident import plan
from tocsin.decide.plan import Notify

MILD = {"impact": "Minor", "legalExposure": "Possible", "materiality": "NotMaterial"}
GRAVE = (
    ({"impact": "Severe"}, "impact judged as Severe: at least SEV2"),
    ({"legalExposure": "Likely"}, "legal exposure judged as Likely: at least SEV2"),
    ({"materiality": "Material"}, "judged as Material: at least SEV2"),
)


def a_mild_one() -> Incident:
    """An incident at SEV3, looked at once."""
    incident = an_incident(the_rules(a_policy(risk={"regulatory": 1, "reputation": 1, "affected": None})))
    first = plan(a_situation(incident, affected=Decimal(0))).status
    assert first.severity is Severity.SEV3
    return incident.model_copy(update={"status": first})


def classified(**changes: str) -> Decision:
    return a_decision("Classify", "alice", classification=MILD | changes, reason="we have looked at the cases")


def test_a_classification_is_kept_with_who_and_why() -> None:
    status = heard(classified(), incident=an_incident(**the_status()))
    assert verdict(status) == (True, "impact Minor, legal exposure Possible, materiality NotMaterial")
    kept = status.classification
    assert kept is not None
    assert (kept.by, kept.time, kept.reason) == ("alice", T0, "we have looked at the cases")


def test_a_classification_that_says_nothing_does_not_count() -> None:
    status = heard(a_decision("Classify", "alice", reason="looked"), incident=an_incident(**the_status()))
    assert verdict(status) == (False, "it says nothing: give classification")
    assert status.classification is None


@pytest.mark.parametrize(("judged", "floor"), GRAVE)
def test_what_is_grave_makes_it_sev2_and_is_told(judged: dict[str, str], floor: str) -> None:
    then = plan(a_situation(a_mild_one(), decisions=(classified(**judged),), affected=Decimal(0)))

    assert then.status.severity is Severity.SEV2
    assert then.status.score
    assert floor in then.status.score.floors
    assert "compliance" in [tier.name for tier in then.status.tiers]
    texts = [effect.notice.text for effect in then.effects if isinstance(effect, Notify)]
    assert any("Classified by alice: impact" in text for text in texts)


def test_what_is_mild_changes_no_severity_and_the_last_judgement_counts() -> None:
    decisions = (
        classified(impact="Severe"),
        a_decision("Classify", "carol", classification=MILD, reason="no case is left"),
    )
    then = plan(a_situation(a_mild_one(), decisions=decisions, affected=Decimal(0))).status
    assert then.classification
    assert then.classification.by == "carol"
    assert then.severity is Severity.SEV3
