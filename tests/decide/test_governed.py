"""In what are rules looser than those that were attested? Every field in both directions, and what holds for all."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import a_policy
from tocsin.api.attestation import RULES as RULES_AT_MOST
from tocsin.api.policy import EscalationPolicySpec
from tocsin.decide.governed import FIELDS, MOST, governed, loosenings

RULES = """
mode: Enforce
secondLine: model-risk
reviewBy: "2027-06-30T00:00:00Z"
models:
- name: credit
  target: {apiVersion: apps/v1, kind: Deployment, name: credit}
  upstream: [features]
  floor: {minAvailable: 2}
  owners: {data: lake, userImpact: legal}
- {name: fraud}
risk: {regulatory: 3, reputation: 2, affected: {query: decisions}}
signals:
- name: auc
  kind: Quality
  query: auc
  warn: "< 0.92"
  critical: "< 0.88"
  every: 1m
  for: 10m
  recoverAfter: 10m
  samples: {query: n, min: 500}
  reportedAt: {query: at}
  noData: {after: 30m, then: Alert}
  floor: SEV2
- {name: slow, kind: Latency, query: p99, warn: ">= 0.3", recover: "< 0.2"}
- {name: parity, kind: Fairness, query: ratio, warn: "< 0.8"}
containment:
- name: back
  type: RollBack
  effect: {experience: they wait, fallback: we call}
  approval: {required: 2, failSafeAfter: 30m, expireAfter: 2h}
- {name: stop, type: Scale, scale: {replicas: 0}}
tiers:
- {name: owners, severity: SEV3, accountable: owners, responsible: [ops], informed: [press], acknowledgeWithin: 15m}
- name: compliance
  severity: SEV2
  accountable: model-risk
  containWithin: 1h
  decideWithin: 4h
  questions: [{name: notify, text: "tell them?", options: [now, later]}]
