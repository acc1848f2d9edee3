"""Does any text either mean something, or get refused by the one error that was promised?"""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.fuzz.anything import JSON, MANY, ODD_TEXTS, TEXTS, mistyped, spoiled
from tocsin.act.notify.post import retry_after
from tocsin.api.quantities import (
    COMPARISON_PATTERN,
    DURATION_PATTERN,
    NUMBER_PATTERN,
    Comparison,
    Number,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)
from tocsin.cli.files import Mistake, documents
from tocsin.cli.recording import parse_ages, parse_points
from tocsin.observe.wire import _short
from tocsin.settings import Settings, SettingsError, load_settings

NUMBERS: TypeAdapter[Any] = TypeAdapter(Number)
RFC_3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z"


@dataclass(frozen=True)
class Grammar:
    """How a kind of text is read and written again, what is written fits, and texts of it that are sound."""

    parse: Callable[[str], Any]
    write: Callable[[Any], str]
    fits: str
    sound: tuple[str, ...]


GRAMMARS = {
    "duration": Grammar(
        parse_duration, format_duration, DURATION_PATTERN, ("1h30m", "15m", "500ms", "0s", "99999h59m59s999ms")
    ),
    "comparison": Grammar(
        Comparison.parse, str, COMPARISON_PATTERN, ("< 0.92", ">= -4.5", "> 999999999999.999999999", "<= 0")
    ),
    "instant": Grammar(parse_time, format_time, RFC_3339, ("2026-11-23T14:32:00Z", "0001-01-01T00:00:00.001-05:00")),
    "number": Grammar(
        NUMBERS.validate_python,
        NUMBERS.dump_python,
        NUMBER_PATTERN,
        ("0.92", "-Infinity", "1.234567890123456e+300", "1e-999999999"),
    ),
}


def mistyped_of(kind: str) -> st.SearchStrategy[str]:
    return st.sampled_from(GRAMMARS[kind].sound).flatmap(lambda sound: mistyped(sound))


WRITTEN = st.sampled_from(list(GRAMMARS)).flatmap(lambda kind: st.tuples(st.just(kind), TEXTS | mistyped_of(kind)))


@MANY
@given(WRITTEN)
@example(("duration", "99999h99999h"))
@example(("number", "0e+999999999"))
@example(("number", "9.99999999999999999e+999999999"))
def test_a_text_is_refused_by_a_value_error_or_means_the_same_once_it_is_written_again(
    written: tuple[str, str],
) -> None:
    grammar, text = GRAMMARS[written[0]], written[1]
    try:
        value = grammar.parse(text)
    except ValueError:
        return
    assert re.fullmatch(grammar.fits, grammar.write(value))
    again = grammar.parse(grammar.write(value))
    assert grammar.write(again) == grammar.write(value)


LONG = ("9" * 200_000, "1h" * 100_000, "< " + "9." * 100_000, "2026-11-23T14:32:00." + "9" * 200_000, '{a="' * 50_000,
        "{" + "a" * 200_000, "{" + '"a"' * 70_000, "\\" * 200_000)  # fmt: skip


READERS: tuple[Callable[[str], Any], ...] = (
    *(grammar.parse for grammar in GRAMMARS.values()),
    lambda text: _short(text, ["s3cret-token"]),
)


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:6])
def test_a_long_text_takes_no_more_room_than_a_few_copies_of_it(text: str) -> None:
    for read in READERS:
        tracemalloc.start()
        try:
            read(text)
        except ValueError:
            pass
        finally:
            room = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert room < 12 * len(text) + 100_000


HEADERS = TEXTS | mistyped("Mon, 02 Mar 2026 09:01:30 GMT") | mistyped("Mon, 02 Mar 2026 09:01:30 +0100")


@MANY
@given(HEADERS | mistyped("120"), HEADERS)
@example("Mon, 02 Mar 2026 09:01:30 +99999999999999999999", "Mon, 02 Mar 2026 09:01:30 GMT")
def test_a_receiver_asks_to_be_left_alone_for_a_while_or_for_nothing_that_is_known(asked: str, date: str) -> None:
    found = retry_after({"Retry-After": asked, "Date": date})
    assert found is None or found >= timedelta()


SETTINGS = {
    "prometheus": {
        "default": {"url": "http://prometheus:9090", "headers": {"X-Scope-OrgID": "a"}, "tenancy": "Single"},
        "other": {"url": "https://other", "bearerTokenFile": "/token", "caFile": "/ca", "timeout": "5s"},
    },
    "budget": {"containments": 3, "window": "1h"},
    "channels": {"publicHosts": True, "allowedHosts": ["sink:8080"], "allowedSchemes": ["slack"]},
    "datasource": {"after": "5m", "responders": ["platform"]},
    "allowedLabels": ["model"],
    "leaseDuration": "5s",
}
TAGGED = st.builds(
    "{}: !!{} {}".format,
    st.sampled_from(["prometheus", "a"]),
    st.sampled_from(["int", "float", "bool", "timestamp", "binary", "null", "set", "omap", "map", "str"]),
    TEXTS | st.sampled_from(["maybe", "2026-02-30", "0x", "[a]"]),
)
FILES = st.one_of(
    st.binary(max_size=40),
    st.text("!&*[]{}:-?|>'\"%@`0xab,# \n", max_size=24).map(str.encode),
    mistyped("prometheus: {default: {url: 'http://prometheus:9090', timeout: 2026-02-28}}").map(str.encode),
    TAGGED.map(str.encode),
    spoiled(SETTINGS).map(lambda found: yaml.safe_dump(found).encode()),
)


FILE_READERS = {
    "settings": (load_settings, SettingsError),
    "objects": (documents, Mistake),
    "texts": (partial(documents, numbers=False), Mistake),
}


@pytest.mark.parametrize(("read", "error"), FILE_READERS.values(), ids=FILE_READERS)
@MANY
@given(content=FILES)
@example(b"\xff")
@example(b"a: 2026-02-30")
@example(b"a: !!bool maybe")
@example(b"a: !!timestamp maybe")
@example(b"!!int")
@example(b"[" * 5_000)
def test_a_file_is_read_or_refused_with_its_name(
    tmp_path: Path, read: Callable[[Path], Settings | list[Any]], error: type[Exception], content: bytes
) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    try:
        found: Settings | list[Any] | str = read(file)
    except error as refused:
        found = str(refused)
    assert not isinstance(found, str) or found.startswith(f"{file}: ")


POINTS = st.sampled_from(["0.93", "0.93 x 10", "+Inf", "null", "error", "5m", "2h x 3"])


@MANY
@given(JSON | st.lists(POINTS.flatmap(lambda sound: mistyped(sound)) | st.sampled_from(ODD_TEXTS), max_size=3))
def test_recorded_points_are_read_or_refused_by_a_value_error(raw: Any) -> None:
    for parse in (parse_points, parse_ages):
        try:
            found = parse(raw)
        except ValueError:
            continue
        assert len(found) >= len(raw)
