"""Which channel is tried when: the table is the specification."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.clocks import T0
from tocsin.decide.delivery import Deferred, Failure, Lost, Refused, exhausted, first, following, overdue_at

BUSY, LOST, NO = Deferred("answered 500"), Lost("no answer"), Refused("answered 400")


def after(seconds: float) -> Deferred:
    return Deferred("answered 429", timedelta(seconds=seconds))


def tries(channels: int, failures: list[Failure], took: float = 0.0) -> list[tuple[float, int]]:
    """When each try is due, in seconds from the first, and at which channel; the last one is still to come."""
    turn = first(T0)
    found = [(0.0, 0)]
    for failure in failures:
        turn = following(turn, failure, channels, turn.due_at + timedelta(seconds=took))
        found.append(((turn.due_at - T0).total_seconds(), turn.channel))
    return found


@pytest.mark.parametrize(
    ("channels", "failures", "then"),
    [
        pytest.param(1, [], [(0, 0)], id="the first channel is tried at once"),
        pytest.param(
            2, [BUSY] * 8,
            [(0, 0), (1, 0), (3, 0), (7, 0), (15, 0), (30, 0), (45, 0), (60, 1), (61, 1)],
            id="pauses double up to 15 s, and after a minute the next channel follows with pauses of its own",
        ),
        pytest.param(2, [LOST, BUSY], [(0, 0), (1, 0), (3, 0)], id="a lost answer is tried again like a busy one"),
        pytest.param(3, [NO, NO], [(0, 0), (0, 1), (0, 2)], id="a channel that refuses is left at once"),
        pytest.param(
            3, [BUSY, NO, BUSY], [(0, 0), (1, 0), (1, 1), (2, 1)],
            id="a refusal after a failure leaves at once, and the next channel has a whole minute",
        ),
        pytest.param(1, [after(10)], [(0, 0), (10, 0)], id="a receiver that names a time is tried then"),
        pytest.param(1, [after(0.5)], [(0, 0), (1, 0)], id="a receiver cannot shorten the pause"),
        pytest.param(2, [after(90)], [(0, 0), (60, 1)], id="a receiver that wants longer than its minute is left then"),
        pytest.param(1, [after(90)], [(0, 0), (90, 0)], id="an only channel is waited for as it asked"),
        pytest.param(1, [after(9999)], [(0, 0), (300, 0)], id="but for five minutes at most"),
        pytest.param(
            2, [NO, NO, NO, NO, BUSY, LOST, NO],
            [(0, 0), (0, 1), (15, 0), (15, 1), (45, 0), (45, 1), (105, 0), (105, 1)],
            id="after the last channel all are tried once more, refused ones too, after pauses that double",
        ),
        pytest.param(
            1, [NO] * 8, [(0, 0), (15, 0), (45, 0), (105, 0), (225, 0), (465, 0), (765, 0), (1065, 0), (1365, 0)],
            id="the pause between laps ends at five minutes",
        ),
        pytest.param(0, [NO, NO], [(0, 0), (15, 0), (45, 0)], id="a role without channels is looked at again"),
        pytest.param(2, [NO] * 200, None, id="however often it fails it goes on"),
    ],
)  # fmt: skip
def test_the_tries_of_a_notice(channels, failures, then):
    found = tries(channels, failures)
    if then is None:
        assert 0 < found[-1][0] - found[-3][0] <= 300
    else:
        assert found == then


def test_a_slow_receiver_keeps_its_turn_no_longer_than_a_minute_and_one_try():
    assert tries(2, [LOST] * 5, took=10) == [(0, 0), (11, 0), (23, 0), (37, 0), (55, 0), (65, 1)]


@pytest.mark.parametrize(
    ("intended", "submitted", "then"),
    [
        pytest.param(0, 0, 60, id="a minute after the intent"),
        pytest.param(0, 50, 65, id="a notice taken over late in its minute gets a few seconds"),
        pytest.param(0, 3600, 3615, id="as does one of an hour ago"),
        pytest.param(500, 0, 60, id="an intent from a clock that runs ahead does not delay the report"),
    ],
)
def test_when_people_are_told_that_nobody_was_told(intended, submitted, then):
    at = overdue_at(T0 + timedelta(seconds=intended), T0 + timedelta(seconds=submitted))
    assert at == T0 + timedelta(seconds=then)


@pytest.mark.parametrize(
    ("failures", "then"),
    [
        pytest.param([NO], False, id="not while another channel is untried"),
        pytest.param([NO, NO], True, id="when all refuse"),
        pytest.param([NO, BUSY], False, id="not while the last may still accept within its minute"),
        pytest.param([NO, NO, NO, NO], True, id="nor does it end there"),
    ],
)
def test_when_a_delivery_is_exhausted(failures, then):
    turn = first(T0)
    for failure in failures:
        turn = following(turn, failure, 2, turn.due_at)
    assert exhausted(turn, failures[-1]) is then
