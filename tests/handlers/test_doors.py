"""What if a flood of objects is seen while the engine is busy: is everything taken in, and is a signal heard?"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from unittest.mock import Mock

from tocsin.handlers.doors import HANDFUL, Doors

FLOOD = 3000
"""As many bytes as the loop's pipe has no room for: it holds some 300."""


def flooded(doors: Doors, call: Callable[[int], Any]) -> None:
    """Have a thread hand over a flood while the loop, which calls this, does nothing else."""
    thread = threading.Thread(target=lambda: [doors._hand(call, number) for number in range(FLOOD)])
    thread.start()
    thread.join()


async def turns(each: Callable[[], Any] = lambda: None) -> None:
    """Let the loop turn as often as it needs for the flood."""
    for _ in range(FLOOD // HANDFUL + 2):
        await asyncio.sleep(0)
        each()


def test_a_signal_is_heard_however_much_was_seen_while_the_loop_was_busy() -> None:
    async def session() -> list[int]:
        heard, taken = asyncio.Event(), list[int]()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.set)
        flooded(Doors(Mock()), taken.append)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(heard.wait(), 30)
        await turns()
        return taken

    assert asyncio.run(session()) == list(range(FLOOD))


def test_others_have_their_turn_between_two_handfuls() -> None:
    async def session() -> list[int]:
        taken, seen = list[int](), [0]
        flooded(Doors(Mock()), taken.append)
        await turns(lambda: seen.append(len(taken)))
        return seen

    seen = asyncio.run(session())
    assert seen[-1] == FLOOD
    assert all(after - before <= HANDFUL for before, after in pairwise(seen))


def test_what_is_wrong_with_one_object_keeps_no_other_outside() -> None:
    async def session() -> list[int]:
        taken, wrong = list[int](), list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context["exception"]))

        def take(number: int) -> None:
            if number == 7:
                raise ValueError(number)
            taken.append(number)

        flooded(Doors(Mock()), take)
        await turns()
        assert [type(one) for one in wrong] == [ValueError]
        return taken

    assert asyncio.run(session()) == [number for number in range(FLOOD) if number != 7]


def test_doors_that_were_never_opened_can_be_closed() -> None:
    async def session() -> None:
        await Doors(Mock()).close(1.0)

    asyncio.run(session())
