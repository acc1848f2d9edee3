"""Mix all faults for as long as you like: `python -m tests.faults`; each run is made again by its seed."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.e2e.stage import Installed
from tests.faults.mix import mix


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first run; the next has the next one (default: a random one)")
    parser.add_argument("--runs", type=int, default=3, help="so many runs, one after another (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of weather in each run (default: %(default)s)")
    parser.add_argument("--lives", type=int, default=30, help="incidents in each run (default: %(default)s)")
    arguments = parser.parse_args()
    first = random.randrange(100_000) if arguments.seed is None else arguments.seed
    failed = 0
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        installed = Installed.install(cluster, Path(folder))
        for seed in range(first, first + arguments.runs):
            began = time.monotonic()
            print(f"seed {seed}:", flush=True)
            outcome = mix(cluster, installed, seed=seed, seconds=arguments.seconds, lives=arguments.lives, say=_say)
            spells = f"{len(outcome.spells)} spells, {outcome.struck} requests disturbed"
            verdict = f"{len(outcome.flaws)} with flaws" if outcome.flaws else "no flaw"
            print(f"  {outcome.lives} lives, {spells}, {time.monotonic() - began:.0f} s: {verdict}", flush=True)
            for model, wrong in outcome.flaws.items():
                print(f"  {model}: {'; '.join(wrong)}", flush=True)
            if outcome.flaws:
                failed += 1
                log = Path(f"faults-{seed}.log")
                log.write_text(outcome.log)
                print(f"  what the replicas said: {log}; again: python -m tests.faults --seed {seed} --runs 1")
    return 1 if failed else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
