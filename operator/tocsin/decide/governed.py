"""Which rules of a policy are governed, one line for each, and in which of them another policy is looser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.api.clock import PolicyClock
from tocsin.api.containment import Option
from tocsin.api.objects import clip
from tocsin.api.policy import EscalationPolicySpec, MessageRule, Mode, OnNoData, PolicyModel, Signal, SignalKind, Tier
from tocsin.api.quantities import Comparison, format_duration, format_time, parse_duration, parse_time
from tocsin.decide.defaults import SignalRule, digest
from tocsin.decide.presets import PRESETS

MOST = 32
"""So many loosenings are told one by one."""
WORDS = 200
"""So many characters has one of them."""

Lines = Mapping[str, str]


def governed(spec: EscalationPolicySpec) -> dict[str, str]:
    """The governed rules by name, defaults filled in; what no machine can compare stands as a digest."""
    return {name: text for name, text in _lines(spec) if text is not None}


def loosenings(old: Lines, new: Lines) -> tuple[str, ...]:
    """In what the new rules are looser than the old ones, in words; empty when they are as strict in everything.

    What cannot be compared, for example another query, counts as looser: no machine can tell, so a person must look.
    Lines that only a newer version knows are passed over.
    """
    before, after = _things(old), _things(new)
    found = [f"{_of(thing)} is gone" for thing in before if thing not in after and not _is_freeze(thing)]
    found += [f"{_of(thing)} is new" for thing in after if thing not in before and _is_freeze(thing)]
    for name, text in old.items():
        if _field(name) in FIELDS and (not _thing(name) or _thing(name) in after):
            found.append(_looser(name, text, new.get(name), old, new))
    for name, text in new.items():
        if name not in old:
            found.append(_added(name, text, _thing(name) in before or not _thing(name)))
    words = [clip(one, WORDS) for one in found if one]
    if len(words) > MOST:
        words = [*words[: MOST - 1], f"and {len(words) - MOST + 1} more"]
    return tuple(words)


def _lines(spec: EscalationPolicySpec) -> Iterator[tuple[str, str | None]]:
    yield "mode", spec.mode.value
    yield "prometheus", spec.prometheus
    yield "secondLine", spec.second_line
    yield "reviewBy", format_time(spec.review_by) if spec.review_by else None
    yield "regulatory", str(spec.risk.regulatory)
    yield "reputation", str(spec.risk.reputation)
    yield "affected", digest(spec.risk.affected.query) if spec.risk.affected else None
    for model in spec.models:
        yield from _under(f"models.{model.name}", _of_model(model))
    for signal in spec.signals:
        yield from _under(f"signals.{signal.name}", _of_signal(signal))
    for place, tier in enumerate(spec.tiers):
        yield from _under(f"tiers.{tier.name}", {"place": str(place + 1)} | _of_tier(tier))
    for place, option in enumerate(spec.containment):
        yield from _under(f"containment.{option.name}", {"place": str(place + 1)} | _of_option(option))
    for freeze in spec.freezes:
        times = {"from": format_time(freeze.from_), "until": format_time(freeze.until)}
        yield from _under(f"freezes.{freeze.name}", times)
    for clock in spec.clocks:
        yield from _under(f"clocks.{clock.preset}", _of_clock(clock))
    for message in spec.messages:
        yield from _under(f"messages.{message.name}", _of_message(message))


def _under(thing: str, lines: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for field, value in lines.items():
        yield f"{thing}.{field}", None if value is None else str(value)


def _of_model(model: PolicyModel) -> dict[str, Any]:
    target = model.target
    lines: dict[str, Any] = {"match": digest(model.labels()), "target": target and f"{target.kind}/{target.name}"}
    lines["minAvailable"] = model.floor.min_available if model.floor else None
    lines |= {f"owner.{what}": role for what, role in model.owners.named.items()}
    return lines | {f"upstream.{name}": "named" for name in model.upstream}


def _of_signal(signal: Signal) -> dict[str, Any]:
    rule = SignalRule.of(signal)
    age = format_duration(rule.no_data_after)
    return {
        "kind": rule.kind.value,
        "query": digest(signal.query),
        "warn": rule.warn,
        "critical": rule.critical,
        "recover": rule.recover,
        "every": format_duration(rule.every),
        "for": format_duration(rule.for_),
        "recoverAfter": format_duration(rule.recover_after),
        "samples": digest(signal.samples.query) if signal.samples else None,
        "minSamples": rule.min_samples,
        "reportedAt": digest(signal.reported_at.query) if signal.reported_at else None,
        "missedAfter": age,
        "staleAfter": age if signal.reported_at else None,
        "onNoData": rule.no_data_then.value,
        "floor": signal.floor and signal.floor.value,
    }


def _of_tier(tier: Tier) -> dict[str, Any]:
    lines: dict[str, Any] = {"severity": tier.severity.value, "accountable": tier.accountable}
    for field, span in (
        ("acknowledgeWithin", tier.acknowledge_within),
        ("acknowledgementExpires", tier.acknowledgement_expires),
        ("containWithin", tier.contain_within),
        ("decideWithin", tier.decide_within),
    ):
        lines[field] = None if span is None else format_duration(span)
    acting = {tier.accountable, *tier.responsible}
    lines |= {f"role.{role}": "acting" if role in acting else "told" for role in tier.roles}
    return lines | {f"question.{one.name}": digest(one.dump()) for one in tier.questions}


def _of_option(option: Option) -> dict[str, Any]:
    approval, action = option.approval, (option.type, option.roll_back, option.scale)
    return {
        "action": digest([part.dump() if part and not isinstance(part, str) else part for part in action]),
        "required": 1 if approval.required is None else approval.required,
        "failSafeAfter": format_duration(approval.fail_safe_after) if approval.fail_safe_after else "0s",
        "expireAfter": format_duration(approval.expire_after) if approval.expire_after else None,
        "verifyWithin": format_duration(option.verify_within),
        "effect": digest(option.effect.dump()) if option.effect else None,
    }


def _of_clock(clock: PolicyClock) -> dict[str, Any]:
    preset = PRESETS.get(clock.preset)
    default = preset.determine_within if preset else None
    within = default if clock.determine_within is None else clock.determine_within
    return {"determineWithin": "0s" if within is None else format_duration(within), "calendar": clock.calendar}


def _of_message(message: MessageRule) -> dict[str, Any]:
    return {
        "template": message.template,
        "when": message.when.value,
        "tier": message.tier,
        "repeats": format_duration(message.every) if message.every else None,
    }


Looser = Callable[[str, str], bool]
"""Whether the second value of a field is looser than the first."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a field is compared."""

    looser: Looser
    word: str = ""
    """What people call it, where that is not its name."""
    gone: bool = True
    """Whether none at all is looser than any value."""
    added: bool = False
    """Whether any value is looser than none at all."""
    shown: bool = True
    """Whether its values tell a person anything."""


