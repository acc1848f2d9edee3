"""How is the demo told? Line by line, with the seconds since the start; in a pipe it is the same, without colours."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from tests.cluster.sink import Received, Sink
from tocsin.clock import SystemClock

INDENT = " " * 8


class Teller:
    """What the audience sees."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._clock = SystemClock()
        self._began = self._clock.monotonic()

    @property
    def seconds(self) -> float:
        """Since the first line."""
        return self._clock.monotonic() - self._began

    def begin(self, what: str) -> None:
        """The first line: from here the seconds count."""
        self._began = self._clock.monotonic()
        self.say(what)

    def act(self, title: str) -> None:
        self._print(Text(f"\n── {title} ──", style="bold cyan"))

    def say(self, what: str, style: str = "") -> None:
        """One line: what happens, and why."""
        self._print(Text.assemble((f"{self.seconds:6.1f}s ", "dim"), (what, style)))

    def command(self, who: str, line: str) -> None:
        """A command as it is run, by whom."""
        first, *rest = line.splitlines()
        self._print(Text.assemble((f"{who:>6}$ ", "dim"), (first, "bold")))
        for more in rest:
            self._print(Text(more, style="bold"))

    def quote(self, text: str | Iterable[str], style: str = "dim") -> None:
        """What something answered, or what is read out."""
        for line in text.splitlines() if isinstance(text, str) else text:
            self._print(Text.assemble(INDENT, (line.rstrip(), style)))

    def page(self, body: dict[str, Any]) -> None:
        self.say(f"PAGE to {body['responder']}: {body['subject']}", "yellow")

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class Pager:
    """Shows every page as it arrives at the sink, from a thread of its own."""

    def __init__(self, sink: Sink, teller: Teller, namespace: str) -> None:
        self._sink, self._teller, self._namespace = sink, teller, namespace
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pager", daemon=True)

    def __enter__(self) -> Pager:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            for one in self._sink.received()[self._seen :]:
                self._seen = one.number
                self._show(one)

    def _show(self, one: Received) -> None:
        if isinstance(one.body, dict) and one.body.get("namespace") == self._namespace:
            self._teller.page(one.body)
