"""What do people feel of a containment, and what do they do by hand meanwhile? In the policy's own words."""

from __future__ import annotations

from tocsin.api.containment import Option
from tocsin.api.incident import IncidentStatus, OptionState
from tocsin.api.policy import Rules
from tocsin.decide.approval import unsettled


def option_of(rules: Rules | None, name: str) -> Option | None:
    """The option of that name, as the rules have it; None when they have none."""
    return next((one for one in rules.containment if one.name == name), None) if rules else None


def felt(option: Option | None, *, ran: bool = False) -> tuple[str, ...]:
    """What an option means to people, in two lines; none where the policy does not say it."""
    if option is None or option.effect is None:
        return ()
    when = f"While {option.name} holds, people experience" if ran else f"If {option.name} runs, people will experience"
    return f"{when}: {_line(option.effect.experience)}", f"By hand meanwhile: {_line(option.effect.fallback)}"


def asked_about(status: IncidentStatus) -> tuple[str, ...]:
    """The options that wait for somebody's word: before they run, or after one person has ordered them alone."""
    asking = [one.name for one in status.containment if one.state is OptionState.ASKING]
    return tuple(dict.fromkeys((*asking, *(one.option for one in unsettled(status)))))


def felt_if_approved(rules: Rules | None, status: IncidentStatus) -> tuple[str, ...]:
    """What people feel of that which waits for somebody's word: whoever gives it reads this first."""
    if status.resolved_time:
        return ()
    asking = {one.name for one in status.containment if one.state is OptionState.ASKING}
    return tuple(line for name in asked_about(status) for line in felt(option_of(rules, name), ran=name not in asking))


def _line(text: str) -> str:
    """A text that a policy may have in several lines, as one."""
    return " ".join(text.split())
