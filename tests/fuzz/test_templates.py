"""What can stand in a template? Whatever it is, rendering it ends, and gives a message or says why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import T0, an_incident
from tests.decide.test_rendering import CONTAINED, RULES, a_template, facts
from tests.fuzz.anything import MANY, ODD_TEXTS
from tocsin.api.template import Audience, MessageTemplateSpec
from tocsin.decide.context import VARIABLES, open_to
from tocsin.decide.rendering import BODY_LIMIT, SUBJECT_LIMIT, Rendered, Unrenderable, digest_of, message_facts, render
from tocsin.decide.syntax import FILTERS, Reason

SCRAPS = (
    "{{", "}}", "{%", "%}", "{#", "#}", "{% if ", "{% elif ", "{% else %}", "{% endif %}", "{% for one in ", "[", "]",
    "{% raw %}", "{% endfor %}", "{% endraw %}", "signals", "clocks", "incident", "incident.type", "one.name", "(", ")",
    "loop.last", "values.contact", " and ", " or ", " not ", " in ", " == ", "'Drift'", "['Drift']", " | ", "upper",
    "default('x')", "attr('x')", ".", "()", "'", '"', "\\", "\n", "__class__", "range(9)", "set x = 1", "macro x()",
    "*", "~", "9", "-", "recursive", "self", "namespace", "%", *ODD_TEXTS,
)  # fmt: skip
SOUP = st.lists(st.sampled_from(SCRAPS) | st.text(max_size=6), min_size=1, max_size=30).map("".join)
BODIES = SOUP.filter(lambda text: 0 < len(text) <= 8192)
AUDIENCES = st.sampled_from(Audience)


def checked(spec: MessageTemplateSpec, of: Any) -> Rendered | Unrenderable:
    """Rendered within its limits, the same twice; or refused for a documented reason, in words."""
    made = render(spec, of)
    assert made == render(spec, of)
    if isinstance(made, Unrenderable):
        assert made.reason in set(Reason)
        assert made.message
        return made
    assert made.digest == digest_of(made.texts)
    for text in made.texts:
        assert 0 < len(text.subject) <= SUBJECT_LIMIT
        assert "\n" not in text.subject
        assert 0 < len(text.body.encode()) <= BODY_LIMIT
    return made


@MANY
@given(BODIES, AUDIENCES, st.sampled_from(["en", "de", "fr"]))
@example("{{ " + "a" * 8000 + " }}", Audience.INTERNAL, "en")
@example("{{ '" + "\\" * 4000, Audience.INTERNAL, "en")
@example("{% if a %}" * 800, Audience.INTERNAL, "en")
@example(
    "{% for a in signals %}{% for b in signals %}"
    + "{% if a.name == 'x' %}{% endif %}" * 200
    + "y{% endfor %}{% endfor %}",
    Audience.INTERNAL,
    "en",
)
@example("{{ a" + ".b" * 4000 + " }}", Audience.INTERNAL, "en")
@example("{% if a " + "or a " * 1500 + "%}{% endif %}", Audience.INTERNAL, "en")
@example("{{ " + "[" * 4000 + " }}", Audience.INTERNAL, "en")
@example("{{ " + "-" * 8000 + "1 }}", Audience.INTERNAL, "en")
@example("{{ 1e999 }}{{ 1_0 }}{{ 0x1 }}{{ 0b1 }}", Audience.INTERNAL, "en")
@example("{{ '\ud83d' }}".encode("utf-8", "replace").decode(), Audience.INTERNAL, "en")
def test_any_text_is_rendered_or_refused(body: str, audience: Audience, language: str) -> None:
    texts = [{"language": language, "subject": body[:1024], "body": body}]
    checked(a_template(audience=audience, texts=texts, talkingPoints=[body[:1024]]), facts())


@MANY
@given(value=st.sampled_from(ODD_TEXTS) | st.text(max_size=64), own=st.text(min_size=1, max_size=64))
def test_no_value_breaks_out_of_its_line(value: str, own: str) -> None:
    rules = RULES.model_copy(update={"model": RULES.model.model_copy(update={"inventory_id": value, "version": value})})
    of = message_facts(an_incident(rules, **CONTAINED), rules, T0, {"contact": own})
    body = "A: {{ model.inventoryId | default('-') }}\nB: {{ values.contact }}\nC: {{ model.version | default('-') }}"
    made = checked(a_template(body), of)
    assert isinstance(made, Rendered)
    lines = made.texts[0].body.splitlines()
    assert [line[:2] for line in lines] == ["A:", "B:", "C:"]
    assert not set("<>[]`").intersection(made.texts[0].body)


@st.composite
def sound(draw: st.DrawFn) -> tuple[Audience, str]:
    """A template that is allowed, as its grammar says."""
    audience = draw(AUDIENCES)
    shown = [
        one.path
        for one in open_to(audience).values()
        if "[]" not in one.path and one.sort.value not in ("list", "yes or no")
    ]
    asked = [one.path for one in open_to(audience).values() if "[]" not in one.path]
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        path, other = draw(st.sampled_from(shown)), draw(st.sampled_from(asked))
        filter_ = draw(st.sampled_from([one for one in FILTERS if one != "default"]))
        parts.append(
            draw(
                st.sampled_from(
                    [
                        "text\n",
                        f"{{{{ {path} | default('-') }}}}\n",
                        f"{{{{ {path} | default('-') | {filter_} }}}}\n",
                        f"{{% if {other} and not {path} %}}\nyes\n{{% else %}}\nno\n{{% endif %}}\n",
                        f"{{% if {path} in ['Drift', 'SEV2'] or {path} != 'x' %}}a{{% endif %}}\n",
                    ]
                )
            )
        )
    return audience, "x" + "".join(parts)


@MANY
@given(sound())
def test_what_the_grammar_allows_is_rendered_the_same_every_time(given: tuple[Audience, str]) -> None:
    audience, body = given
    assert isinstance(checked(a_template(body, audience=audience), facts()), Rendered)


@pytest.mark.parametrize("audience", Audience)
def test_every_open_variable_can_be_told(audience: Audience) -> None:
    for one in open_to(audience).values():
        if "[]" in one.path:
            listed, _, name = one.path.partition("[].")
            body = f"x{{% for it in {listed} %}}{{{{ it.{name} }}}}{{% endfor %}}"
        elif one.sort.value in ("list", "yes or no"):
            body = f"x{{% if {one.path} %}}y{{% endif %}}"
        else:
            body = f"{{{{ {one.path} | default('-') }}}}"
        assert isinstance(checked(a_template(body, audience=audience), facts()), Rendered), one.path
    assert VARIABLES
