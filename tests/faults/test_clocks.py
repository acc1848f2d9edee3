"""What if the clock of the operator's machine is set forward, and back again, in the middle of an incident?"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.e2e.forks import SHIFT, Forks
from tests.e2e.lives import END, Life, Street
from tests.e2e.stage import SYSTEM, Installed
from tocsin.api.quantities import format_time
from tocsin.clock import SystemClock

AHEAD = 600


def test_nothing_recovers_is_undone_or_is_done_twice_by_a_clock_that_is_set(
    cluster: Cluster, installed: Installed, tmp_path: Path
) -> None:
    shift, log = tmp_path / "shift", tmp_path / "log"
    shift.write_text("0")
    operator = installed.operator("tocsin-clocks")
    arguments = ["run", "--settings", str(operator.home / "settings.yaml"), "--probe-port", "0", "--metrics-port", "0"]
    environment = {"POD_NAMESPACE": SYSTEM, "POD_NAME": operator.name, SHIFT: str(shift)}
    with Forks(cluster, operator.kubeconfig) as forks, closing(Street.settle(cluster)) as street:
        pid = forks.start(arguments, environment, log)
        try:
            life = Life(street, "clocks")
            street.prepare([life])
            life.break_it()
            life.until(lambda: "Helped" in str(life.incidents()), "a containment that helped")

            shift.write_text(str(AHEAD))
            life.until(lambda: "set forward" in log.read_text(), "the word that the clock was set")
            time.sleep(5)
            (incident,) = life.incidents()
            recovered = incident["status"].get("recoveredTime", "")
            assert recovered < format_time(SystemClock().now()), "it recovered by what nobody has measured yet"

            shift.write_text("0")
            assert forks.wait(pid) == 1
            assert f"set back by {AHEAD} s" in log.read_text()
            pid = forks.start(arguments, environment, log)
            street.live([life], 120)
            assert _apart(life.end()) == _apart(END)
        finally:
            forks.kill(pid)
            print(log.read_text()[-20_000:])  # pytest shows it with a failure


def _apart(end: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in end.items() if name not in ("told",)}
