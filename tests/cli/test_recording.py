"""What does a recording say, and is what is wrong with it said by field and fix?"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_policy
from tocsin.api.decision import DecisionSpec, DecisionType
from tocsin.api.policy import PolicyModel
from tocsin.cli.files import Mistake
from tocsin.cli.recording import load_acts, load_recording, parse_ages, parse_points, tape_of, target_of
from tocsin.decide.script import Cue, Report
from tocsin.decide.situation import Failed, NoTarget, Sample, TargetView

POLICY = a_policy()
MODEL = POLICY.spec.models[0]
LEAST = "step: 1m\nseries: {latency: [0.2]}\n"
TYPES = [repr(one.value) for one in DecisionType]
FAILED = Failed("the query failed, as recorded")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "series.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("raw", "points"),
    [
        (["0.93", "-1"], (Decimal("0.93"), Decimal(-1))),
        (["0.93 x 3"], (Decimal("0.93"),) * 3),
        (["null", "~", ""], (None,) * 3),
        (["null x 2", "error x 2"], (None, None, FAILED, FAILED)),
        (["+Inf", "-Inf"], (Decimal("Infinity"), Decimal("-Infinity"))),
    ],
    ids=["numbers", "a run", "no data", "runs of no data and of failures", "infinite values"],
)
def test_points(raw: list[str], points: tuple[Any, ...]) -> None:
    assert parse_points(raw) == points


def test_a_number_keeps_every_digit_that_was_written() -> None:
    assert str(parse_points(["0.10"])[0]) == "0.10"


def test_not_a_number_is_a_point_of_its_own() -> None:
    (point,) = parse_points(["NaN"])

    assert isinstance(point, Decimal)
    assert point.is_nan()


def test_ages_are_seconds() -> None:
    assert parse_ages(["5m", "1h30m x 2", "null"]) == (Decimal(300), Decimal(5400), Decimal(5400), None)


MISTAKES = (
    pytest.param("", "holds 0 YAML documents, one is needed: start, step, series", id="an empty file"),
    pytest.param("series: {latency: [1]}", "step: is required", id="no step"),
    pytest.param(
        "step: 0s\nseries: {latency: [1]}", "step: '0s' is no step: write for example 1m", id="no time between"
    ),
    pytest.param(
        "step: 1d\nseries: {latency: [1]}",
        "step: '1d' is not a duration: write for example 30s, 15m or 1h30m",
        id="a day",
    ),
    pytest.param(
        "step: 1m\nseries: {latency: []}",
        "series.latency.values: write a list of values, for example [0.93 x 10, 0.81, null, error]",
        id="an empty series",
    ),
    pytest.param(
        "step: 1m\nseries: {latency: [1, high]}",
        "series.latency.values: 'high' is no value: write a number, NaN, +Inf, null, error, or a run such as 0.93 x 10",
        id="a word for a value",
    ),
    pytest.param(
        "step: 1m\nseries: {latency: {values: [1], age: [old]}}",
        "series.latency.age: 'old' is not a duration: write for example 30s, 15m or 1h30m",
        id="a word for an age",
    ),
    pytest.param(
        LEAST + "targets: {}",
        "targets: unknown field, did you mean target?",
        id="a misspelt field is named with the right one",
    ),
    pytest.param(
        "step: 1m\nseries: {latencies: [1], latency: [1]}",
        "series.latencies: no such signal, the policy's signals are latency",
        id="a signal that the policy has not",
    ),
    pytest.param(
        "step: 1m\nseries: {latencies: [1]}",
        "series.latency: is missing: record it, or write [null] for no data",
        id="a signal that the recording has not",
    ),
    pytest.param(
        LEAST + "after: {pause: {latency: [1]}}",
        "after.pause: no such option, the policy's are last-healthy, stop",
        id="an option that the policy has not",
    ),
    pytest.param(
        LEAST + "after: {stop: {errors: [1]}}",
        "after.stop.errors: no such signal, the policy's signals are latency",
        id="a signal after an option that the policy has not",
    ),
    pytest.param(
        LEAST + "start: 2026-11-23T09:00:00",
        "start: '2026-11-23T09:00:00' has no time zone: write for example 2026-11-23T14:32:00Z",
        id="a start without a zone",
    ),
    pytest.param(
        LEAST + "target: {revisions: []}",
        "target.revisions: needs at least 1",
        id="a target without a revision",
    ),
)


@pytest.mark.parametrize(("text", "mistake"), MISTAKES)
def test_a_mistake_names_the_field_and_the_fix(tmp_path: Path, text: str, mistake: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(Mistake) as refused:
        load_recording(path, POLICY)

    assert f"{path}: {mistake}" in str(refused.value).splitlines()


def test_what_is_no_yaml_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="is not YAML"):
        load_recording(written(tmp_path, "step: [1m"), POLICY)


def test_a_file_that_is_not_there_is_said_to_be_not_there(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"cannot be read: .*No such file"):
        load_recording(tmp_path / "none.yaml", POLICY)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        (LEAST, timedelta()),
        ("step: 1m\nseries: {latency: [0.2 x 11]}", 10 * MIN),
        ("step: 1m\nseries: {latency: {values: [0.2 x 3], step: 1h}}", 2 * HOUR),
        (LEAST + "until: 45m", 45 * MIN),
    ],
    ids=["a single value is an instant", "up to the last value", "by its own step", "as long as it says"],
)
def test_how_long_a_recording_is(tmp_path: Path, text: str, span: timedelta) -> None:
    assert load_recording(written(tmp_path, text), POLICY).span == span


def test_the_tape_answers_as_the_queries_would(tmp_path: Path) -> None:
    text = "step: 1m\nseries: {latency: {values: [0.2, null, error], samples: [500], age: [5m]}}\naffected: [7]"
    recording = load_recording(written(tmp_path, text), POLICY)
    model = PolicyModel(name="fraud", match={"model_name": "fraud"})

    tape = tape_of(recording, recording.series, model, recording.affected)

    labels = {"model_name": "fraud"}
    assert tape.values["latency"].answers == ((Sample(labels, Decimal("0.2")),), (), FAILED)
    assert tape.samples["latency"].answers == ((Sample(labels, Decimal(500)),),)
    assert tape.ages["latency"].answers == ((Sample(labels, Decimal(300)),),)
    assert tape.affected is not None
    assert tape.affected.after(9 * HOUR) == (Sample(labels, Decimal(7)),)
    assert tape.values["latency"].after(9 * HOUR) == FAILED


def test_the_target_is_settled_at_its_last_revision(tmp_path: Path) -> None:
    text = LEAST + "target: {replicas: 3, revisions: [{images: ['fraud:1'], healthy: true}, {images: ['fraud:2']}]}"

    view = target_of(load_recording(written(tmp_path, text), POLICY).target, MODEL)

    assert isinstance(view, TargetView)
    assert view.settled
    assert (view.name, view.replicas, view.current_hash, view.images) == ("fraud", 3, "revision-2", ("fraud:2",))
    assert [(one.number, one.healthy) for one in view.revisions] == [(1, True), (2, False)]


def test_a_model_without_a_target_has_none_in_a_replay_either(tmp_path: Path) -> None:
    recorded = load_recording(written(tmp_path, LEAST), POLICY).target

    assert isinstance(target_of(recorded, PolicyModel(name="fraud")), NoTarget)


def test_acts(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        - {at: 12m, type: Acknowledge, by: alice}
        - {at: 2026-11-23T10:00:00Z, type: Authorise, by: carol, option: stop, for: 1h, reason: tried}
        - {at: 1m, by: bob, report: payments hang}
        """,
    )

    assert load_acts(path, T0) == (
        Cue(T0 + 12 * MIN, DecisionSpec.model_validate({"type": "Acknowledge", "by": "alice"})),
        Cue(
            T0 + HOUR,
            DecisionSpec.model_validate(
                {"type": "Authorise", "by": "carol", "option": "stop", "expireTime": T0 + 2 * HOUR, "reason": "tried"}
            ),
        ),
        Report(T0 + MIN, "bob", "payments hang"),
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("at: 1m", "write one list of Decisions, each with at, type and by", id="no list"),
        pytest.param("- at", "[0]: is no Decision: write at, type and by", id="a word"),
        pytest.param("- {type: Hold, by: a}", "[0].at: is required", id="no time"),
        pytest.param(
            "- {at: soon, type: Hold, by: a}",
            "[0].at: 'soon' is not an instant: write for example 2026-11-23T14:32:00Z",
            id="no instant",
        ),
        pytest.param(
            "- {at: 1m, type: Ack, by: a}",
            f"[0].type: input should be {', '.join(TYPES[:-1])} or {TYPES[-1]}",
            id="no such act",
        ),
        pytest.param("- {at: 1m, type: Hold, by: a, why: b}", "[0].why: unknown field", id="an unknown field"),
        pytest.param("- {at: 1m, report: b, by: a, why: c}", "[0].why: unknown field", id="one of a report"),
        pytest.param(
            "- {at: 1m, type: Hold, by: a, for: 1h}",
            "[0].for: 1h goes with type Authorise only",
            id="a span for a hold",
        ),
        pytest.param(
            "- {at: 1m, type: Attest, by: a}",
            "[0].type: a replay is of an incident, and Attest is about a policy: leave it out",
            id="an attestation",
        ),
        pytest.param(
            f"- {{at: 1m, type: AcceptClock, by: a, clock: gdpr-33, digest: 'sha256:{'a' * 64}'}}",
            "[0].type: a replay is of an incident, and AcceptClock is about a policy: leave it out",
            id="an acceptance of a clock",
        ),
    ],
)
def test_a_mistake_in_what_people_do(tmp_path: Path, text: str, mistake: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(Mistake) as refused:
        load_acts(path, T0)

    assert str(refused.value).replace(f"{path}: ", "") == mistake
