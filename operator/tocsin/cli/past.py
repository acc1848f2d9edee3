"""What the queries of a policy answered in the past, at the instants at which a replay evaluates them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal

from tocsin.api.policy import EscalationPolicy, PolicyModel
from tocsin.cli.files import Mistake
from tocsin.decide.defaults import SignalRule
from tocsin.decide.script import Tape, Track
from tocsin.decide.signals import EPOCH, Answer, affected_by
from tocsin.decide.situation import Failed, NoData, Sample
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import MetricSource, Prepared
from tocsin.settings import PrometheusServer

AT_ONCE = 4


async def read_past(
    server: PrometheusServer, policy: EscalationPolicy, model: PolicyModel, start: datetime, end: datetime
) -> Tape:
    """Ask a Prometheus server for all that the policy's queries gave between two instants."""
    with ThreadPoolExecutor(AT_ONCE) as executor:
        source = Prometheus("replay", server, executor)
        try:
            return await tape_from(source, policy, model, start, end)
        finally:
            source.close()


async def tape_from(
    source: MetricSource, policy: EscalationPolicy, model: PolicyModel, start: datetime, end: datetime
) -> Tape:
    """The tape of one model; a query that cannot be asked is a mistake with its field."""
    namespace = policy.metadata.namespace

    async def track(field: str, text: str, step: timedelta) -> Track:
        prepared = await source.prepare(text, namespace)
        if not isinstance(prepared, Prepared):
            raise Mistake(f"{field}: {prepared.message}")
        answers = await source.ask_range(prepared, start, end, step)
        if isinstance(answers, Failed):
            raise Mistake(f"{field}: {answers.message}")
        return Track(step, tuple(answers[at] for at in sorted(answers)))

    values, samples, ages = {}, {}, {}
    for place, signal in enumerate(policy.spec.signals):
        field, every = f"spec.signals[{place}]", SignalRule.of(signal).every
        values[signal.name] = await track(f"{field}.query", signal.query, every)
        if signal.samples:
            samples[signal.name] = await track(f"{field}.samples.query", signal.samples.query, every)
        if signal.reported_at:
            reported = await track(f"{field}.reportedAt.query", signal.reported_at.query, every)
            ages[signal.name] = _aged(reported, start)
    affected = None
    if policy.spec.risk.affected:
        every = min(SignalRule.of(signal).every for signal in policy.spec.signals)
        asked = await track("spec.risk.affected.query", policy.spec.risk.affected.query, every)
        affected = Track(every, tuple(_affected(answer, model) for answer in asked.answers))
    return Tape(values, samples, ages, affected)


def _aged(reported: Track, start: datetime) -> Track:
    """When values were produced, seen from each evaluation."""

    def aged(place: int, answer: Answer) -> Answer:
        if not isinstance(answer, tuple | list):
            return answer
        at = Decimal(str((start + place * reported.step - EPOCH).total_seconds()))
        return tuple(Sample(sample.labels, at - sample.value) for sample in answer)

    return Track(reported.step, tuple(aged(place, answer) for place, answer in enumerate(reported.answers)))


def _affected(answer: Answer, model: PolicyModel) -> Answer:
    """As the operator counts it; an answer that is none stays what it is."""
    if isinstance(answer, Failed | NoData):
        return answer
    count = affected_by(answer, model, alone=False)
    return () if count is None else (Sample(model.labels(), count),)
