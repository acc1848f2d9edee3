"""What if the cluster's data are restored from a backup: do incidents go on from what is true now?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.e2e.lives import END, Life, Street
from tests.e2e.stage import Installed


def test_what_never_was_is_forgotten_and_what_goes_on_ends_as_if_undisturbed(
    cluster: Cluster, installed: Installed, tmp_path: Path
) -> None:
    """One incident was open when the data were backed up; another was opened, and contained, since then."""
    operator = installed.operator("restored").start()
    try:
        with closing(Street.settle(cluster)) as street:
            before, since = lives = [Life(street, name) for name in ("before", "since")]
            street.prepare(lives)
            before.break_it()
            before.until(before.incidents, "an incident")
            cluster.back_up(tmp_path / "backup")
            since.break_it()
            since.until(lambda: _contained(since) and _contained(before), "two containments")
            for life in lives:
                life.decided.clear()  # what was decided since the backup never was
            street.going_on = [before]

            cluster.restore(tmp_path / "backup")

            assert operator.ended(30) == 1
            assert "was etcd restored?" in operator.log
            forgotten = {one.body["key"] for one in street.received()}  # of these the ledger may know nothing
            street.go_on()
            cluster.wait(lambda: _is_heard(before), 30, "Prometheus to have heard how the model is again")
            operator.start()
            assert since.incidents() == []
            since.break_it()
            street.live(lives, 300)
            for life in lives:
                end = life.end()
                assert set(end["unknown"]) <= forgotten
                # It took long: people may have been asked to look.
                assert _apart(end) == _apart(END)
            assert since.end()["told"] == END["told"]
    finally:
        operator.stop()
        print(operator.log[-20_000:])  # pytest shows it with a failure


def _is_heard(life: Life) -> bool:
    """Whether Prometheus has known nothing else for as long as a breach takes: its data were not restored."""
    series = f'model_quality_ratio{{namespace="{life.street.namespace}",model="{life.model}"}}[3s]'
    extremes = [life.street.cluster.query(f"{which}_over_time({series})") for which in ("min", "max")]
    heard = {float(one["value"][1]) for found in extremes for one in found}
    return heard == {life.street.accuracy[life.model]}


def _contained(life: Life) -> Any:
    return any("settledTime" in str(one) for one in life.incidents())


def _apart(end: dict[str, Any]) -> dict[str, Any]:
    return {one: value for one, value in end.items() if one not in ("told", "unknown")}
