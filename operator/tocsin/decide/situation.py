"""Everything a decision may look at: frozen, with the time inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Literal

from tocsin.api.containment import Freeze
from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.message import Message
from tocsin.api.policy import Mode, Rules
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector: its labels and its value, which may be NaN or infinite."""

    labels: Mapping[str, str]
    value: Decimal


class Vector(tuple[Sample, ...]):
    """The answer to one query at one instant: it finds a model's series among ten thousand without reading them all."""

    def of(self, labels: Mapping[str, str]) -> Sequence[Sample]:
        """The series that carry all of these labels, in the order of the answer."""
        names = tuple(labels)
        index = self._indexes.get(names)
        if index is None:
            index = self._indexes[names] = {}
            for sample in self:
                index.setdefault(tuple(sample.labels.get(name) for name in names), []).append(sample)
        return index.get(tuple(labels.values()), ())

    @cached_property
    def unlabelled(self) -> Sequence[Sample]:
        """The series without any label."""
        return [sample for sample in self if not sample.labels]

    @cached_property
    def _indexes(self) -> dict[tuple[str, ...], dict[tuple[str | None, ...], list[Sample]]]:
        """By the names of labels: the series by their values."""
        return {}


@dataclass(frozen=True, slots=True)
class Measured:
    """A value at an instant, possibly infinite; never NaN."""

    value: Decimal
    labels: tuple[tuple[str, str], ...] = ()
    """The allowlisted labels of the series that counts, sorted by name."""
    produced_at: datetime | None = None
    """When the value was produced, if a ``reportedAt`` query tells."""
    samples: Decimal | None = None
    """How many samples it rests on, if a ``samples`` query tells."""


@dataclass(frozen=True, slots=True)
class NoData:
    """The query answered, but there is nothing to judge: empty, NaN, stale or too few samples."""

    reason: Literal["Empty", "NaN", "Stale", "InsufficientData", "NotScraped"]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The query did not answer: neither health nor a breach."""

    message: str


Reading = Measured | NoData | Failed


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one signal of one model; rebuilt from Prometheus after a restart."""

    at: datetime
    """The grid point of the last evaluation."""
    reading: Reading
    """What the last evaluation gave."""
    last: Measured | None = None
    """The last value, however old."""
    last_at: datetime | None = None
    """When that was evaluated."""
    breaching_since: datetime | None = None
    """The first breaching evaluation of the present run; missing data does not end a run."""
    sustained_since: datetime | None = None
    """The evaluation at which the present run had lasted for ``for``; None before."""
    pending: timedelta = timedelta()
    """The sum of the steps whose both ends have data and breach."""
    recovering: timedelta = timedelta()
    """The sum of the steps whose both ends have data and are on the side of ``recover``."""
    good_since: datetime | None = None
    """Since when every evaluation had data and did not breach, without a gap."""
    no_data_since: datetime | None = None
    """The first of the present run of evaluations without data; an error neither begins nor ends one."""


class Trust(Enum):
    """Whether Decisions can be trusted: whether the admission policies stand unchanged."""

    TRUSTED = "Trusted"
    MISSING = "Missing"
    CHANGED = "Changed"


@dataclass(frozen=True, slots=True)
class Revision:
    """An earlier template that is kept, in a ReplicaSet or a ControllerRevision, as much of it as a choice needs."""

    uid: str
    name: str
    number: int
    """As ``kubectl rollout undo --to-revision`` takes it."""
    template_hash: str
    """What its pods are labelled with."""
    images: tuple[str, ...] = ()
    healthy: bool = False
    """Whether a valid mark of ours says that it was healthy."""
    replicas: int = 0
    """How many pods a ReplicaSet has now; a ControllerRevision does not say."""
    unfit: str = ""
    """Why nothing should go back to it, when it was seen: it was withdrawn, or its validation is over."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """The HorizontalPodAutoscaler of a target."""

    name: str
    uid: str
    min_replicas: int
    max_replicas: int
    scale_up_policy: str = ""
    """Its ``behavior.scaleUp.selectPolicy``; empty when it has no behavior, for the server fills the rest in."""

    @property
    def scale_up_disabled(self) -> bool:
        """Whether it never scales up."""
        return self.scale_up_policy == "Disabled"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an object, and what is to become of it; values are canonical JSON, None stands for no field."""

    path: str
    """A JSON pointer (RFC 6901)."""
    before: str | None
    after: str | None

    @property
    def back(self) -> FieldChange:
        """What takes it back."""
        return FieldChange(self.path, self.after, self.before)

    @property
    def was(self) -> str:
        """The field before, in words: ``spec.paused false``."""
        return _in_words(self.path, self.before)

    @property
    def becomes(self) -> str:
        """The field afterwards, in words."""
        return _in_words(self.path, self.after)


