"""How does somebody see it work? `python -m tests.demo`: the main job on a real cluster, told live, then cleaned up."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from contextlib import ExitStack, suppress

from tests.cluster.access import Access, CommandError
from tests.cluster.fixtures import KINDS
from tests.cluster.process import StartError
from tests.cluster.tools import ToolError, ensure
from tests.demo.story import NAMESPACE, Story
from tests.demo.terminal import Teller
from tests.e2e.stage import SYSTEM


def main() -> int:
    """Play the demo; returns the process's exit code."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts it in the background has it ignored
    teller = Teller()
    try:
        return _play(arguments, teller)
    except KeyboardInterrupt:
        teller.say("Interrupted; everything that was started is gone.")
        return 130
    except (ToolError, StartError) as missing:
        sys.stderr.write(f"{missing}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    kinds = [kind for kind in KINDS if kind]
    default = os.environ.get("TOCSIN_CLUSTER") or "processes"
    parser.add_argument("--cluster", choices=kinds, default=default, help="which cluster (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the cluster until Ctrl-C, to look around")
    return parser


def _play(arguments: argparse.Namespace, teller: Teller) -> int:
    if arguments.cluster == "processes":
        ensure()  # the first time it builds, with lines of its own: the story's clock starts after it
    teller.begin("Starting a control plane: etcd, API server, controllers, scheduler, Prometheus; pods are processes.")
    with KINDS[arguments.cluster]() as cluster, ExitStack() as end:
        end.callback(_clean_up, teller)
        try:
            Story(cluster, teller).tell(end)
        except (AssertionError, CommandError) as failed:
            teller.say(f"The demo failed: {failed}", "red")
            teller.quote(_logs(cluster))
            return 1
        teller.act("Look around")
        if arguments.keep:
            _show_around(cluster, teller)
            with suppress(KeyboardInterrupt):
                signal.pause()
        teller.quote(_NEXT)
    teller.say("Everything that was started is gone.")
    return 0


def _logs(cluster: Access) -> str:
    """What the operator said last; the cluster is about to go."""
    pods = [one["metadata"]["name"] for one in cluster.items("pods", SYSTEM)]
    return "\n".join(f"{pod}: {line}" for pod in pods for line in cluster.logs(SYSTEM, pod).splitlines()[-12:])


def _clean_up(teller: Teller) -> None:
    """From here on a second Ctrl-C must not leave anything behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    teller.say("Cleaning up.")


def _show_around(cluster: Access, teller: Teller) -> None:
    teller.say("The cluster stays until Ctrl-C. In another terminal:")
    path = cluster.environment()["PATH"].removesuffix(os.environ["PATH"])
    teller.quote(
        [
            f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))} PATH={shlex.quote(path)}$PATH",
            f"kubectl get incidents,escalationpolicies,responders,decisions -n {NAMESPACE}",
            f"kubectl describe incidents -n {NAMESPACE}",
            "kubectl explain escalationpolicy.spec.signals",
            f"kubectl set env deployment/recommender -n {NAMESPACE} MODEL_VERSION=v2 MODEL_DRIFT=0.3",
        ]
    )


_NEXT = """\
kubectl tocsin replay examples/fraud-latency.yaml --series examples/series/fraud-latency.yaml
    the same decisions on recorded series, without a cluster
python -m tests.demo --keep
    this again, and the cluster stays up to look around in
docs/getting-started.md
    your own model on your own cluster"""


if __name__ == "__main__":
    raise SystemExit(main())
