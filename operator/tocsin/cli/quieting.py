"""Where a person silences what is named, looks at what is silenced, and ends it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.console import Console

from tocsin.api.objects import API_VERSION
from tocsin.api.quantities import format_time
from tocsin.api.silence import MatchOperator, Silence
from tocsin.apiserver import ApiError, path
from tocsin.cli.desk import Desk
from tocsin.cli.files import Mistake
from tocsin.cli.looking import connected, listed, read
from tocsin.cli.silencing import FIELDS, matchers_of, overview
from tocsin.clock import SystemClock

_SECOND = timedelta(seconds=1)


async def carry_out(arguments: argparse.Namespace) -> int:
    """Connect as the user, and make, list or end Silences."""
    async with connected() as (api, default):
        where = "" if getattr(arguments, "all_namespaces", False) else arguments.namespace or default
        desk = Silencing(api, where, SystemClock(), ask=None)
        match arguments.word:
            case "silence add":
                chosen = {word: getattr(arguments, word) for word in FIELDS}
                return await desk.add(chosen, arguments.span, arguments.reason, everything=arguments.everything)
            case "silence list":
                return await desk.list()
            case _:
                return await desk.expire([name.rpartition("/")[2] for name in arguments.names])


class Silencing(Desk):
    """Where Silences are made and ended, in one namespace, under the user's own name."""

    async def add(self, chosen: Mapping[str, Sequence[str]], span: str, reason: str, *, everything: bool) -> int:
        """Begin a Silence now."""
        now = self._clock.now().replace(microsecond=0)
        until = self._after("--for", span).replace(microsecond=0)
        matchers = matchers_of(chosen)
        if everything == any(one["operator"] == MatchOperator.IN for one in matchers) or (everything and matchers):
            raise Mistake(
                "name what is silenced, for example --model fraud, or give --everything alone",
                "see what is open: kubectl tocsin status",
            )
        if not now < until <= now + timedelta(hours=720):
            raise Mistake(f"--for: {span} is not between 1s and 720h, which are 30 days")
        if len(reason) < 3:
            raise Mistake("--reason: say why nobody needs to be told, in a few words")
        what = {"everything": True} if everything else {"matchers": matchers}
        spec = what | {"from": format_time(now), "until": format_time(until), "reason": reason}
        made = await self._made("Silence", "silences", "silence-", spec, "silences.tocsin.dev", "")
        name = made["metadata"]["name"]
        print(f"silenced until {spec['until']}: silence/{name}; SEV1 and SEV2 page all the same")
        print(f"end it earlier: kubectl tocsin silence expire {name} -n {self._namespace}")
        return 0

    async def list(self) -> int:
        """Print the Silences."""
        found = [Silence.model_validate(one) for one in await listed(self._api, "silences", self._namespace)]
        Console(highlight=False, markup=False, emoji=False).print(overview(found, self._clock.now()))
        return 0

    async def expire(self, names: Sequence[str]) -> int:
        """End Silences now; one that has not begun holds for its first second, as it cannot end before that."""
        found = [
            Silence.model_validate(await read(self._api, "silences", self._namespace, name, "silences"))
            for name in dict.fromkeys(names)
        ]
        now = self._clock.now().replace(microsecond=0)
        for one in found:
            name, spec = one.metadata.name, one.spec
            until = max(now, spec.from_ + _SECOND)
            if spec.until <= until:
                print(f"silence/{name} is over since {format_time(spec.until)}")
                continue
            body = {"metadata": {"uid": one.metadata.uid}, "spec": {"until": format_time(until)}}
            try:
                await self._api.merge(path(API_VERSION, "silences", self._namespace, name), body)
            except ApiError as refused:
                raise Mistake(
                    f"refused: {refused.message}",
                    f"see what you may do: kubectl auth can-i patch silences.tocsin.dev -n {self._namespace}",
                ) from refused
            print(f"silence/{name} ends at {format_time(until)}")
        return 0
