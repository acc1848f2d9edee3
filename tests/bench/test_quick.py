"""Do the counts hold that the benchmarks publish? Small sizes, and no duration is asserted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.contain import contain
from tests.bench.deadlines import deadlines
from tests.bench.ground import Ground
from tests.bench.soak import soak
from tests.bench.steady import steady
from tests.cluster.access import Access
from tests.cluster.cluster import ours
from tests.e2e.stage import Installed


@pytest.fixture(scope="module")
def ground(cluster: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    own, folder = ours(cluster), tmp_path_factory.mktemp("bench")
    installed = Installed.install(own, folder)
    yield Ground(own, installed, folder)
    installed.uninstall()


def test_an_incident_takes_five_writes_until_it_is_contained(ground: Ground) -> None:
    rows = {result.row: result for result in contain(ground, 3)}

    assert rows[5].met, rows[5]
    assert len(rows[3].numbers["seconds"]) == 3


def test_every_one_of_many_deadlines_of_one_second_is_kept_by_two_writes_at_most(ground: Ground) -> None:
    row, _ = deadlines(
        ground, [20], plain=5, spread=5
    )  # it waits for each tier entry, and refuses one that comes early

    assert max(run["writes"] for run in row.numbers["runs"]) <= 2


def test_while_nothing_is_wrong_nothing_is_written_and_one_query_asks_for_all(ground: Ground) -> None:
    rows = {result.row: result for result in steady(ground, [20], 5, 1)}

    assert rows[1].met, rows[1]
    assert rows[2].met, rows[2]


def test_a_soak_runs_to_its_end() -> None:
    (row,) = soak(10, 1000)

    assert row.numbers["evaluations"] == 1000
    assert len(row.numbers["memory"]) == 10