freezes:
- {name: year-end, from: "2026-12-20T00:00:00Z", until: "2027-01-04T00:00:00Z", reason: closing the books}
clocks:
- {preset: gdpr-33}
- {preset: sec-8k-105, determineWithin: 4h, calendar: US}
messages:
- {name: first, template: initial, when: TierEntered, tier: owners}
- {name: hourly, template: update, when: Every, every: 1h}
"""


def edited(**changes: Any) -> dict[str, str]:
    """The rules with paths such as ``signals.auc.warn`` set; None removes."""
    spec = yaml.safe_load(RULES)
    for path, value in changes.items():
        *way, last = path.split("__")
        inner = spec
        for step in way:
            inner = next(one for one in inner if _key(one) == step) if isinstance(inner, list) else inner[step]
        if isinstance(inner, list):
            place = next(place for place, one in enumerate(inner) if _key(one) == last)
            inner[place : place + 1] = [value] if value else []
        elif value is None:
            inner.pop(last)
        else:
            inner[last] = value
    return governed(EscalationPolicySpec.model_validate(spec))


def _key(thing: dict[str, Any]) -> str:
    return str(thing.get("name") or thing["preset"])


ATTESTED = edited()
SPEC = yaml.safe_load(RULES)
OWNERS, COMPLIANCE = SPEC["tiers"]
BACK, STOP = SPEC["containment"]
(YEAR_END,) = SPEC["freezes"]


Edit = tuple[dict[str, Any], list[str]]
EDITS: list[Edit] = [
    ({"mode": "Observe"}, ["mode from Enforce to Observe"]),
    ({"prometheus": "other"}, ["prometheus from default to other"]),
    ({"secondLine": "owners"}, ["secondLine from model-risk to owners"]),
    ({"secondLine": None}, ["secondLine model-risk is gone"]),
    ({"reviewBy": "2028-06-30T00:00:00Z"}, ["reviewBy from 2027-06-30T00:00:00Z to 2028-06-30T00:00:00Z"]),
    ({"reviewBy": None}, ["reviewBy 2027-06-30T00:00:00Z is gone"]),
    ({"reviewBy": "2027-05-30T00:00:00Z"}, []),
    ({"risk__regulatory": 2}, ["risk.regulatory from 3 to 2"]),
    ({"risk__regulatory": 4}, []),
    ({"risk__reputation": 0}, ["risk.reputation from 2 to 0"]),
    ({"risk__affected": {"query": "vector(0)"}}, ["query for risk.affected is another one"]),
    ({"risk__affected": None}, ["query for risk.affected is gone"]),
    ({"models__fraud": None}, ["model fraud is gone"]),
    ({"models__credit__match": {"app": "credit"}}, ["model credit: set of labels is another one"]),
    ({"models__credit__match": {"model": "credit"}}, []),
    (
        {"models__credit__target__name": "other"},
        ["model credit: target from Deployment/credit to Deployment/other"],
    ),
    ({"models__credit__floor__minAvailable": 1}, ["model credit: floor.minAvailable from 2 to 1"]),
    ({"models__credit__floor__minAvailable": 3}, []),
    ({"models__credit__floor": None}, ["model credit: floor.minAvailable 2 is gone"]),
    ({"models__credit__owners__data": "other"}, ["model credit: owner of data from lake to other"]),
    ({"models__credit__owners": {"data": "lake"}}, ["model credit: owner of user impact is gone"]),
    ({"models__credit__owners__model": "ops"}, []),
    ({"models__credit__upstream": None}, ["model credit: upstream features is gone"]),
    ({"models__credit__upstream": ["features", "bureau"]}, ["model credit: upstream bureau is new"]),
    ({"models__credit__version": "v2", "models__credit__inventoryId": "M-7"}, []),
    ({"models": [*SPEC["models"], {"name": "new"}]}, []),
    ({"signals__auc": None}, ["signal auc is gone"]),
    ({"signals__auc__query": "vector(1)"}, ["signal auc: query is another one"]),
    ({"signals__auc__warn": "< 0.90"}, ["signal auc: warn from < 0.92 to < 0.90"]),
    ({"signals__auc__warn": "< 0.95"}, []),
    ({"signals__auc__warn": "<= 0.92"}, []),
    ({"signals__auc__warn": "< 0.920"}, []),
    ({"signals__slow__warn": ">= 0.4"}, ["signal slow: warn from >= 0.3 to >= 0.4"]),
    ({"signals__slow__warn": "> 0.3"}, ["signal slow: warn from >= 0.3 to > 0.3"]),
    ({"signals__slow__warn": "> 0.2"}, []),
    (
        {"signals__auc__warn": "> 0.92", "signals__auc__critical": "> 0.95"},
        ["signal auc: warn from < 0.92 to > 0.92", "signal auc: critical from < 0.88 to > 0.95"],
    ),
    ({"signals__auc__critical": "< 0.80"}, ["signal auc: critical from < 0.88 to < 0.80"]),
    ({"signals__auc__critical": None}, ["signal auc: critical < 0.88 is gone"]),
    ({"signals__auc__critical": "< 0.90"}, []),
    ({"signals__slow__critical": "> 0.9"}, []),
    ({"signals__slow__recover": "< 0.25"}, ["signal slow: recover from < 0.2 to < 0.25"]),
    ({"signals__slow__recover": None}, ["signal slow: recover from < 0.2 to < 0.3"]),
    ({"signals__slow__recover": "< 0.1"}, []),
    ({"signals__auc__every": "5m"}, ["signal auc: every from 1m to 5m"]),
    ({"signals__auc__every": "30s"}, []),
    ({"signals__auc__for": "1h"}, ["signal auc: for from 10m to 1h"]),
    ({"signals__auc__for": None}, ["signal auc: for from 10m to 2h"]),
    ({"signals__auc__for": "5m"}, []),
    ({"signals__auc__for": "600s"}, []),
    ({"signals__auc__recoverAfter": "5m"}, ["signal auc: recoverAfter from 10m to 5m"]),
    ({"signals__auc__recoverAfter": "20m"}, []),
    ({"signals__auc__samples__min": 1000}, ["signal auc: samples.min from 500 to 1000"]),
    ({"signals__auc__samples__min": 100}, []),
    ({"signals__auc__samples__query": "m"}, ["signal auc: query for samples is another one"]),
    ({"signals__auc__samples": None}, []),
    ({"signals__slow__samples": {"query": "n"}}, ["signal slow: query for samples is new"]),
    ({"signals__auc__reportedAt": None}, ["signal auc: query for reportedAt is gone"]),
    ({"signals__auc__reportedAt": {"query": "0"}}, ["signal auc: query for reportedAt is another one"]),
    ({"signals__slow__reportedAt": {"query": "0"}}, ["signal slow: query for reportedAt is new"]),
    ({"signals__auc__noData__after": "1h"}, ["signal auc: noData.after from 30m to 1h"]),
    ({"signals__auc__noData__after": "1s"}, ["signal auc: noData.after from 30m to 1s"]),
    ({"signals__slow__noData": {"after": "1m"}}, []),
    ({"signals__auc__noData__then": "Hold"}, ["signal auc: noData.then from Alert to Hold"]),
    ({"signals__parity__noData": {"then": "Alert"}}, []),
    ({"signals__auc__floor": "SEV3"}, ["signal auc: floor from SEV2 to SEV3"]),
    ({"signals__auc__floor": None}, ["signal auc: floor SEV2 is gone"]),
    ({"signals__auc__floor": "SEV1"}, []),
    ({"signals__slow__floor": "SEV1"}, []),
    (
        {
            "signals__parity": {
                "name": "parity",
                "kind": "Drift",
                "query": "ratio",
                "warn": "< 0.8",
                "recoverAfter": "3h",
            }
        },
        ["signal parity: kind from Fairness to Drift"],
    ),
    ({"signals": [*SPEC["signals"], {"name": "more", "kind": "Drift", "query": "d", "warn": "> 1"}]}, []),
    ({"signals": SPEC["signals"][::-1]}, []),
    ({"signals__auc__basis": "as agreed"}, []),
    ({"tiers__compliance": None}, ["tier compliance is gone"]),
    ({"tiers": [COMPLIANCE, OWNERS]}, ["tier owners: place from 1 to 2"]),
    (
        {"tiers": [OWNERS, {"name": "more", "severity": "SEV3", "accountable": "ops"}, COMPLIANCE]},
        ["tier compliance: place from 2 to 3"],
    ),
    ({"tiers": [OWNERS, COMPLIANCE, {"name": "more", "severity": "SEV1", "accountable": "ops"}]}, []),
    ({"tiers__owners__severity": "SEV2"}, ["tier owners: severity from SEV3 to SEV2"]),
    ({"tiers__owners__severity": "SEV4"}, []),
    (
        {"tiers__owners__accountable": "ops"},
        ["tier owners: accountable from owners to ops", "tier owners: Responder owners is gone"],
    ),
    ({"tiers__owners__responsible": None}, ["tier owners: Responder ops is gone"]),
    (
        {"tiers__owners__responsible": [], "tiers__owners__informed": ["ops", "press"]},
        ["tier owners: Responder ops from acting to told"],
    ),
    (
        {"tiers__owners__responsible": ["ops", "press"], "tiers__owners__informed": []},
        [],
    ),
    ({"tiers__owners__informed": None}, ["tier owners: Responder press is gone"]),
    ({"tiers__owners__consulted": ["model-risk"]}, []),
    ({"tiers__owners__acknowledgeWithin": "1h"}, ["tier owners: acknowledgeWithin from 15m to 1h"]),
    ({"tiers__owners__acknowledgeWithin": None}, ["tier owners: acknowledgeWithin 15m is gone"]),
    ({"tiers__owners__acknowledgeWithin": "5m"}, []),
    ({"tiers__owners__acknowledgementExpires": "2h"}, ["tier owners: acknowledgementExpires from 1h to 2h"]),
    ({"tiers__compliance__containWithin": "2h"}, ["tier compliance: containWithin from 1h to 2h"]),
    ({"tiers__compliance__decideWithin": None}, ["tier compliance: decideWithin 4h is gone"]),
    ({"tiers__owners__decideWithin": "4h"}, []),
    ({"tiers__compliance__questions": None}, ["tier compliance: question notify is gone"]),
    (
        {"tiers__compliance__questions__notify__answeredBy": "ops"},
        ["tier compliance: question notify is another one"],
    ),
    ({"tiers__owners__steps": ["look"]}, []),
    ({"containment__stop": None}, ["option stop is gone"]),
    ({"containment": [STOP, BACK]}, ["option back: place from 1 to 2"]),
    ({"containment__stop__scale__replicas": 1}, ["option stop: action is another one"]),
    ({"containment__back__rollBack": {"to": "Previous"}}, ["option back: action is another one"]),
    ({"containment__back__approval__required": 1}, ["option back: approvals from 2 to 1"]),
    ({"containment__back__approval__required": 3}, []),
    ({"containment__stop__approval": {"required": 1}}, []),
    ({"containment__back__approval__failSafeAfter": "5m"}, ["option back: failSafeAfter from 30m to 5m"]),
    ({"containment__back__approval__failSafeAfter": None}, ["option back: failSafeAfter from 30m to 0s"]),
    ({"containment__back__approval__failSafeAfter": "1h"}, []),
    ({"containment__back__approval__expireAfter": "1h"}, ["option back: expireAfter from 2h to 1h"]),
    ({"containment__back__approval__expireAfter": None}, []),
    ({"containment__stop__approval": {"expireAfter": "1h"}}, ["option stop: expireAfter 1h is new"]),
    ({"containment__back__verifyWithin": "1h"}, ["option back: verifyWithin from 15m to 1h"]),
    ({"containment__back__verifyWithin": "5m"}, []),
    (
        {"containment__back__effect__experience": "nothing changes"},
        ["option back: effect is another one"],
    ),
    ({"containment__back__effect__fallback": "nobody does"}, ["option back: effect is another one"]),
    ({"containment__back__effect": None}, ["option back: effect is gone"]),
    ({"containment__stop__effect": {"experience": "they wait", "fallback": "we call"}}, []),
    (
        {"containment": [BACK, STOP, STOP | {"name": "now", "approval": {"required": 0}}]},
        ["option now is new, and needs no approval"],
    ),
    ({"containment": [BACK, STOP, STOP | {"name": "now"}]}, []),
    ({"reopenWindow": "1m"}, []),
    (
        {"freezes__year-end__from": "2026-12-19T00:00:00Z"},
        ["freeze year-end: beginning from 2026-12-20T00:00:00Z to 2026-12-19T00:00:00Z"],
    ),
    ({"freezes__year-end__from": "2026-12-21T00:00:00Z"}, []),
    (
        {"freezes__year-end__until": "2027-01-05T00:00:00Z"},
        ["freeze year-end: end from 2027-01-04T00:00:00Z to 2027-01-05T00:00:00Z"],
    ),
    ({"freezes__year-end__until": "2027-01-03T00:00:00Z"}, []),
    ({"freezes__year-end__reason": "an audit"}, []),
    ({"freezes__year-end": None}, []),
    ({"freezes": [YEAR_END, YEAR_END | {"name": "more"}]}, ["freeze more is new"]),
    ({"clocks__gdpr-33": None}, ["clock gdpr-33 is gone"]),
    ({"clocks": [*SPEC["clocks"], {"preset": "nydfs-500-17"}]}, []),
    ({"clocks__gdpr-33__determineWithin": "24h"}, ["clock gdpr-33: determineWithin from 18h to 24h"]),
    ({"clocks__gdpr-33__determineWithin": "1h"}, []),
    ({"clocks__sec-8k-105__determineWithin": None}, ["clock sec-8k-105: determineWithin from 4h to 24h"]),
    ({"clocks__sec-8k-105__calendar": "NYSE"}, ["clock sec-8k-105: calendar from US to NYSE"]),
    ({"clocks__sec-8k-105__calendar": None}, []),
    ({"clocks__gdpr-33__calendar": "US"}, ["clock gdpr-33: calendar US is new"]),
    ({"messages__first": None}, ["message first is gone"]),
    ({"messages__first__template": "other"}, ["message first: template from initial to other"]),
    ({"messages__first__tier": "compliance"}, ["message first: tier from owners to compliance"]),
    (
        {"messages__first": {"name": "first", "template": "initial", "when": "Opened"}},
        ["message first: when from TierEntered to Opened"],
    ),
    ({"messages__hourly__every": "2h"}, ["message hourly: every from 1h to 2h"]),
    ({"messages__hourly__every": "30m"}, []),
    ({"messages": [*SPEC["messages"], {"name": "more", "template": "initial", "when": "Opened"}]}, []),
]


@pytest.mark.parametrize(("changes", "words"), EDITS)
def test_an_edit_is_looser_in(changes: dict[str, Any], words: list[str]) -> None:
    assert list(loosenings(ATTESTED, edited(**changes))) == words


def test_every_field_has_a_measure_and_every_measure_a_field() -> None:
    fields = {name.split(".")[2] if "." in name else name for name in ATTESTED}
    assert fields == FIELDS.keys()


def test_a_line_that_only_a_newer_version_knows_is_passed_over() -> None:
    newer = ATTESTED | {"signals.auc.colour": "red", "shape": "round"}
    assert loosenings(newer, ATTESTED) == ()


def test_very_many_loosenings_are_counted() -> None:
    models = [{"name": f"m{number}"} for number in range(100)]
    many = governed(a_policy(models=models, containment=[]).spec)
    found = loosenings(many, governed(a_policy(models=models[:1], containment=[]).spec))
    assert (len(found), found[-1]) == (MOST, f"and {99 - MOST + 1} more")


def test_the_largest_policy_fits_into_a_status() -> None:
    numbers = [f"n{number}" for number in range(100)]
    (whole, *_), questions = SPEC["signals"], COMPLIANCE["questions"][0]
    owners = dict.fromkeys(("data", "model", "userImpact"), "lake")
    largest = {
        "models": [SPEC["models"][0] | {"name": one, "upstream": numbers[:8], "owners": owners} for one in numbers],
        "signals": [whole | {"name": one} for one in numbers[:32]],
        "tiers": [
            OWNERS
            | COMPLIANCE
            | {"name": one, "consulted": numbers[:7], "questions": [questions | {"name": two} for two in numbers[:4]]}
            for one in numbers[:8]
        ],
        "containment": [BACK | {"name": one} for one in numbers[:8]],
        "freezes": [YEAR_END | {"name": one} for one in numbers[:16]],
    }
    lines = edited(**largest)
    assert 1500 < len(lines) <= RULES_AT_MOST
    assert max(map(len, lines)) <= 1024


def thing_of(edit: Edit) -> str:
    """What an edit of the table touches, for example ``signals__auc``; edits of unlike things do not meet."""
    return "__".join(next(iter(edit[0])).split("__")[:2])


WHOLE = {"models", "signals", "tiers", "containment", "freezes", "clocks", "messages"}
SINGLE = [edit for edit in EDITS if not WHOLE.intersection(edit[0])]


@settings(deadline=None)
@given(st.lists(st.sampled_from(SINGLE), unique_by=thing_of, max_size=8))
def test_several_edits_are_looser_just_when_one_of_them_is(edits: list[Edit]) -> None:
    changes = {path: value for edit, _ in edits for path, value in edit.items()}
    words = [one for _, looser in edits for one in looser]
    rules = edited(**changes)
    assert sorted(loosenings(ATTESTED, rules)) == sorted(words)
    assert loosenings(rules, rules) == ()
