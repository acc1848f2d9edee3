"""How a notice travels: by which channels, when, and what is reported, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.act.notify.desk import Desk, by_channel, run
from tests.act.notify.material import FakeApi, a_notify, a_role, a_secret
from tests.clocks import FakeClock
from tests.cluster.sink import SinkServer
from tocsin.act.notify.courier import Courier
from tocsin.apiserver import ApiError, NoAnswer
from tocsin.decide.delivery import Accepted, Deferred, Lost, Refused
from tocsin.decide.situation import Outcome
from tocsin.settings import ChannelSettings

OK, DOWN, NO = Accepted("202"), Deferred("answered 500"), Refused("answered 401")


async def for_two_minutes(desk: Desk) -> None:
    desk.submit()
    await desk.clock.advance(120)


@pytest.mark.parametrize(
    ("answers", "sent", "reports"),
    [
        pytest.param(
            {"pager": OK}, [(0, "pager")], [(0, "Done", "accepted by channel pager (202)")],
            id="an accepted notice is sent once and reported",
        ),
        pytest.param(
            {"pager": [DOWN, Lost("no answer"), OK]}, [(0, "pager"), (1, "pager"), (3, "pager")],
            [(3, "Done", "accepted by channel pager (202)")],
            id="a failed and a lost one are sent again",
        ),
        pytest.param(
            {"pager": NO, "mail": OK}, [(0, "pager"), (0, "mail")],
            [(0, "Done", "accepted by channel mail (202); channel pager: answered 401")],
            id="a channel that refuses is followed at once",
        ),
        pytest.param(
            {"pager": DOWN, "mail": OK},
            [(0, "pager"), (1, "pager"), (3, "pager"), (7, "pager"), (15, "pager"), (30, "pager"), (45, "pager"),
             (60, "mail")],
            [(60, "Undelivered",
              "not delivered to credit-owners: channel pager: answered 500; channel mail: not tried yet"),
             (60, "Done", "accepted by channel mail (202); channel pager: answered 500")],
            id="after a minute people see it, and the next channel gets it",
        ),
        pytest.param(
            {"pager": NO}, [(0, "pager"), (15, "pager"), (45, "pager"), (105, "pager")],
            [(0, "Undelivered", "not delivered to credit-owners: channel pager: answered 401")],
            id="when every channel refuses, people see it at once and only once, and it goes on",
        ),
        pytest.param(
            {"pager": [NO, NO, OK]}, [(0, "pager"), (15, "pager"), (45, "pager")],
            [(0, "Undelivered", "not delivered to credit-owners: channel pager: answered 401"),
             (45, "Done", "accepted by channel pager (202)")],
            id="a channel that was repaired has it in the end",
        ),
    ],
)  # fmt: skip
def test_a_delivery(answers, sent, reports):
    desk = run(for_two_minutes, *answers, answer=by_channel(**answers))
    assert (desk.sent, desk.reports) == (sent, reports)


@pytest.mark.parametrize(
    ("role", "then"),
    [
        pytest.param(None, "responder credit-owners does not exist: create it in namespace models", id="no role"),
        pytest.param(a_role(), "responder credit-owners has no channels: add one to spec.channels", id="no channels"),
        pytest.param(
            a_role("gone"),
            "not delivered to credit-owners: channel gone: Secret gone does not exist: "
            "create it with --type=tocsin.dev/channel",
            id="no Secret",
        ),
        pytest.param(
            a_role("opaque"),
            "not delivered to credit-owners: channel opaque: Secret opaque is not of type tocsin.dev/channel: "
            "create it anew with --type=tocsin.dev/channel",
            id="a Secret of another type",
        ),
    ],
)
def test_a_role_that_cannot_be_reached_is_reported_at_once_and_reached_when_it_is_repaired(role, then):
    async def story(desk: Desk) -> None:
        desk.role = role
        desk.api.objects.clear()
        desk.api.put("opaque", a_secret("Webhook", secret_type="Opaque", url="https://example.org/opaque"))
        if role:
            desk.api.put_role(role)
        desk.submit()
        await desk.clock.advance(10)
        assert desk.reports == [(0, "Undelivered", then)]
        desk.api.put_role(a_role("pager"))
        desk.api.put("pager", a_secret("Webhook", url="https://example.org/pager"))
        await desk.clock.advance(10)

    desk = run(story)
    assert [report[:2] for report in desk.reports] == [(0, "Undelivered"), (15, "Done")]
    assert desk.sent == [(15, "pager")]


@pytest.mark.parametrize("trouble", [NoAnswer("away"), ApiError(500, "InternalError", "")], ids=["no answer", "500"])
def test_an_api_server_in_trouble_delays_a_notice_and_loses_nothing(trouble):
    async def story(desk: Desk) -> None:
        secret = desk.api.objects["/api/v1/namespaces/models/secrets/pager"]
        desk.api.put("pager", trouble)
        desk.api.objects["/apis/tocsin.dev/v1alpha1/namespaces/models/responders/credit-owners"] = trouble
        desk.submit()
        await desk.clock.advance(100)
        desk.api.put("pager", secret)
        await desk.clock.advance(100)

    desk = run(story, "pager")
    assert [report[:2] for report in desk.reports] == [(60, "Undelivered"), (150, "Done")]


def test_a_key_under_way_is_not_submitted_again_and_one_that_was_accepted_is_reported_again():
    async def story(desk: Desk) -> None:
        desk.submit()
        desk.submit()
        await desk.clock.advance(1)
        desk.submit()
        await desk.clock.advance(1)

    desk = run(story, "pager")
    done = "accepted by channel pager (202)"
    assert (desk.sent, desk.reports) == ([(0, "pager")], [(0, "Done", done), (1, "Done", done)])


def test_a_notice_submitted_again_goes_by_the_role_and_the_lead_of_now():
    async def story(desk: Desk) -> None:
        desk.submit()
        await desk.clock.advance(2)
        desk.courier.submit(a_notify(), a_role("mail"), lambda _: False, desk.report)
        await desk.clock.advance(5)
        assert desk.sent == [(0, "pager"), (1, "pager")]
        desk.courier.submit(a_notify(), a_role("mail"), lambda _: True, desk.report)
        await desk.clock.advance(5)

    desk = run(story, "pager", "mail", answer=by_channel(pager=DOWN, mail=OK))
    assert [report[1] for report in desk.reports] == ["Done"]
    assert desk.sent[2:] == [(8, "mail")]


def test_a_wall_clock_that_jumps_delays_no_try():
    async def story(desk: Desk) -> None:
        desk.submit()
        await desk.clock.advance(0.5)
        desk.clock._start -= timedelta(hours=1)
        await desk.clock.advance(5)
        desk.clock._start += timedelta(hours=5)
        await desk.clock.advance(5)

    desk = run(story, "pager", answer=by_channel(pager=DOWN))
    assert (desk.sent, desk.reports) == ([(0, "pager"), (1, "pager"), (3, "pager"), (7, "pager")], [])


@pytest.mark.parametrize(
    ("sender", "reports"),
    [
        pytest.param(
            {"answer": by_channel(pager=DOWN)},
            [("Superseded", "given up, what followed says more; channel pager: answered 500")],
            id="one that nobody has accepted is given up",
        ),
        pytest.param(
            {"takes": lambda _: 10.0}, [("Done", "accepted by channel pager (202)")], id="one on its way arrives"
        ),
    ],
)
def test_what_is_superseded(sender, reports):
    async def story(desk: Desk) -> None:
        key = desk.submit()
        await desk.clock.advance(5)
        desk.courier.supersede(key)
        desk.courier.supersede("unknown")
        await desk.clock.advance(30)

    desk = run(story, "pager", **sender)
    assert [report[1:] for report in desk.reports] == reports
    assert max(at for at, _ in desk.sent) <= 5


def test_a_withdrawn_notice_is_not_tried_again_and_may_be_submitted_anew():
    async def story(desk: Desk) -> None:
        key = desk.submit()
        await desk.clock.advance(5)
        desk.courier.withdraw(key)
        desk.courier.withdraw("unknown")
        await desk.clock.advance(5)
        assert desk.sent == [(0, "pager"), (1, "pager"), (3, "pager")]
        desk.submit()
        await desk.clock.advance(0)

    desk = run(story, "pager", answer=by_channel(pager=DOWN))
    assert desk.sent[3:] == [(10, "pager")]


def test_without_leave_nothing_is_sent_or_reported_until_leave_comes():
    async def story(desk: Desk) -> None:
        desk.leads = False
        desk.submit()
        await desk.clock.advance(4.5)
        assert desk.sent == []
        desk.leads = True
        await desk.clock.advance(1)

    desk = run(story, "pager")
    assert (desk.sent, [report[:2] for report in desk.reports]) == ([(5, "pager")], [(5, "Done")])


def test_a_notice_waits_for_leave_as_long_as_its_replica_runs():
    async def story(desk: Desk) -> None:
        desk.leads = False
        desk.submit()
        await desk.clock.advance(299.5)
        assert (desk.sent, desk.reports) == ([], [])
        desk.leads = True
        await desk.clock.advance(1)

    desk = run(story, "pager")
    assert desk.sent == [(300, "pager")]
    assert [report[:2] for report in desk.reports] == [(300, "Undelivered"), (300, "Done")]


def test_whoever_gives_leave_is_told_how_long_it_was_waited_for():
    async def story(desk: Desk) -> None:
        desk.courier.submit(a_notify(), desk.role, lambda waited: waited >= 30, desk.report)
        await desk.clock.advance(31)

    assert run(story, "pager").sent == [(30, "pager")]


def test_a_sender_that_breaks_is_tried_again_and_the_next_channel_follows():
    async def story(desk: Desk) -> None:
        desk.submit()
        await desk.clock.advance(61)

    def answer(url: str, nth: int) -> Any:
        if url.endswith("pager"):
            raise RuntimeError("s3cret")
        return OK

    desk = run(story, "pager", "mail", answer=answer)
    assert desk.sent[-1] == (60, "mail")
    assert desk.reports[-1][1:] == (
        "Done",
        "accepted by channel mail (202); channel pager: failed with RuntimeError, perhaps sent",
    )


def test_leave_is_asked_again_before_each_send():
    async def story(desk: Desk) -> None:
        desk.submit()
        await desk.clock.advance(0.5)
        desk.leads = False
        await desk.clock.advance(10)

    desk = run(story, "pager", answer=by_channel(pager=DOWN))
    assert desk.sent == [(0, "pager")]


def test_a_slow_channel_holds_up_no_other_and_takes_four_at_a_time():
    async def story(desk: Desk) -> None:
        for number in range(20):
            desk.submit(number)
        desk.role = a_role("mail")
        desk.submit(100)
        await desk.clock.advance(1)

    desk = run(story, "pager", "mail", takes=lambda url: 10.0 if url.endswith("pager") else 0.0)
    assert [where for _, where in desk.sent] == ["pager"] * 4 + ["mail"]
    assert [report[:2] for report in desk.reports] == [(0, "Done")]


def test_notices_behind_a_hanging_channel_go_to_the_next_one_when_their_minute_is_over():
    async def story(desk: Desk) -> None:
        for number in range(40):
            desk.submit(number)
        await desk.clock.advance(90)

    desk = run(
        story, "pager", "mail",
        answer=by_channel(pager=Lost("no answer"), mail=OK), takes=lambda url: 10.0 if url.endswith("pager") else 0.0,
    )  # fmt: skip
    done = [at for at, result, _ in desk.reports if result == "Done"]
    assert (len(done), min(done), max(done) <= 75) == (40, 60, True)


def test_one_namespace_never_uses_all_the_room():
    async def story(desk: Desk) -> None:
        desk.role = a_role(*(f"hook{number}" for number in range(8)))
        for number in range(8):
            desk.role = a_role(f"hook{number}")
            for repeat in range(8):
                desk.submit(10 * number + repeat)
        await desk.clock.advance(1)

    desk = run(story, *(f"hook{number}" for number in range(8)), takes=lambda url: 10.0)
    assert desk.sender.most_at_once == 8


def test_a_notice_taken_over_from_another_leader_is_tried_before_it_is_called_undelivered():
    async def story(desk: Desk) -> None:
        await desk.clock.advance(3600)
        desk.submit()
        await desk.clock.advance(30)

    desk = run(story, "pager", answer=by_channel(pager=DOWN))
    assert [report[:2] for report in desk.reports] == [(3615, "Undelivered")]


def test_closing_lets_a_send_end_and_be_reported_and_stops_the_rest():
    async def story(desk: Desk) -> None:
        desk.submit(1)
        desk.role = a_role("dead")
        desk.submit(2)
        await desk.clock.advance(1)
        closing = asyncio.create_task(desk.courier.close(grace=60))
        await desk.clock.advance(5)
        await closing
        desk.submit(3)
        await desk.clock.advance(60)

    desk = run(story, "pager", takes=lambda url: 5.0)
    assert (desk.sent, [report[:2] for report in desk.reports]) == ([(0, "pager")], [(0, "Undelivered"), (5, "Done")])


def test_closing_does_not_wait_beyond_its_grace():
    async def story(desk: Desk) -> None:
        desk.submit()
        await desk.clock.advance(1)
        await desk.courier.close(grace=0)

    desk = run(story, "pager", takes=lambda url: 600.0)
    assert (desk.sent, desk.reports) == ([(0, "pager")], [])


def test_a_notice_goes_by_real_http_from_a_real_secret_to_a_real_receiver():
    async def main(url: str) -> list[Outcome]:
        done: asyncio.Queue[Outcome] = asyncio.Queue()
        api = FakeApi(pager=a_secret("PagerDuty", routingKey="R0", url=url))
        courier = Courier(api, FakeClock(), ChannelSettings(allowed_hosts=("127.0.0.1",)))
        courier.submit(a_notify(), a_role("pager"), lambda _: True, done.put_nowait)
        try:
            return [await done.get()]
        finally:
            await courier.close(0)

    with SinkServer() as sink:
        sink.behave("/v2/enqueue", status=202)
        (outcome,) = asyncio.run(main(sink.url("/v2/enqueue")))
        (got,) = sink.received()
    assert (outcome.result, outcome.message) == ("Done", "accepted by channel pager (202)")
    assert got.body["event_action"] == "trigger"