def _differs(old: str, new: str) -> bool:
    return old != new


def _longer(old: str, new: str) -> bool:
    return parse_duration(new) > parse_duration(old)


def _shorter(old: str, new: str) -> bool:
    return parse_duration(new) < parse_duration(old)


def _more(old: str, new: str) -> bool:
    return int(new) > int(old)


def _fewer(old: str, new: str) -> bool:
    return int(new) < int(old)


def _later(old: str, new: str) -> bool:
    return parse_time(new) > parse_time(old)


def _earlier(old: str, new: str) -> bool:
    return parse_time(new) < parse_time(old)


def _is_crossed_later(old: str, new: str) -> bool:
    """Whether a value can cross the old line and not the new one."""
    before, after = Comparison.parse(old), Comparison.parse(new)
    if before.rises != after.rises:
        return True
    return before.holds(after.threshold) and (before.threshold != after.threshold or not after.holds(after.threshold))


def _is_crossed_sooner(old: str, new: str) -> bool:
    return _is_crossed_later(new, old)


def _was(value: str) -> Looser:
    """Whether it was this value, and is another now."""
    return lambda old, new: old == value != new


FIELDS: dict[str, Measure] = {
    "mode": Measure(_was(Mode.ENFORCE)),
    "prometheus": Measure(_differs),
    "secondLine": Measure(_differs),
    "reviewBy": Measure(_later),
    "regulatory": Measure(_fewer, "risk.regulatory"),
    "reputation": Measure(_fewer, "risk.reputation"),
    "affected": Measure(_differs, "query for risk.affected", added=True, shown=False),
    # of a model
    "match": Measure(_differs, "set of labels", shown=False),
    "target": Measure(_differs),
    "minAvailable": Measure(_fewer, "floor.minAvailable"),
    "owner": Measure(_differs, "owner of"),
    "upstream": Measure(_differs, added=True, shown=False),  # one more may have another incident page for this one
    # of a signal
    "kind": Measure(_was(SignalKind.FAIRNESS)),
    "query": Measure(_differs, shown=False),
    "warn": Measure(_is_crossed_later),
    "critical": Measure(_is_crossed_later),
    "recover": Measure(_is_crossed_sooner),
    "every": Measure(_longer),
    "for": Measure(_longer),
    "recoverAfter": Measure(_shorter),
    "samples": Measure(_differs, "query for samples", gone=False, added=True, shown=False),
    "minSamples": Measure(_more, "samples.min", gone=False),
    "reportedAt": Measure(_differs, "query for reportedAt", added=True, shown=False),
    "missedAfter": Measure(_longer, "noData.after"),
    "staleAfter": Measure(_shorter, "noData.after", gone=False),
    "onNoData": Measure(_was(OnNoData.ALERT), "noData.then"),
    "floor": Measure(lambda old, new: new > old),
    # of a tier
    "place": Measure(_more, "place"),
    "severity": Measure(lambda old, new: new < old),
    "accountable": Measure(_differs),
    "acknowledgeWithin": Measure(_longer),
    "acknowledgementExpires": Measure(_longer),
    "containWithin": Measure(_longer),
    "decideWithin": Measure(_longer),
    "role": Measure(_was("acting"), "Responder"),
    "question": Measure(_differs, shown=False),
    # of an option
    "action": Measure(_differs, shown=False),
    "required": Measure(_fewer, "approvals"),
    "failSafeAfter": Measure(_shorter),
    "expireAfter": Measure(_shorter, gone=False, added=True),
    "verifyWithin": Measure(_longer),
    "effect": Measure(_differs, shown=False),  # what an approver reads first: no machine can tell whether it is true
    # of a freeze
    "from": Measure(_earlier, "beginning"),
    "until": Measure(_later, "end"),
    # of a clock
    "determineWithin": Measure(_longer),
    "calendar": Measure(_differs, gone=False, added=True),  # without one weekends alone count, which is earlier
    # of a message
    "template": Measure(_differs),
    "when": Measure(_differs),
    "tier": Measure(_differs, gone=False),
    "repeats": Measure(_longer, "every", gone=False),
}
_SECTIONS = {
    "models": "model",
    "signals": "signal",
    "tiers": "tier",
    "containment": "option",
    "freezes": "freeze",
    "clocks": "clock",
    "messages": "message",
}


