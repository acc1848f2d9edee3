"""Does a model find its own series in an answer, and nobody else's?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_policy
from tocsin.decide.signals import affected_by, series_of
from tocsin.decide.situation import Failed, NoData, Sample, Vector

LABELS = st.dictionaries(st.sampled_from(["model", "namespace", "slice"]), st.sampled_from("abc"))
ANSWERS = st.lists(LABELS).map(lambda found: Vector(Sample(labels, Decimal(n)) for n, labels in enumerate(found)))


@given(answer=ANSWERS, wanted=st.lists(LABELS, min_size=1))
def test_the_series_with_all_labels_are_found_in_order_however_often_it_is_asked(
    answer: Vector, wanted: list[dict[str, str]]
) -> None:
    for labels in wanted:
        reading_all = [one for one in answer if all(one.labels.get(name) == text for name, text in labels.items())]
        assert list(answer.of(labels)) == reading_all
    assert list(answer.unlabelled) == [one for one in answer if not one.labels]


def test_each_series_is_read_once_however_many_models_ask() -> None:
    class Counted(dict[str, str]):
        reads = 0

        def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # of a test
            Counted.reads += 1
            return super().get(key, default)

    answer = Vector(Sample(Counted(model=f"m{n}"), Decimal(n)) for n in range(100))

    assert [[one.value for one in answer.of({"model": f"m{n}"})] for n in range(100)] == [[n] for n in range(100)]
    assert Counted.reads == 100


def samples(*found: tuple[str, dict[str, str]]) -> Vector:
    return Vector(Sample(labels, Decimal(value)) for value, labels in found)


MINE = samples(("1", {"model": "fraud"}), ("2", {"model": "chat"}), ("3", {"model": "fraud", "slice": "a"}), ("4", {}))


@pytest.mark.parametrize(
    ("match", "alone", "values"),
    [
        pytest.param(None, False, [1, 3], id="the model's name"),
        pytest.param(None, True, [1, 3, 4], id="an unlabelled one too, of the only model on a server of one tenant"),
        pytest.param({"slice": "a"}, False, [3], id="the labels of match"),
        pytest.param({}, False, [1, 2, 3, 4], id="all, for a match without labels"),
        pytest.param({}, True, [1, 2, 3, 4], id="all, and each once"),
    ],
)
def test_series_of(match: dict[str, str] | None, alone: bool, values: list[int]) -> None:
    model = a_policy(models=[{"name": "fraud"} | ({} if match is None else {"match": match})]).spec.models[0]

    assert [one.value for one in series_of(MINE, model, alone)] == values
    assert [one.value for one in series_of(list(MINE), model, alone)] == values


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        pytest.param(MINE, 3, id="the most that any series says"),
        pytest.param(samples(("NaN", {"model": "fraud"}), ("7", {"model": "fraud"})), 7, id="NaN says nothing"),
        pytest.param(samples(("NaN", {"model": "fraud"})), None, id="NaN alone is unknown"),
        pytest.param(samples(("9", {"model": "chat"})), None, id="another model's is not ours"),
        pytest.param(NoData("Empty"), None, id="no data"),
        pytest.param(Failed("down"), None, id="a failed query"),
        pytest.param(None, None, id="no query"),
    ],
)
def test_affected_by(answer: Vector | NoData | Failed | None, count: int | None) -> None:
    assert affected_by(answer, a_policy().spec.models[0], alone=False) == count
