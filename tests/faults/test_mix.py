"""Does anything get lost, doubled or forgotten while everything fails at once? A short run of a fixed seed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.cluster import Cluster
from tests.e2e.stage import Installed
from tests.faults.mix import mix
from tests.faults.weather import forecast

FAULTS = ["it rains", "it snows", "it blows"]


def test_nothing_is_lost_or_doubled_whatever_fails(cluster: Cluster, installed: Installed) -> None:
    told = list[str]()

    outcome = mix(cluster, installed, seed=1, seconds=40, lives=12, say=told.append)

    print("\n".join(told), outcome.log[-20_000:])  # pytest shows it with a failure
    assert len(outcome.spells) > 10
    assert outcome.struck > 10
    assert outcome.flaws == {}


@given(st.integers(0, 2**32))
def test_a_seed_brings_the_same_weather_again_and_no_fault_overlaps_itself(seed: int) -> None:
    spells = forecast(seed, 60, FAULTS)

    assert forecast(seed, 60, FAULTS) == spells
    for fault in FAULTS:
        same = [spell for spell in spells if spell.fault == fault]
        assert all(one.begins + one.lasts < other.begins for one, other in pairwise(same))
    assert all(0 < spell.begins < 60 for spell in spells)
