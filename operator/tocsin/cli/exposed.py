"""Queries that would find nothing, and lines that nothing crosses, as far as what the models expose tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.utils import floatToGoString

from tocsin.api.policy import EscalationPolicy, Signal
from tocsin.cli.expressions import Labels, Matcher, Reads, buckets_of, selectors
from tocsin.cli.files import Mistake

SHOWN = 8
"""So many values of a label are named."""
_FLOATS = ("le", "quantile")
"""The labels whose values Prometheus 3 writes anew: ``le="1"`` becomes ``le="1.0"``."""

KNOWN = {f"request_{step}_seconds_bucket": Decimal(10) for step in ("preprocess", "predict", "postprocess", "explain")}
"""Where the buckets of KServe's Python servers end, in seconds, which are those of the Prometheus client."""

Exposed = dict[str, list[Labels]]
"""The series of each metric."""


def load_exposed(paths: Iterable[Path]) -> Exposed:
    """Read what was scraped, in either format, with the labels as Prometheus stores them."""
    found: Exposed = {}
    for path in paths:
        try:
            text = path.read_text()
            families = list((openmetrics if text.rstrip().endswith("# EOF") else plain)(text))
        except (OSError, ValueError) as bad:
            raise Mistake(
                f"{path}: is not what a model exposes: {bad}",
                f"write it by: curl -s http://MODEL:PORT/metrics > {path}",
            ) from bad
        for sample in (one for family in families for one in family.samples):
            labels = {name: _stored(name, value) for name, value in sample.labels.items()}
            found.setdefault(sample.name, []).append(labels)
    return found


def _stored(name: str, value: str) -> str:
    as_stored: Callable[[str], str] = floatToGoString
    try:
        return as_stored(value) if name in _FLOATS else value
    except ValueError:
        return value


def unfit(policy: EscalationPolicy, exposed: Exposed | None) -> Iterator[str]:
    """What is wrong with a policy's queries and lines; where nothing was scraped, by well-known buckets only."""
    for field, query in _queries(policy) if exposed is not None else ():
        for read in selectors(query):
            if problem := _not_found(read, exposed or {}):
                yield f"{field}: {problem}"
    for place, signal in enumerate(policy.spec.signals):
        for problem in _beyond_the_buckets(signal, exposed or {}):
            yield f"spec.signals[{place}].{problem}"


def _queries(policy: EscalationPolicy) -> Iterator[tuple[str, str]]:
    for place, signal in enumerate(policy.spec.signals):
        yield f"spec.signals[{place}].query", signal.query
        if signal.samples:
            yield f"spec.signals[{place}].samples.query", signal.samples.query
        if signal.reported_at:
            yield f"spec.signals[{place}].reportedAt.query", signal.reported_at.query
    if policy.spec.risk.affected:
        yield "spec.risk.affected.query", policy.spec.risk.affected.query


def _not_found(read: Reads, exposed: Exposed) -> str:
    """Why a selector would find nothing; what a recording rule makes is in no scrape."""
    if not read.metric or ":" in read.metric:
        return ""
    series = exposed.get(read.metric)
    if series is None:
        near = get_close_matches(read.metric, exposed, 1)
        return f"{read.metric} was not scraped{f', did you mean {near[0]}?' if near else ''}"
    matchers = _judged(read, series)
    for matcher in matchers:
        if not any(matcher.holds(labels) for labels in series):
            there = sorted({labels.get(matcher.label, "") for labels in series})
            more = ", …" if len(there) > SHOWN else ""
            values = ", ".join(value or '""' for value in there[:SHOWN]) + more
            return f"no series of {read.metric} has {matcher}; {matcher.label} is {values}"
    if matchers and not _matching(read, series):
        return f"no series of {read.metric} has {', '.join(map(str, matchers))} at once"
    return ""


def _judged(read: Reads, series: list[Labels]) -> list[Matcher]:
    """The matchers on labels that the model itself exposes: of those that Prometheus adds nothing is known."""
    return [one for one in read.matchers if any(one.label in labels for labels in series)]


def _matching(read: Reads, series: list[Labels]) -> list[Labels]:
    matchers = _judged(read, series)
    return [labels for labels in series if all(matcher.holds(labels) for matcher in matchers)]


def _beyond_the_buckets(signal: Signal, exposed: Exposed) -> Iterator[str]:
    """A quantile of a histogram is never more than its last finite bucket, where all that it reads is known."""
    ends = [_last_bucket(read, exposed) for read in buckets_of(signal.query)]
    known = [one for one in ends if one is not None]
    if not known or len(known) < len(ends):
        return
    last = max(known)
    for field, line, never in (
        ("warn", signal.warn, "never fires"),
        ("critical", signal.critical, "is never reached"),
        ("recover", signal.recover, "never holds, so that it never recovers"),
    ):
        if line and line.rises and not line.holds(last):
            end = f"the last bucket ends at {last.normalize():f}, and no quantile is beyond it"
            yield f'{field}: "{line}" {never}: {end}'


def _last_bucket(read: Reads, exposed: Exposed) -> Decimal | None:
    """Where the buckets that a selector reads end; what was scraped goes before what is well known."""
    if read.metric not in exposed:
        return KNOWN.get(read.metric)
    limits = (Decimal(labels.get("le", "NaN")) for labels in _matching(read, exposed[read.metric]))
    return max((one for one in limits if one.is_finite()), default=None)
