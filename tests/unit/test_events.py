"""The emitter, the stream of events, and CallInfo."""

import asyncio
import contextvars
import dataclasses
import logging
from typing import get_args

import pytest
from waiting import until

from plivo_nb.dtmf_table import DTMF_DIGITS
from plivo_nb.events import EVENT_NAMES, CallInfo, DtmfDigit, Emitter, EventStream


def test_callbacks_run_in_the_order_of_registration() -> None:
    emitter, heard = Emitter(), []
    emitter.on("onLogin", lambda: heard.append(1))
    emitter.on("onLogin")(lambda: heard.append(2))
    emitter.emit("onLogin")
    assert heard == [1, 2]


def test_once_is_once_and_off_is_off() -> None:
    emitter, heard = Emitter(), []
    emitter.once("onLoginFailed", heard.append)
    emitter.emit("onLoginFailed", "a")
    emitter.emit("onLoginFailed", "b")
    emitter.on("onLoginFailed", heard.append)
    emitter.off("onLoginFailed", heard.append)  # a bound method is a new object each time
    emitter.emit("onLoginFailed", "off")
    emitter.on("onLoginFailed", heard.append)
    emitter.off("onLoginFailed")
    emitter.emit("onLoginFailed", "c")
    assert heard == ["a"]


def test_a_callback_that_raises_is_logged_with_its_event_and_the_others_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter, heard = Emitter(), []

    def broken() -> None:
        raise RuntimeError("mine")

    emitter.on("onLogout", broken)
    emitter.on("onLogout", lambda: heard.append("other"))
    with caplog.at_level(logging.ERROR, logger="plivo_nb"):
        emitter.emit("onLogout")
    assert heard == ["other"]
    assert "onLogout" in caplog.text


async def test_a_coroutine_callback_runs_and_its_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    emitter, heard = Emitter(), []

    async def slow(cause: str) -> None:
        await asyncio.sleep(0)
        heard.append(cause)
        raise RuntimeError("later")

    emitter.on("onLoginFailed", slow)
    with caplog.at_level(logging.ERROR, logger="plivo_nb"):
        emitter.emit("onLoginFailed", "why")
        await until(lambda: "onLoginFailed" in caplog.text)
    assert heard == ["why"]
    await emitter.close()


async def test_close_cancels_callbacks_that_still_run() -> None:
    emitter, ended = Emitter(), []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    emitter.on("onLogin", endless)
    emitter.emit("onLogin")
    await asyncio.sleep(0)
    await emitter.close()
    assert ended == [True]


def test_an_unknown_event_and_a_callback_that_is_none_are_refused() -> None:
    emitter = Emitter()
    with pytest.raises(ValueError, match="onCallAnswered"):
        emitter.on("onAnswered", print)
    with pytest.raises(ValueError, match="function"):
        emitter.on("onLogin", "print")  # type: ignore[call-overload]


def test_call_info_reads_by_attribute_and_by_plivos_key_and_stays_as_it_is() -> None:
    info = CallInfo("u-1", "OUTGOING", "sip:alice@phone.plivo.com", "echo", "ringing")
    assert info["callUUID"] == info.callUUID == "u-1"
    assert dict(info)["state"] == "ringing"
    assert set(info) >= {"callUUID", "direction", "src", "dest", "extraHeaders", "state"}
    with pytest.raises(KeyError):
        info["uuid"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.state = "ended"  # type: ignore[misc]


async def test_a_slow_reader_of_events_loses_the_oldest_and_can_see_how_many() -> None:
    emitter = Emitter()
    stream = EventStream(emitter, limit=3)
    for number in range(5):
        emitter.emit("onLoginFailed", str(number))
    assert [(await anext(stream)).value for _ in range(3)] == ["2", "3", "4"]
    assert stream.missed == 2
    emitter.emit("onLogin")
    emitter.emit("onIncomingCall", "a@b", {}, None)
    assert (await anext(stream)).value is None
    assert (await anext(stream)).value == ("a@b", {}, None)
    await stream.aclose()
    emitter.emit("onLogin")
    assert [event async for event in stream] == []
    assert len(EVENT_NAMES) == 18


async def test_the_next_event_can_be_awaited_and_is_cancelled_by_close() -> None:
    emitter = Emitter()
    first, second = emitter.next("onLoginFailed"), emitter.next("onLogout")
    emitter.emit("onLogin")
    emitter.emit("onLoginFailed", "why")
    assert await first == "why"
    await emitter.close()
    assert second.cancelled()


def test_the_type_of_a_digit_has_every_digit_of_the_table() -> None:
    assert get_args(DtmfDigit) == tuple(DTMF_DIGITS)


CELL: contextvars.ContextVar[str] = contextvars.ContextVar("CELL", default="none")


async def test_callbacks_run_in_the_context_of_their_registration() -> None:
    """In a notebook the context says which cell shows the output, also that of what a callback logs."""
    emitter, heard = Emitter(), []

    def plain() -> None:
        heard.append(("plain", CELL.get()))
        if len(heard) == 1:
            emitter.emit("onLogin")  # a context cannot be entered twice

    async def slow() -> None:
        await asyncio.sleep(0)
        heard.append(("slow", CELL.get()))

    CELL.set("1")
    emitter.on("onLogin", plain)
    CELL.set("2")
    emitter.once("onLogin")(slow)
    CELL.set("3")
    contextvars.Context().run(emitter.emit, "onLogin")
    await until(lambda: len(heard) == 3)
    assert heard == [("plain", "1"), ("plain", "1"), ("slow", "2")]
    assert CELL.get() == "3"
    await emitter.close()


async def test_what_waits_for_events_of_a_closed_emitter_ends_at_once() -> None:
    emitter = Emitter()
    await emitter.close()
    assert emitter.next("onLogin").cancelled()
    assert [event async for event in EventStream(emitter)] == []


def test_the_time_of_an_event_is_that_of_the_clock_given() -> None:
    emitter, seen = Emitter(lambda: 1_500_000_000), []
    emitter.watch(seen.append)
    emitter.emit("onLogin")
    assert seen[0].time.timestamp() == 1.5
