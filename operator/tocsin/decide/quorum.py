"""Whose words together are enough: each Responder asked needs a person of its own, and nobody counts twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tocsin.decide.roster import Roster, fills
from tocsin.decide.standing import absent_for, are_same


@dataclass(frozen=True, slots=True)
class Voice:
    """One person's word: for which of the Responders asked it may count, and for whom else they stand."""

    by: str
    roles: tuple[str, ...]
    standing_in_for: tuple[str, ...] = ()

    @property
    def persons(self) -> tuple[str, ...]:
        """The person, and those whose deputy they are."""
        return (self.by, *self.standing_in_for)


def voice_of(roster: Roster, user: str, asked: Sequence[str], now: datetime) -> Voice:
    """What somebody's word would count for."""
    return Voice(user, tuple(role for role in asked if fills(roster, user, role)), absent_for(roster, user, now))


def is_one_of(roster: Roster, voice: Voice, users: Sequence[str]) -> bool:
    """Whether the person, or somebody whose deputy they are, is among these."""
    return any(are_same(roster, one, other) for one in voice.persons for other in users)


def same_person(roster: Roster, voice: Voice, others: Sequence[Voice]) -> Voice | None:
    """Whose word was given before by the same person, under whatever account, or by or for their deputy."""
    return next((one for one in others if is_one_of(roster, voice, one.persons)), None)


def lacking(asked: Sequence[str], voices: Sequence[Voice]) -> tuple[str, ...]:
    """The Responders for which nobody's word is left, when every word counts where it is needed most."""
    held: dict[str, int] = {}

    def seat(place: int, tried: set[str]) -> bool:
        for role in asked:
            if role in voices[place].roles and role not in tried:
                tried.add(role)
                if role not in held or seat(held[role], tried):
                    held[role] = place
                    return True
        return False

    for place in range(len(voices)):
        seat(place, set())
    return tuple(role for role in asked if role not in held)
