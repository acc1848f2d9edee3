"""Does whoever watches see each change once, whatever happens to the connection, and hear of the end?"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.builders import MIN, T0
from tests.cli.test_desk import use
from tests.cli.test_views import an_open
from tests.clocks import FakeClock, HastyClock
from tests.cluster.access import Access
from tests.cluster.cluster import ours
from tests.cluster.proxy import ApiProxy, Call, CallBefore, DropBefore
from tests.connecting import connected
from tocsin.api.incident import Incident
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.cli.files import Mistake
from tocsin.cli.following import PAUSE, Event, follow
from tocsin.cli.main import main
from tocsin.cli.watch import draw, dump, lines, tell

GONE = ApiError(410, "Expired", "too old resource version")
BUSY = ApiError(503, "ServiceUnavailable", "apiserver is shutting down")
FORBIDDEN = ApiError(403, "Forbidden", "you may not")
CUT = NoAnswer("watching incidents: connection reset")


def raw(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": raw(name, version)}


class Enough(Exception):
    """The script is at its end."""


class Scripted:
    """An API server that says what is written: lists and watches, each with what ends it."""

    def __init__(self, clock: FakeClock, *script: Any) -> None:
        self._clock = clock
        self._script = list(script)
        self.asked: list[str] = []

    def _next(self, what: str) -> Any:
        self.asked.append(what)
        if not self._script:
            raise Enough
        return self._script.pop(0)

    async def get(self, where: str, **params: str) -> Any:
        match self._next("list"):
            case Exception() as bad:
                raise bad
            case (version, items):
                return {"metadata": {"resourceVersion": str(version)}, "items": items}

    async def watch(self, where: str, version: str, **params: str) -> AsyncGenerator[Mapping[str, Any], None]:
        *events, end = self._next(f"watch from {version}")
        for one in events:
            yield one
        if isinstance(end, Exception):
            raise end
        await self._clock.sleep(end)


def followed(*script: Any) -> tuple[list[tuple[str, str, str]], list[str], list[str], float]:
    """What is told, what is said beside it, what was asked, and how long it took."""
    clock = HastyClock()
    api: Any = Scripted(clock, *script)
    said: list[str] = []
    told: list[tuple[str, str, str]] = []

    async def body() -> None:
        async for one in follow(api, "incidents", clock, said.append):
            metadata = {"name": ""} | one["object"]["metadata"]
            told.append((one["type"], metadata["name"], metadata["resourceVersion"]))

    with pytest.raises(Enough):
        asyncio.run(body())
    return told, said, api.asked, clock.monotonic()


def test_a_list_then_every_change_and_bookmarks_move_the_version_only() -> None:
    told, said, asked, _ = followed(
        (5, [raw("a", 3)]),
        [event("MODIFIED", "a", 6), event("BOOKMARK", "", 9), 60],
        [event("DELETED", "a", 11), 60],
    )
    assert told == [("ADDED", "a", "3"), ("BOOKMARK", "", "5"), ("MODIFIED", "a", "6"), ("DELETED", "a", "11")]
    assert asked == ["list", "watch from 5", "watch from 9", "watch from 11"]
    assert said == []


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        pytest.param(GONE, [], id="the version is too old"),
        pytest.param(CUT, [f"the watch was lost, and is tried again every 2 s: {CUT}"], id="the connection is cut"),
        pytest.param(BUSY, [f"the watch was lost, and is tried again every 2 s: {BUSY}"], id="the server is going"),
    ],
)
def test_what_changed_in_a_gap_is_told_after_it_and_nothing_twice(lost: Exception, words: list[str]) -> None:
    told, said, asked, elapsed = followed(
        (5, [raw("a", 3), raw("b", 4), raw("c", 5)]), [lost], (20, [raw("a", 3), raw("b", 12), raw("d", 14)]), [60]
    )
    changed = [("DELETED", "c", "5"), ("MODIFIED", "b", "12"), ("ADDED", "d", "14")]
    assert told[3:] == [("BOOKMARK", "", "5"), *changed, ("BOOKMARK", "", "20")]
    assert asked == ["list", "watch from 5", "list", "watch from 20", "watch from 20"]
    assert said == [*words, *(["the API server answers again"] if words else [])]
    assert elapsed == 60 + PAUSE


def test_an_outage_is_said_once_and_so_is_its_end() -> None:
    _, said, asked, _ = followed((5, []), [CUT], CUT, BUSY, CUT, (9, []), [60])
    assert said == [f"the watch was lost, and is tried again every 2 s: {CUT}", "the API server answers again"]
    assert asked.count("list") == 5


def test_a_server_that_ends_each_watch_at_once_is_not_asked_without_pause() -> None:
    _, said, asked, elapsed = followed((5, []), [0], (5, []), [0], (5, []), [0])
    assert asked.count("list") == 4
    assert elapsed == 3 * PAUSE
    assert said[0].endswith("the server ended it at once")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param([CUT], NoAnswer, id="no answer to the very first list"),
        pytest.param([(5, []), [FORBIDDEN]], ApiError, id="the right was taken away"),
    ],
)
def test_what_will_not_get_better_is_raised(script: Sequence[Any], error: type[Exception]) -> None:
    async def body() -> None:
        clock = HastyClock()
        api: Any = Scripted(clock, *script)
        async for _ in follow(api, "incidents", clock, lambda _: None):
            pass

    with pytest.raises(error):
        asyncio.run(body())


# --- what is printed


async def told_of(*incidents: Incident | tuple[str, Incident]) -> AsyncIterator[Event]:
    for place, one in enumerate(incidents):
        kind, incident = one if isinstance(one, tuple) else ("MODIFIED" if place else "ADDED", one)
        yield {"type": kind, "object": incident.dump()}
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(place)}}}


def a_console(**options: Any) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=80, highlight=False, markup=False, emoji=False, **options), file


def a_story(count: int, dropped: int = 0, **changes: Any) -> Incident:
    told = tuple({"time": T0 + number * MIN, "what": f"line {number}"} for number in range(dropped, count))
    return an_open(timeline=told, timeline_dropped=dropped, **changes)


HEAD = "fraud-1  SEV2 Contained, waiting for compliance: decide, due 2026-11-23T09:12:00Z"


def test_a_story_is_told_line_by_line_until_it_is_resolved() -> None:
    console, file = a_console()
    over = a_story(6, dropped=2, resolved_time=T0, phase="Resolved")

    assert (
        asyncio.run(
            tell(told_of(a_story(2), a_story(2), a_story(4, dropped=1), over, a_story(9)), console, as_json=False)
        )
        == 0
    )

    assert file.getvalue().splitlines() == [
        HEAD,
        "2026-11-23T09:02:00Z  line 2",
        "2026-11-23T09:03:00Z  line 3",
        "2026-11-23T09:04:00Z  line 4",
        "2026-11-23T09:05:00Z  line 5",
    ]


def test_a_story_for_programs_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    console, _ = a_console()
    asyncio.run(tell(told_of(a_story(1), a_story(3)), console, as_json=True))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"time": "2026-11-23T09:01:00Z", "what": "line 1"},
        {"time": "2026-11-23T09:02:00Z", "what": "line 2"},
    ]


def test_the_story_of_what_is_deleted_ends_with_a_word() -> None:
    console, _ = a_console()
    with pytest.raises(Mistake) as deleted:
        asyncio.run(tell(told_of(a_story(1), ("DELETED", a_story(1))), console, as_json=False))
    assert str(deleted.value).splitlines() == [
        "incident/fraud-1 was deleted",
        "see what is there: kubectl get incidents -n models",
    ]


def test_a_pipe_gets_a_line_for_each_change_that_shows() -> None:
    console, file = a_console()
    old = an_open(resolved_time=T0, phase="Resolved")
    old = old.model_copy(update={"metadata": old.metadata.model_copy(update={"uid": "old", "name": "old"})})
    course = told_of(
        ("ADDED", old),
        ("ADDED", an_open()),
        an_open(risk=99),
        an_open(waiting_for="board: acknowledge", next_deadline_time=None),
        an_open(resolved_time=T0, phase="Resolved"),
        ("DELETED", an_open()),
    )

    asyncio.run(lines(course, console, FakeClock(T0 + timedelta(milliseconds=7))))

    now = "2026-11-23T09:00:00Z  models/fraud-1"
    assert file.getvalue().splitlines() == [
        f"{now}  {HEAD.removeprefix('fraud-1  ')}",
        f"{now}  SEV2 Contained, waiting for board: acknowledge",
        f"{now}  SEV2 Resolved",
        f"{now}  was deleted",
    ]


def test_programs_get_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    resolved = an_open(resolved_time=T0)
    asyncio.run(dump(told_of(("ADDED", resolved), ("ADDED", an_open()), resolved)))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events == [{"type": "ADDED", "object": an_open().dump()}, {"type": "MODIFIED", "object": resolved.dump()}]


def test_a_terminal_sees_what_is_open_drawn_anew() -> None:
    console, file = a_console(force_terminal=True, legacy_windows=False)

    asyncio.run(
        draw(told_of(("ADDED", an_open()), an_open(phase="Containing"), ("DELETED", an_open())), console, FakeClock(T0))
    )

    frames = file.getvalue()
    assert "nothing is open" not in frames[: frames.index("Contained")], "not before all was listed"
    assert frames.index("Contained") < frames.index("Containing") < frames.rindex("nothing is open")
    assert "in 12m" in frames


# --- on a real API server


def an_incident_of(served: Access, namespace: str) -> str:
    url = f"/apis/tocsin.dev/v1alpha1/namespaces/{namespace}/incidents"
    spec = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "bob", "reason": "slow"}
    body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Incident", "metadata": {"name": "fraud-1"}, "spec": spec}
    served.api("POST", url, body)
    return f"{url}/fraud-1"


def test_the_api_server_tells_each_change_and_when_a_version_is_too_old(served: Access, namespace: str) -> None:
    url = an_incident_of(served, namespace)
    where = path("tocsin.dev/v1alpha1", "incidents", namespace)

    async def body() -> None:
        async with connected(served.kubeconfig) as api:
            events = follow(api, where, FakeClock(), lambda _: None, fieldSelector="metadata.name=fraud-1")
            first, mark = await anext(events), await anext(events)
            served.api("PATCH", f"{url}/status", {"status": a_story(1).status.dump()})
            second = await anext(events)
            served.api("DELETE", url)
            third = await anext(events)
            await events.aclose()
            told = [one["type"] for one in (first, mark, second, third)]
            assert told == ["ADDED", "BOOKMARK", "MODIFIED", "DELETED"]
            assert Incident.model_validate(second["object"]).status.timeline == a_story(1).status.timeline
            with pytest.raises(ApiError) as gone:
                await anext(api.watch(where, "1"))
            assert gone.value.code == 410

    asyncio.run(body())


def test_what_changes_while_the_connection_is_lost_is_told_once_it_is_back(served: Access, namespace: str) -> None:
    served = ours(served)
    url = an_incident_of(served, namespace)
    said: list[str] = []

    async def body(kubeconfig: Path) -> list[Event]:
        async with connected(kubeconfig) as api:
            where = path("tocsin.dev/v1alpha1", "incidents", namespace)
            async with aclosing(follow(api, where, HastyClock(), said.append)) as events:
                return [await anext(events) for _ in range(4)]

    def change(_: Call) -> None:
        served.api("PATCH", f"{url}/status", {"status": a_story(1).status.dump()})

    with ApiProxy(served, (served.admin_certificate, served.admin_key)) as proxy:
        proxy.rule(CallBefore(change), methods={"GET"}, path="watch=")
        proxy.rule(DropBefore(), methods={"GET"}, path="watch=", times=2)  # the client tries a GET once more by itself
        told = asyncio.run(body(proxy.kubeconfig()))

    assert [one["type"] for one in told] == ["ADDED", "BOOKMARK", "MODIFIED", "BOOKMARK"]
    assert Incident.model_validate(told[2]["object"]).status.timeline == a_story(1).status.timeline
    assert [words.split(":")[0] for words in said] == [
        f"the watch was lost, and is tried again every {PAUSE:g} s",
        "the API server answers again",
    ]


def test_a_resolved_incident_ends_the_command(
    served: Access, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, served.kubeconfig_for("alice", ("system:masters",)))
    url = an_incident_of(served, namespace)
    served.api("PATCH", f"{url}/status", {"status": a_story(1, resolved_time=T0, phase="Resolved").status.dump()})

    assert main(["watch", "inc/fraud-1", "-n", namespace]) == 0
    assert capsys.readouterr().out == "fraud-1  SEV2 Resolved\n"
    assert main(["watch", "fraud-9", "-n", namespace]) == 2
    assert f"see: kubectl get incidents -n {namespace}" in capsys.readouterr().err
    assert main(["watch", "fraud-1", "-A"]) == 2
    assert capsys.readouterr().err == "-A shows what is open: name a namespace to follow fraud-1, with -n\n"


def test_a_connection_that_is_cut_is_no_answer() -> None:
    class Cut:
        status = 200

        def __init__(self) -> None:
            self.response, self.connection = self, None
            self.closed = False

        @property
        async def content(self) -> AsyncIterator[bytes]:
            yield json.dumps(event("ADDED", "a", 3)).encode()
            yield b'{"type": "MOD'

        def close(self) -> None:
            self.closed = True

    class Client(ApiServer):
        async def _ask(self, *asked: Any) -> Any:
            return cut

    cut = Cut()

    async def body() -> None:
        events = Client(None).watch("/incidents", "2")
        assert (await anext(events))["type"] == "ADDED"
        with pytest.raises(NoAnswer, match="watching /incidents: JSONDecodeError"):
            await anext(events)
        assert cut.closed

    asyncio.run(body())