def _looser(name: str, old: str, new: str | None, before: Lines, after: Lines) -> str:
    """In what way a rule is looser than it was; empty when it is not."""
    measure, where = FIELDS[_field(name)], _where(name)
    if new is None:
        value = f" {old}" if measure.shown and not _item(name) else ""
        return f"{where}{value} is gone" if measure.gone else ""
    if not measure.looser(old, new) or (_field(name) == "recover" and _follows(name, before) and _follows(name, after)):
        return ""
    return f"{where} from {old} to {new}" if measure.shown else f"{where} is another one"


def _added(name: str, new: str, known: bool) -> str:
    """In what way a rule that was not there is looser; ``known`` tells whether what it is about was."""
    measure, where = FIELDS[_field(name)], _where(name)
    if not known:
        alone = _field(name) == "required" and new == "0"
        return f"{_of(_thing(name))} is new, and needs no approval" if alone else ""
    if not measure.added:
        return ""
    return f"{where} {new} is new" if measure.shown else f"{where} is new"


def _follows(name: str, lines: Lines) -> bool:
    """Whether a signal recovers just where it does not breach any more: that is said of its ``warn`` already."""
    warn = Comparison.parse(lines[f"{_thing(name)}.warn"])
    return lines[name] == str(warn.negated())


def _things(lines: Lines) -> dict[str, None]:
    """The models, signals, tiers and options that the lines are about, in order."""
    return dict.fromkeys(thing for thing in map(_thing, lines) if thing)


def _is_freeze(thing: str) -> bool:
    """Whether it is one of those of which more are looser, not fewer: in a freeze nothing is contained."""
    return thing.startswith("freezes.")


def _thing(name: str) -> str:
    """``signals.accuracy`` of ``signals.accuracy.warn``; empty for a rule of the whole policy."""
    return ".".join(name.split(".")[:2]) if "." in name else ""


def _of(thing: str) -> str:
    section, _, name = thing.partition(".")
    return f"{_SECTIONS[section]} {name}"


def _field(name: str) -> str:
    return name.split(".")[2] if "." in name else name


def _item(name: str) -> str:
    """Which Responder or question of a tier."""
    return ".".join(name.split(".")[3:])


def _where(name: str) -> str:
    """What a rule is about, as a person says it."""
    words = " ".join(filter(None, (FIELDS[_field(name)].word or _field(name), _item(name))))
    return f"{_of(_thing(name))}: {words}" if "." in name else words
