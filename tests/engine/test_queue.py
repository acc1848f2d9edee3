"""Does a key wait once, run alone, and come again when it came meanwhile?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tocsin.engine.queue import Queue


def run(test: Callable[[Queue[str]], Awaitable[None]]) -> None:
    async def body() -> None:
        await test(Queue())

    asyncio.run(body())


def test_a_key_that_was_added_twice_is_taken_once() -> None:
    async def body(queue: Queue[str]) -> None:
        queue.add("a")
        queue.add("a")
        assert await queue.take() == "a"
        queue.done("a")
        assert len(queue) == 0

    run(body)


def test_urgent_keys_go_before_the_usual_ones() -> None:
    async def body(queue: Queue[str]) -> None:
        for key in ("a", "b"):
            queue.add(key)
        queue.add("c", urgent=True)
        assert [await queue.take() for _ in range(3)] == ["c", "a", "b"]

    run(body)


def test_tenants_take_turns() -> None:
    async def body(_: Queue[str]) -> None:
        queue = Queue[str](tenant=lambda key: key[0])
        for key in ("a1", "a2", "a3", "b1", "b2", "c1"):
            queue.add(key)
        assert [await queue.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]

    run(body)


def test_one_tenant_has_so_many_keys_worked_on_and_the_next_one_when_one_is_done() -> None:
    async def body(_: Queue[str]) -> None:
        queue = Queue[str](tenant=lambda key: key[0], each=2)
        for number in range(4):
            queue.add(f"a{number}", urgent=True)
        queue.add("b0")
        assert [await queue.take() for _ in range(3)] == ["a0", "a1", "b0"]
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done("a0")
        assert await waiting == "a2"

    run(body)


def test_a_usual_key_that_becomes_urgent_moves_up() -> None:
    async def body(queue: Queue[str]) -> None:
        queue.add("a")
        queue.add("b")
        queue.add("b", urgent=True)
        assert [await queue.take() for _ in range(2)] == ["b", "a"]

    run(body)


def test_a_key_that_comes_while_it_is_worked_on_waits_until_that_is_done() -> None:
    async def body(queue: Queue[str]) -> None:
        queue.add("a")
        assert await queue.take() == "a"
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert len(queue) == 1
        assert await queue.take() == "a"

    run(body)


@pytest.mark.parametrize("workers", [1, 3])
def test_several_workers_never_work_on_one_key_at_once(workers: int) -> None:
    active: set[str] = set()
    done: list[str] = []

    async def work(key: str) -> None:
        assert key not in active
        active.add(key)
        await asyncio.sleep(0)
        active.remove(key)
        done.append(key)

    async def body(queue: Queue[str]) -> None:
        tasks = [asyncio.create_task(queue.serve(work)) for _ in range(workers)]
        for _ in range(5):
            for key in ("a", "b"):
                queue.add(key)
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(queue) == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(body)
    assert set(done) == {"a", "b"}


def test_it_is_idle_once_nothing_waits_and_nobody_works() -> None:
    async def body(queue: Queue[str]) -> None:
        queue.add("a")
        idle = asyncio.create_task(queue.idle())
        key = await queue.take()
        queue.add(key)
        await asyncio.sleep(0)
        assert not idle.done()
        queue.done(key)
        await asyncio.sleep(0)
        assert not idle.done()
        queue.done(await queue.take())
        await idle

    run(body)


def test_others_have_their_turn_between_two_keys_whose_work_waits_for_nothing() -> None:
    done: list[str] = []

    async def work(key: str) -> None:
        done.append(key)

    async def body(queue: Queue[str]) -> None:
        for number in range(100):
            queue.add(str(number))
        task = asyncio.create_task(queue.serve(work))
        await asyncio.sleep(0)
        assert len(done) == 1
        await queue.idle()
        assert len(done) == 100
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body)