def _in_words(path: str, value: str | None) -> str:
    return f"{path.lstrip('/').replace('/', '.')} {'unset' if value is None else value}"


@dataclass(frozen=True, slots=True)
class TargetView:
    """A workload as it is now: what a proposal and the check of a hold need, and no more."""

    kind: str
    """One of WORKLOADS."""
    uid: str
    name: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    """How many pods are asked for: ``spec.replicas``, or one for each node that a DaemonSet is meant for."""
    running_replicas: int
    updated_replicas: int
    current_hash: str
    """The hash of the revision that equals the workload's template; empty while there is none yet."""
    revisions: tuple[Revision, ...]
    """Ordered by number, the newest last."""
    paused: str = ""
    """Why another template would change nothing, in words; empty when it would."""
    pause: FieldChange | None = None
    """What holds its rollout where it is, from what is there now; from and to the same when that is so already."""
    deleting: bool = False
    owner: str = ""
    """``Kind/name`` of the controller that owns it, and would undo what is done to it; empty when nobody does."""
    git_owner: str = ""
    """Who reverts it from Git, in words; empty when nobody is known to."""
    contained_by: str = ""
    """The effect key in our annotation, if what we wrote last is a containment."""
    undone_by: str = ""
    """The same, if what we wrote last is the undo of one."""
    scaled_by_us: bool = False
    """Whether ``managedFields`` shows our manager owning ``spec.replicas``."""
    complete_since: datetime | None = None
    """Since when the present revision is fully rolled out; None while it is not, or where the status does not say."""
    available_replicas: int = 0
    stuck: tuple[str, ...] = ()
    """Pods of an earlier template that are not ready, and behind which a StatefulSet waits for ever."""
    autoscaler: Autoscaler | None = None
    images: tuple[str, ...] = ()
    template_digest: str = ""
    template_json: str = ""
    """The pod template as canonical JSON; for the snapshot."""
    may_roll_back: bool = True
    """Whether our own rights suffice to patch the workload, and to free what waits behind a pod (preflight)."""
    may_pause: bool = True
    """Whether our own rights suffice to patch the workload, and nothing besides (preflight)."""
    may_scale: bool = True
    """Whether our own rights suffice to patch its scale, and its autoscaler if there is one (preflight)."""
    lacking: tuple[str, ...] = ()
    """The rights that we lack, in words: ``patch deployments.apps/scale in namespace models``."""
    lately_denied: bool = False
    """Whether they were denied for a moment only: an API server that has just started denies everything."""

    @property
    def what(self) -> str:
        """Its kind and name, as ``kubectl`` takes them."""
        return f"{self.kind}/{self.name}"

    @property
    def complete(self) -> bool:
        """Whether the present revision is fully rolled out: every pod has it, and is available."""
        return self.settled and bool(self.current_hash) and self.available_replicas == self.replicas > 0

    @property
    def settled(self) -> bool:
        """Whether the workload has followed its spec: what runs is what is asked for."""
        return (
            self.observed_generation >= self.generation
            and self.running_replicas == self.replicas
            and self.updated_replicas == self.replicas
        )


