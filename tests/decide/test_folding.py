"""Which page stands for which other ones?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import MIN, T0, an_incident
from tocsin.api.incident import EffectRecord, EffectState
from tocsin.api.objects import Severity
from tocsin.decide.folding import Matter, Page, covers, matters, page_in, page_of
from tocsin.decide.plan import Notice, Notify

FIRST = Page(
    key="uid-1/1/notify/owners.credit-owners/1",
    namespace="models",
    policy="credit",
    incident="credit-1",
    severity=Severity.SEV3,
    to="credit-owners/ann",
    matters=("Look",),
    intended_at=T0,
)
SECOND = "uid-2/1/notify/owners.credit-owners/1"
ON_ITS_WAY = None


@pytest.mark.parametrize(
    ("told", "accepted", "changes", "folds"),
    [
        pytest.param({}, 0 * MIN, {}, True, id="another model of the policy"),
        pytest.param({}, ON_ITS_WAY, {"intended_at": T0 + 60 * MIN}, True, id="while the first is on its way"),
        pytest.param({}, 1 * MIN, {"intended_at": T0 + 10.9 * MIN}, True, id="ten minutes from when it was accepted"),
        pytest.param({}, 1 * MIN, {"intended_at": T0 + 11 * MIN}, False, id="no longer"),
        pytest.param({}, 60 * MIN, {"intended_at": T0 - 5 * MIN}, True, id="one that was intended long before"),
        pytest.param({}, 0 * MIN, {"severity": Severity.SEV2}, False, id="a worse one pages"),
        pytest.param({"severity": Severity.SEV1}, 0 * MIN, {}, True, id="a milder one does not"),
        pytest.param({}, 0 * MIN, {"to": "credit-owners/bob"}, False, id="another person has taken over"),
        pytest.param({}, 0 * MIN, {"to": "board/ann"}, False, id="the same person, by other channels"),
        pytest.param({}, 0 * MIN, {"namespace": "others"}, False, id="another namespace"),
        pytest.param(
            {}, 0 * MIN, {"key": "uid-1/1/notify/owners.credit-owners/2"}, False, id="the same incident again"
        ),
        pytest.param({}, 0 * MIN, {"matters": ("GoOn",)}, False, id="another thing is asked"),
        pytest.param(
            {"matters": ("Look", "Approve")}, 0 * MIN, {"matters": ("Approve",)}, True, id="it was asked along with it"
        ),
        pytest.param({}, 0 * MIN, {"policy": "fraud", "intended_at": T0 + 1.9 * MIN}, True, id="one storm"),
        pytest.param({}, 0 * MIN, {"policy": "fraud", "intended_at": T0 + 2 * MIN}, False, id="another policy, later"),
        pytest.param({}, ON_ITS_WAY, {"policy": "fraud", "intended_at": T0 - 2 * MIN}, False, id="or long before"),
        pytest.param(
            {}, 0 * MIN, {"key": "uid-2/1/notify/compliance.credit-owners/1"}, True, id="another tier in one storm"
        ),
        pytest.param(
            {},
            0 * MIN,
            {"key": "uid-2/1/notify/compliance.credit-owners/1", "intended_at": T0 + 6 * MIN},
            False,
            id="another tier later, because the first was silent",
        ),
    ],
)
def test_a_page_stands_for(
    told: dict[str, Any], accepted: timedelta | None, changes: dict[str, Any], folds: bool
) -> None:
    page = replace(FIRST, **{"key": SECOND, "incident": "credit-2"} | changes)
    assert covers(replace(FIRST, **told), accepted if accepted is None else T0 + accepted, page) is folds


@pytest.mark.parametrize(
    ("causes", "asked"),
    [
        pytest.param("TierEntered", ("Look",), id="a tier is entered"),
        pytest.param("DeputyPaged", ("Look",), id="the deputy is paged"),
        pytest.param("AcknowledgementExpired", ("GoOn",), id="nothing has happened"),
        pytest.param("TierEntered ApprovalNeeded", ("Look", "Approve"), id="two things at once"),
        pytest.param("ApprovalNeeded NotContained", ("Approve", "ByHand"), id="the next option asks"),
        pytest.param("NotContained", ("ByHand",), id="what failed must be done by hand"),
        pytest.param("DeputyPaged Missed", ("Look", "Late"), id="there is no further tier"),
        pytest.param("HandOver", (), id="somebody hands over"),
        pytest.param("ApprovalNeeded HandedOver", (), id="and to whoever has"),
        pytest.param("Contained", (), id="news"),
    ],
)
def test_what_a_notice_asks_for(causes: str, asked: tuple[Matter, ...]) -> None:
    assert matters(causes.split()) == asked


NOTICE = Notice(
    key=FIRST.key,
    namespace="models",
    incident="credit-1",
    model="credit",
    severity="SEV3",
    responder="credit-owners",
    person="ann",
    cause="TierEntered",
    subject="",
    text="",
    command="",
)


def test_a_notice_as_a_page() -> None:
    assert page_of("credit", Notify(NOTICE.key, NOTICE, T0)) == FIRST


@pytest.mark.parametrize("changes", [{"resolves": True}, {"cause": "Recovered"}], ids=["it closes", "it asks nothing"])
def test_what_is_never_folded_into_another_page(changes: dict[str, Any]) -> None:
    assert page_of("credit", Notify(NOTICE.key, replace(NOTICE, **changes), T0)) is None


SENT = {
    "key": "incident-uid/1/notify/owners.owners/1",
    "causes": ("TierEntered",),
    "state": EffectState.DONE,
    "severity": "SEV3",
    "to": "owners/alice",
    "intended_time": T0,
    "done_time": T0 + MIN,
}


def test_a_page_out_of_the_ledger() -> None:
    page = Page(
        "incident-uid/1/notify/owners.owners/1",
        "models",
        "fraud",
        "fraud-1",
        Severity.SEV3,
        "owners/alice",
        ("Look",),
        T0,
    )
    assert page_in(an_incident(), EffectRecord.model_validate(SENT)) == (page, T0 + MIN)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": EffectState.INTENDED}, id="one whose outcome is unknown"),
        pytest.param({"to": None, "into": "fraud-0"}, id="one that was folded"),
        pytest.param({"causes": ("Recovered",)}, id="news"),
    ],
)
def test_a_line_of_the_ledger_that_stands_for_nothing(changes: dict[str, Any]) -> None:
    assert page_in(an_incident(), EffectRecord.model_validate(SENT | changes)) is None
