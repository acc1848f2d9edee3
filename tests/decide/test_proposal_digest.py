"""What voids an approval of a proposal, and what does not?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.decide.targets import FROM_ONE, FROM_ZERO, PREVIOUS, STOP, TO_TWO, a_view, revision
from tocsin.api.containment import Option
from tocsin.decide.proposal import propose
from tocsin.decide.situation import Proposal, TargetView


def digest(option: Option, view: TargetView) -> str:
    proposal = propose(option, view, frozenset())
    assert isinstance(proposal, Proposal)
    return proposal.digest


PINNED = a_view(autoscaler=FROM_ONE)


@pytest.mark.parametrize(
    ("option", "before", "after", "same"),
    [
        pytest.param(PREVIOUS, a_view(), a_view(resource_version="101"), True, id="the resourceVersion"),
        pytest.param(PREVIOUS, a_view(), a_view(updated_replicas=0, running_replicas=4), True, id="pods come and go"),
        pytest.param(PREVIOUS, a_view(), a_view(uid="another"), False, id="another target of the same name"),
        pytest.param(PREVIOUS, a_view(), a_view(revision(1), revision(2), revision(3)), False, id="another rollout"),
        pytest.param(STOP, a_view(), a_view(replicas=4), False, id="somebody scaled it"),
        pytest.param(STOP, PINNED, replace(PINNED, replicas=4), True, id="its autoscaler scaled it"),
        pytest.param(STOP, PINNED, a_view(autoscaler=FROM_ZERO), False, id="an autoscaler that must be pinned"),
        pytest.param(
            TO_TWO,
            PINNED,
            a_view(autoscaler=replace(FROM_ONE, max_replicas=5)),
            True,
            id="another maximum, which is lowered to the same",
        ),
    ],
)
def test_what_voids_an_approval(option: Option, before: TargetView, after: TargetView, same: bool) -> None:
    assert (digest(option, before) == digest(option, after)) is same


def test_the_digest_differs_by_action() -> None:
    assert len({digest(option, a_view()) for option in (PREVIOUS, STOP, TO_TWO)}) == 3
