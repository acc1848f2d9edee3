"""Which page stands for which other ones?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import MIN, T0, a_policy, an_incident, the_rules
from tocsin.api.incident import EffectRecord, EffectState
from tocsin.api.objects import Severity
from tocsin.decide.folding import Matter, Page, covers, folded_in, matters, page_in, page_of
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
        pytest.param({}, 0 * MIN, {"to": "board/ann"}, True, id="the same person in another role"),
        pytest.param(
            {"severity": Severity.SEV2},
            0 * MIN,
            {"to": "board/ann", "severity": Severity.SEV2},
            False,
            id="the same person in another role, at SEV2",
        ),
        pytest.param({"to": "night"}, 0 * MIN, {"to": "board"}, False, id="two roles of which nobody is there"),
        pytest.param(
            {"upstream": ("store", "bureau")},
            0 * MIN,
            {"policy": "fraud", "to": "fraud-owners/ann", "upstream": ("store",), "intended_at": T0 + 9 * MIN},
            True,
            id="a model of another policy that fails of the same",
        ),
        pytest.param(
            {"upstream": ("bureau",)},
            0 * MIN,
            {"policy": "fraud", "upstream": ("store",), "intended_at": T0 + 9 * MIN},
            False,
            id="one that fails of something else",
        ),
        pytest.param(
            {"severity": Severity.SEV2, "upstream": ("store",)},
            0 * MIN,
            {
                "policy": "fraud",
                "upstream": ("store",),
                "intended_at": T0 + 9 * MIN,
                "severity": Severity.SEV2,
            },
            False,
            id="at SEV2 a model of another policy pages",
        ),
        pytest.param({}, 0 * MIN, {"rank": (0, True), "to": "night/ann"}, False, id="as the deputy of somebody silent"),
        pytest.param(
            {"rank": (1, False)}, 0 * MIN, {"to": "night/ann"}, True, id="who was paged for a higher tier knows"
        ),
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
            {"key": "uid-2/1/notify/compliance.credit-owners/1", "intended_at": T0 + 6 * MIN, "rank": (1, False)},
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
    ("severity", "every", "after", "folds"),
    [
        pytest.param("SEV3", 30 * MIN, 29 * MIN, True, id="for as long as the settings say"),
        pytest.param("SEV3", 30 * MIN, 30 * MIN, False, id="no longer than that"),
        pytest.param("SEV4", 5 * MIN, 6 * MIN, False, id="which may be shorter than usual"),
        pytest.param("SEV2", 30 * MIN, 11 * MIN, False, id="no setting holds back what is SEV2"),
        pytest.param("SEV1", 0 * MIN, 9 * MIN, True, id="nor breaks a storm of SEV1 up"),
    ],
)
def test_how_long_a_page_stands_for_others(severity: str, every: timedelta, after: timedelta, folds: bool) -> None:
    told = replace(FIRST, severity=Severity(severity))
    page = replace(told, key=SECOND, incident="credit-2", intended_at=T0 + after)
    assert covers(told, T0, page, every) is folds


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
    rules = a_policy(models=[{"name": "credit", "upstream": ["store"]}], containment=[])
    deputy = "uid-1/1/notify/compliance.risk:deputy/1"
    page = page_of("credit", Notify(deputy, replace(NOTICE, key=deputy), T0), the_rules(rules))
    assert page
    assert (page.upstream, page.rank) == (("store",), (1, True))


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


FOLDED = {"to": None, "into": "fraud-0"}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        pytest.param((FOLDED,), {"incident-uid/owners.owners": "fraud-0"}, id="whose page was folded"),
        pytest.param(
            (FOLDED, {"state": EffectState.INTENDED, "causes": ("Recovered",), "to": None}),
            {"incident-uid/owners.owners": "fraud-0"},
            id="and who is to hear how it ended",
        ),
        pytest.param(({},), {}, id="who was paged"),
        pytest.param((FOLDED, {}), {}, id="who was paged later"),
        pytest.param(({}, FOLDED), {}, id="or before"),
        pytest.param((FOLDED, {"state": EffectState.INTENDED, "to": None}), {}, id="who may have been paged"),
    ],
)
def test_of_whom_nothing_was_opened_at_a_pager(lines: tuple[dict[str, Any], ...], found: dict[str, str]) -> None:
    keyed = [SENT | one | {"key": f"incident-uid/1/notify/owners.owners/{n}"} for n, one in enumerate(lines, 1)]
    assert folded_in(an_incident(effects=keyed)) == found
