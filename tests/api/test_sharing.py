"""What do thousands of policies hold once? What was written alike, and never what only means the same."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from pydantic import ValidationError

from tests.builders import a_policy
from tocsin.api.policy import EscalationPolicy
from tocsin.observe.cluster import Store


def read(**changes: Any) -> EscalationPolicy:
    """A policy as the store reads it, with its one signal changed."""
    raw = a_policy().dump()
    (signal,) = raw["spec"]["signals"]
    raw["spec"]["signals"] = [signal | changes]
    return EscalationPolicy.model_validate(raw)


def test_policies_that_say_the_same_hold_it_once() -> None:
    one, other = read(), read()
    assert one is not other
    assert one == other
    for part in ("signals", "containment", "tiers"):
        assert [*map(id, getattr(one.spec, part))] == [*map(id, getattr(other.spec, part))] != []
    assert one.spec.risk is other.spec.risk


def test_what_is_equal_but_was_written_otherwise_is_read_as_it_was_written() -> None:
    short, long = read(warn="> 0.5"), read(warn="> 0.50")
    assert short.spec == long.spec
    assert [str(one.spec.signals[0].warn) for one in (short, long)] == ["> 0.5", "> 0.50"]


def test_what_nobody_holds_any_more_is_not_kept() -> None:
    policy = read(query="a_query_of_this_test")
    signal = weakref.ref(policy.spec.signals[0])
    assert signal() is not None
    del policy
    gc.collect()
    assert signal() is None


@pytest.mark.parametrize("strange", [7, None, "text", [], {"name": {1, 2}}, {"name": float("nan")}, {1: 2}])
def test_what_is_no_such_part_is_refused_as_ever(strange: Any) -> None:
    raw = a_policy().dump()
    raw["spec"]["signals"] = [strange]
    with pytest.raises(ValidationError, match=r"spec\.signals\.0"):
        EscalationPolicy.model_validate(raw)


def test_a_changed_copy_knows_its_fields_and_leaves_the_others_alone() -> None:
    one, other = read(), read()
    given = set(one.metadata.model_fields_set)
    assert one.metadata.model_fields_set is other.metadata.model_fields_set
    changed = one.metadata.model_copy(update={"deletion_timestamp": None})
    assert changed.model_fields_set == given | {"deletion_timestamp"}
    assert other.metadata.model_fields_set == given


def test_a_policy_that_was_rewritten_in_other_words_is_held_as_it_is_written_now() -> None:
    """Whoever starts anew reads the new words: who goes on must hold no others."""
    store = Store()
    for version, warn in (("1", "> 0.50"), ("2", "> 0.5")):
        raw = read(warn=warn).dump()
        raw["metadata"] |= {"resourceVersion": version}
        raw["spec"]["signals"][0] |= {"warn": warn}
        store.put("EscalationPolicy", raw)
    policy = store.policy("models", "fraud")
    assert policy is not None
    assert str(policy.spec.signals[0].warn) == "> 0.5"