@dataclass(frozen=True, slots=True)
class NoTarget:
    """The target cannot be acted on."""

    reason: Literal["NotFound", "Forbidden", "Unreadable", "NotDeclared"]
    message: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What exactly an option would write, its digest is what approvals bind to; or what its undo would put back."""

    option: str
    action: Literal["RollBack", "Scale", "Pause"]
    class_: Literal["A", "B", "C", "D"]
    target_uid: str
    target_kind: str
    target_name: str
    from_: str
    """The template hash, the number of replicas, or the field in words, now."""
    to: str
    """The template hash, the number of replicas, or the field in words, then."""
    revision_uid: str = ""
    """What keeps the template to go back to; empty for any other action."""
    fields: tuple[FieldChange, ...] = ()
    """The fields to set: what pauses, or, with a rollback, what resumes a rollout that this incident has paused."""
    autoscaler: Autoscaler | None = None
    """The autoscaler that has to be pinned first, if any; for an undo, as it was before it was pinned."""
    summary: str = ""
    """In words: ``roll Deployment/fraud back from revision 7 (fraud:2) to revision 6 (fraud:1)``."""
    notes: tuple[str, ...] = ()
    """What whoever approves should know: no healthy mark, Git reverts it, the images are the same."""
    digest: str = ""
    """sha256 over action, target UID, from, to and the written fields; never the resourceVersion."""

    @property
    def target(self) -> str:
        """The target's kind and name, as ``kubectl`` takes them."""
        return f"{self.target_kind}/{self.target_name}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an option cannot be done now."""

    reason: Literal[
        "TargetMissing",
        "TargetPaused",
        "TargetDeleting",
        "TargetOwned",
        "NoEarlierRevision",
        "RevisionUnfit",
        "AlreadyThere",
        "Forbidden",
        "LatelyDenied",
        "RollingOut",
    ]
    """The last two pass by themselves."""
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one effect: reported by the part that did it, never guessed."""

    key: str
    result: Literal["Done", "Rehearsed", "Refused", "Conflict", "Unknown", "Undelivered", "Superseded"]
    """Done: carried out and read back. Rehearsed: accepted as a dry run. Refused: the server or the target says no,
    for good. Conflict: the situation has changed, decide again. Unknown: no answer, try again by reading first.
    Undelivered: a notice that no channel has accepted yet; it goes on being tried. Superseded: it was given up, because
    one that followed says more."""
    at: datetime
    message: str = ""
    to: str = ""
    """Of a notice that was accepted: whom it went to."""
    into: str = ""
    """Of a notice that was not sent: the incident whose page stands for it."""
    lacks: NotDrafted | None = None
    """Of a message that was not drafted: why."""


@dataclass(frozen=True, slots=True)
class NotDrafted:
    """Why a template gave no message."""

    reason: str
    tried: str
    """``<uid>/<generation>`` of the template; empty when there is none. With another one it is tried again."""


class Budget(Enum):
    """Whether the blast-radius budget has room."""

    UNASKED = "Unasked"
    RESERVED = "Reserved"
    EXHAUSTED = "Exhausted"


TOGETHER = timedelta(minutes=10)
"""Incidents that open within so long, and upstream of which the same thing lies, have one cause."""


@dataclass(frozen=True, slots=True)
class Relative:
    """Another unresolved incident, of whatever namespace, upstream of which the same thing lies."""

    name: str
    """As namespace/name."""
    namespace: str
    model: str
    opened_at: datetime
    upstream: tuple[str, ...]
    parent: str = ""
    """The unresolved incident that pages for it; empty when it is on its own."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One incident and all that bears on it at one instant."""

    now: datetime
    incident: Incident
    rules: Rules
    """The incident's frozen rules; for a Person's incident without any yet, the living policy's."""
    mode: Mode
    """Of the living policy; the frozen one when the policy is gone."""
    signals: Mapping[str, Memory] = field(default_factory=dict)
    """By signal name; a missing one is unknown, for instance before memory is rebuilt."""
    affected: Decimal | None = None
    """The answer of the ``affected`` query; None when unknown."""
    decisions: tuple[Decision, ...] = ()
    """All that refer to the incident, and all that authorise an option of its policy."""
    trust: Trust = Trust.TRUSTED
    trusted_since: datetime | None = None
    """When the admission binding was created: an older Decision is void."""
    roster: Mapping[str, Responder] = field(default_factory=dict)
    """The Responders of the namespace by name."""
    target: TargetView | NoTarget | None = None
    """None while nothing needs it."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By effect key: what came of effects since the status was last written."""
    under_way: frozenset[str] = frozenset()
    """Keys of effects that this process is carrying out and that have no outcome yet."""
    contained_revisions: frozenset[str] = frozenset()
    """Pod template hashes of this target that any incident contained."""
    namespace_hold: str = ""
    """The value of the brake label on the namespace; empty when there is no brake."""
    cluster_hold: str = ""
    """The same of the operator's own namespace, where it brakes everything."""
    freezes: tuple[Freeze, ...] = ()
    """Of the living policy; none when it is gone."""
    budget: Budget = Budget.UNASKED
    crowded: str = ""
    """Why the budget has no room, in words; empty unless it is exhausted."""
    recurs: bool = False
    """Whether another incident of the pair was open within the 7 days before this one opened."""
    harm_told_by: tuple[str, ...] = ()
    """Who has reported harm to people in this episode: in this incident, or in one that joined it."""
    joined: str = ""
    """The name of an older unresolved incident of the same target, which this one joins."""
    kin: tuple[Relative, ...] = ()
    """Those that opened shortly before and after it: the oldest few of each, which suffice."""
    parent_lives: bool = False
    """Whether the parent that its status names is unresolved."""
    children: int = 0
    """For how many unresolved incidents it pages."""
    shared: str = ""
    """What is upstream of it and of those."""
    silences: tuple[Silence, ...] = ()
    """The Silences of the namespace that are not over."""
    swung: tuple[datetime, ...] = ()
    """Of an incident that opens: when the pair's other incidents went from breach to recovery, or back."""
    messages: Mapping[str, Message] = field(default_factory=dict)
    """The messages about it by name."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """By name: the templates that its rules name, each as ``<uid>/<generation>``; one that is not there is missing."""
