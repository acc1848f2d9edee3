"""``kubectl tocsin``: try a policy on recorded series, and decide on incidents."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tocsin import __version__
from tocsin.cli import acts, clock, completion, lint, noting, planning, previewing, replay, silencing, views, watch
from tocsin.cli import messages as letters
from tocsin.cli.files import Mistake

DESCRIPTION = """\
Turn a model's bad metrics into accountable action.

Try a policy before you apply it:
  kubectl tocsin replay examples/fraud-latency.yaml --series examples/series/fraud-latency.yaml
  kubectl tocsin lint policies/*.yaml
  kubectl tocsin plan fraud-latency
See what is open, who is waited for, and who is on duty:
  kubectl tocsin status
  kubectl tocsin watch
  kubectl tocsin show fraud-7c9f2
  kubectl tocsin oncall
Decide on an incident:
  kubectl tocsin ack fraud-7c9f2
  kubectl tocsin approve fraud-7c9f2
  kubectl tocsin clock list
  kubectl tocsin resolve fraud-7c9f2 --reason 'rolled back; the fix is on its way'
Read what an audience would be told:
  kubectl tocsin message preview customers-initial --incident fraud-7c9f2
Read and release what was drafted:
  kubectl tocsin message list
  kubectl tocsin message approve fraud-7c9f2-customers-1a2b3c4d --reason 'checked with the team'
Every decision is an object under your own name: kubectl get decisions.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="kubectl tocsin", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    replay.add(commands)
    lint.add(commands)
    planning.add(commands)
    views.add(commands)
    watch.add(commands)
    acts.add(commands)
    _add_messages(commands)
    silencing.add(commands)
    noting.add(commands)
    clock.add(commands)
    completion.add(commands)
    return top


def _add_messages(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands about what customers, regulators and others are told."""
    about = "what customers, regulators, partners, executives and the media are told"
    group = commands.add_parser("message", help=about, description=f"{about[0].upper()}{about[1:]}.")
    messages = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    previewing.add(messages)
    letters.add(messages)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 2 when something must change.

    1 when a decision did not count, or when an option of a plan would be refused.
    """
    top = parser()
    completion.offer(top)
    arguments = top.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read has read enough; nothing may be flushed into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
