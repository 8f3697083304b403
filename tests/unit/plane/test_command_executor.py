"""The execution of commands: each is answered once, and errors are sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from waiting import until

from plivo_nb.media.audio.sources import Silence
from plivo_nb.plane import wire
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
