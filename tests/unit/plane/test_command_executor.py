"""The execution of commands: each is answered once, and errors are sentences."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from cancelling import connections_to
from waiting import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request
from websockets.typing import Subprotocol

from plivo_nb.media.audio.sources import Silence
from plivo_nb.plane import media_session, media_stack, wire
from plivo_nb.plane.command_executor import CommandExecutor
from plivo_nb.quality.sampler import ClockAnchor


class Rig:
    """An executor on the test's loop, and all that it reports."""

    def __init__(self) -> None:
        self.reports: list[wire.Report] = []
        self.changes: list[int] = []
        self.executor = CommandExecutor(
            self.reports.append, ClockAnchor.now(), lambda: self.changes.append(len(self.executor.sessions))
        )

    async def answer(self, command: wire.Command) -> wire.Ok | wire.Failed:
        self.executor.execute(command)

        def answers() -> list[wire.Ok | wire.Failed]:
            return [r for r in self.reports if isinstance(r, wire.Ok | wire.Failed) and r.id == command.id]

        await until(answers)
        (only,) = answers()
        return only


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.executor.close()


@pytest.mark.parametrize(
    "command",
    [
        wire.SendText(7, 1, "OPTIONS"),
        wire.CreateOffer(7, 1),
        wire.CreateAnswer(7, 1),
        wire.SetRemote(7, 1, "offer", "v=0"),
        wire.SetMuted(7, 1, True),
        wire.SetSource(7, 1, Silence()),
        wire.SendDtmf(7, 1, "5"),
        wire.GetStats(7, 1),
        wire.StartCapture(7, 1, "capture.pcapng"),
        wire.StopCapture(7, 1),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_a_number_that_is_not_open_is_unknown(rig: Rig, command: wire.Command) -> None:
    answer = await rig.answer(command)
    assert isinstance(answer, wire.Failed)
    assert answer.code == "UnknownId"
    assert "1" in answer.sentence


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> concurrent.futures.Future[Any]:
    """A media stack that is being loaded, until the test sets the future."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    monkeypatch.setattr(media_stack, "load", lambda: future)
    return future


async def test_commands_of_sessions_wait_for_the_media_stack_and_those_of_sockets_do_not(
    loading: concurrent.futures.Future[Any], rig: Rig
) -> None:
    rig.executor.execute(wire.OpenSession(1, 5, wire.SessionConfig()))
    rig.executor.execute(wire.SetMuted(2, 5, True))
    rig.executor.execute(wire.CloseSession(3, 5))
    assert await rig.answer(wire.CloseSocket(4, 6)) == wire.Ok(4, None)
    assert [report.id for report in rig.reports if isinstance(report, wire.Ok)] == [4]
    loading.set_result(media_session)
    await until(lambda: len(rig.reports) >= 4)
    answers = [report.id for report in rig.reports if isinstance(report, wire.Ok)]
    assert answers == [4, 1, 2, 3]


async def test_where_the_media_stack_does_not_load_a_session_says_what_to_do(
    loading: concurrent.futures.Future[Any], rig: Rig
) -> None:
    loading.set_exception(OSError("libavcodec is broken"))
    opened = await rig.answer(wire.OpenSession(1, 5, wire.SessionConfig()))
    assert isinstance(opened, wire.Failed)
    assert "reinstall plivo_nb" in opened.sentence
    assert "libavcodec is broken" in opened.sentence
    again = await rig.answer(wire.OpenSession(2, 5, wire.SessionConfig()))
    assert isinstance(again, wire.Failed)
    muted = await rig.answer(wire.SetMuted(3, 5, True))
    assert isinstance(muted, wire.Failed)
    assert muted.code == "UnknownId"


async def test_what_waits_for_the_media_stack_is_answered_when_the_plane_closes(
    loading: concurrent.futures.Future[Any], rig: Rig
) -> None:
    rig.executor.execute(wire.OpenSession(1, 5, wire.SessionConfig()))
    rig.executor.execute(wire.CreateOffer(2, 5))
    await asyncio.sleep(0)
    await rig.executor.close()
    assert [(report.id, report.code) for report in rig.reports if isinstance(report, wire.Failed)] == [
        (1, "ConnectionError"),
        (2, "ConnectionError"),
    ]
    assert not loading.done()


async def test_closing_what_is_not_open_is_fine(rig: Rig) -> None:
    assert await rig.answer(wire.CloseSession(1, 5)) == wire.Ok(1, {})
    assert await rig.answer(wire.CloseSocket(2, 5)) == wire.Ok(2, None)


async def test_sessions_are_opened_once_and_their_changes_reported(rig: Rig) -> None:
    assert await rig.answer(wire.OpenSession(1, 1, wire.SessionConfig())) == wire.Ok(1)
    again = await rig.answer(wire.OpenSession(2, 1, wire.SessionConfig()))
    assert isinstance(again, wire.Failed)
    assert "open already" in again.sentence
    await rig.answer(wire.OpenSession(3, 2, wire.SessionConfig()))
    stats = await rig.answer(wire.GetStats(4, 1))
    assert isinstance(stats, wire.Ok)
    assert stats.value["transport"]["dtlsState"] == "new"
    assert await rig.answer(wire.StopCapture(5, 1)) == wire.Ok(5, 0)
    final = await rig.answer(wire.CloseSession(6, 1))
    assert isinstance(final, wire.Ok)
    assert "transport" in final.value
    await rig.answer(wire.CloseSession(7, 2))
    assert rig.changes == [1, 0], "when the first comes and when the last goes"


async def test_an_sdp_that_cannot_work_is_told_in_a_sentence(rig: Rig) -> None:
    await rig.answer(wire.OpenSession(1, 1, wire.SessionConfig()))
    answer = await rig.answer(wire.SetRemote(2, 1, "offer", "v=0"))
    assert answer == wire.Failed(2, "IncompatibleSDP", "The other side's description has no audio.")
    no_offer = await rig.answer(wire.CreateAnswer(3, 1))
    assert isinstance(no_offer, wire.Failed)
    assert no_offer.code == "WebRTCError"


async def test_an_unknown_command_fails_with_its_name(rig: Rig) -> None:
    class Unheard(wire.Command):
        pass

    answer = await rig.answer(Unheard(1))
    assert isinstance(answer, wire.Failed)
    assert "Unheard" in answer.sentence


async def test_an_unexpected_error_is_logged_and_answered(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.answer(wire.OpenSession(1, 1, wire.SessionConfig()))

    class Broken(Silence):
        def close(self) -> None:
            raise RuntimeError("mine")

    assert await rig.answer(wire.SetSource(2, 1, Broken())) == wire.Ok(2)
    answer = await rig.answer(wire.SetSource(3, 1, Silence()))
    assert answer == wire.Failed(3, "WebRTCError", "SetSource failed unexpectedly: RuntimeError: mine.")
    assert "The command SetSource failed unexpectedly." in caplog.text


async def test_closing_cancels_what_a_session_still_does(rig: Rig) -> None:
    await rig.answer(wire.OpenSession(1, 1, wire.SessionConfig()))
    rig.executor.execute(wire.CreateOffer(2, 1))
    await rig.answer(wire.CloseSession(3, 1))
    answer = next(r for r in rig.reports if isinstance(r, wire.Ok | wire.Failed) and r.id == 2)
    assert isinstance(answer, wire.Failed)
    assert answer.code == "ConnectionError"


@pytest.mark.parametrize(
    "command", [wire.CreateOffer(2, 1), wire.CreateAnswer(2, 1), wire.SendDtmf(2, 1, "5")], ids=repr
)
async def test_a_command_cancelled_before_its_first_step_is_answered_and_leaves_no_coroutine(
    rig: Rig, command: wire.Command
) -> None:
    await rig.answer(wire.OpenSession(1, 1, wire.SessionConfig()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rig.executor.execute(command)
        for task in rig.executor._tasks:
            task.cancel()
        answer = await until(lambda: [r for r in rig.reports if isinstance(r, wire.Failed) and r.id == 2])
        gc.collect()
    assert answer[0].code == "ConnectionError"
    assert [str(warning.message) for warning in caught] == []


async def test_a_closed_executor_refuses_commands(rig: Rig) -> None:
    await rig.executor.close()
    answer = await rig.answer(wire.OpenSocket(1, 1, "ws://127.0.0.1:1"))
    assert answer == wire.Failed(1, "ConnectionError", "The I/O plane is being closed.")


class SlowServer:
    """Completes a WebSocket's handshake when `go` is set, and answers no Close."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0
        self.port = 0

    async def _accept(self, connection: ServerConnection, request: Request) -> None:
        self.asked += 1
        await self.go.wait()

    async def _serve(self, connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("sip")],
            process_request=self._accept,
            close_timeout=0.1,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{self.port}"
            self.go.set()


async def test_a_socket_that_opens_while_the_others_are_closed_is_closed_too(rig: Rig) -> None:
    server = SlowServer()
    async with server.running() as url:
        server.go.set()
        assert await rig.answer(wire.OpenSocket(1, 1, url)) == wire.Ok(1)  # its close takes 0.5 s
        server.go.clear()
        rig.executor.execute(wire.OpenSocket(2, 2, url))
        await until(lambda: server.asked == 2)
        closing = asyncio.create_task(rig.executor.close())
        await asyncio.sleep(0)
        server.go.set()
        await closing
        assert not connections_to(server.port)()
    gc.collect()


async def test_a_socket_that_is_opened_is_given_up_when_it_is_closed(rig: Rig) -> None:
    server = SlowServer()
    async with server.running() as url:
        rig.executor.execute(wire.OpenSocket(1, 1, url))
        await until(lambda: server.asked)
        assert await rig.answer(wire.CloseSocket(2, 1)) == wire.Ok(2)
        await until(lambda: not connections_to(server.port)())
        assert any(isinstance(report, wire.Failed) and report.id == 1 for report in rig.reports)


@pytest.mark.parametrize("enough", [True, False], ids=["waited-for", "cut-short"])
async def test_a_socket_that_is_being_closed_is_closed_when_all_is(rig: Rig, enough: bool) -> None:
    server = SlowServer()
    server.go.set()
    async with server.running() as url:
        assert await rig.answer(wire.OpenSocket(1, 1, url)) == wire.Ok(1)
        rig.executor.execute(wire.CloseSocket(2, 1))
        await asyncio.sleep(0)
        if enough:
            await rig.executor.close()
            assert wire.Ok(2) in rig.reports
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await rig.executor.close()
        await until(lambda: not connections_to(server.port)())
    gc.collect()
