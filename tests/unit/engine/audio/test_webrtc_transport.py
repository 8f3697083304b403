"""The kernel's end of the WebRTC connection with a page: messages, states and frames, without a network."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from call_world import MemoryEngine
from waiting import until

from plivo_nb.audio_types import Pcm, is_nonblocking
from plivo_nb.engine.audio.webrtc_transport import PageSink, PageSource, WebRtcTransport
from plivo_nb.errors import MediaError, PlaneDied
from plivo_nb.options import read_options
from plivo_nb.plane import wire
from plivo_nb.quality.sampler import SampleRow
from plivo_nb.sound import path_quality

RATE = 48_000
FRAME = RATE // 50
OFFER = {"type": "offer", "attempt": 1, "sdp": "v=0"}
TURN = {"urls": ["turn:relay.example", "stun:one.example"], "username": "u", "credential": "secret"}


class Plane(MemoryEngine):
    """An engine that answers commands at once and keeps them."""

    def __init__(self) -> None:
        super().__init__(1)
        self.commands: list[wire.Command] = []
        self.errors: dict[type, Exception] = {}
        self.stats: dict[str, Any] = {}

    @property
    def plane_runs(self) -> bool:
        return True

    def post(self, command: Any, **values: Any) -> Any:
        self.commands.append(command(id=0, **values))
        future = self.loop.create_future()
        if command in self.errors:
            future.set_exception(self.errors[command])
        else:
            answers = {wire.CreateAnswer: "v=0 answer", wire.GetStats: self.stats}
            future.set_result(answers.get(command))
        return future

    def count(self, kind: type) -> int:
        return sum(isinstance(command, kind) for command in self.commands)

    def report(self, report: Any) -> None:
        """A report of the session that was opened last."""
        sessions = [command.session for command in self.commands if isinstance(command, wire.OpenSession)]
        self._dispatch(dataclasses.replace(report, session=sessions[-1]))

    def connected(self) -> None:
        self.report(wire.SessionState(0, "dtls", "connected", 1.0))

    def sample(self, packets: float = 25.0, **values: float) -> None:
        fields = {field.name: math.nan for field in dataclasses.fields(SampleRow)}
        row = SampleRow(**{**fields, "time_monotonic_s": 1.0, "packets_in": packets, **values})
        self.report(wire.Sample(0, row))


class Link:
    """Keeps what the page is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        assert (page, message["transport"], list(buffers)) == ("page", "webrtc", [])
        self.sent.append(dict(message))

    def listen(self, receive: Any) -> None: ...

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.sent]


class Rig:
    """A transport that was started, and the states that it went through."""

    def __init__(self) -> None:
        self.plane, self.link = Plane(), Link()
        options = read_options(None, {"ice_servers": [TURN], "ice_transport_policy": "relay", "strict": True})
        self.transport = WebRtcTransport(self.plane, options, self.link, "page")
        self.states: list[str] = []
        self.taken: list[Pcm] = []

    async def start(self) -> None:
        self.transport.start(
            self.taken.append, lambda out: None, lambda: self.states.append(self.transport.state)
        )
        await until(lambda: "start" in self.link.kinds())

    async def answer(self) -> None:
        before = self.link.kinds().count("answer")
        self.receive(**{**OFFER, "attempt": self.link.sent[-1]["attempt"]})
        await until(lambda: self.link.kinds().count("answer") > before)

    async def open(self) -> None:
        await self.start()
        await self.answer()
        self.plane.connected()
        for _ in range(2):
            self.plane.sample()
        assert self.transport.state == "open"

    def receive(self, **message: Any) -> None:
        self.transport.receive(message, ())


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    made.transport.stop()
    await asyncio.sleep(0)
    await made.plane.close()
    await asyncio.sleep(0)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")] == []


async def test_the_page_is_asked_for_an_offer_and_is_given_no_credential(rig: Rig) -> None:
    await rig.start()
    assert rig.link.sent == [
        {
            "type": "start",
            "attempt": 1,
            "transport": "webrtc",
            "ice_servers": [{"urls": ["stun:one.example"]}],
        }
    ]


async def test_an_offer_is_answered_and_sound_goes_that_way_once_packets_arrive(rig: Rig) -> None:
    await rig.open()
    assert rig.link.sent[-1] == {"type": "answer", "sdp": "v=0 answer", "attempt": 1, "transport": "webrtc"}
    opened = next(command for command in rig.plane.commands if isinstance(command, wire.OpenSession))
    assert opened.config.codecs == ("OPUS",)
    assert opened.config.loopback_candidates
    assert not opened.config.relay_only
    assert rig.states == ["open"]


async def test_a_path_without_packets_is_left_and_used_again_when_they_come(rig: Rig) -> None:
    await rig.open()
    rig.receive(type="stats", attempt=1, packets_received=50, microphone=True)
    await asyncio.sleep(0)
    for _ in range(2):
        rig.plane.sample(packets=0.0)
    for _ in range(6):
        rig.plane.sample()
    assert rig.states == ["open", "connecting", "open"]


async def test_no_packets_are_due_from_a_page_without_a_microphone(rig: Rig) -> None:
    await rig.open()
    for _ in range(5):
        rig.plane.sample(packets=0.0)
    assert rig.states == ["open"]


async def test_a_page_that_receives_nothing_makes_the_path_poor(rig: Rig) -> None:
    await rig.open()
    for _ in range(2):
        rig.receive(type="stats", attempt=1, packets_received=50)
        await asyncio.sleep(0)
    for _ in range(2):
        rig.plane.sample()
    assert rig.states == ["open", "connecting"]


@pytest.mark.parametrize("column", ["loss_in", "loss_out"])
async def test_heavy_loss_in_either_direction_makes_the_path_poor(rig: Rig, column: str) -> None:
    await rig.open()
    for _ in range(2):
        rig.plane.sample(**{column: 0.4})
    assert rig.states == ["open", "connecting"]


async def test_a_failed_connection_is_tried_again_after_a_pause(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_quality, "_PAUSE_S", 0.0)
    monkeypatch.setattr("plivo_nb.engine.audio.webrtc_transport._CHECK_S", 0.01)
    await rig.open()
    rig.plane.report(wire.SessionState(0, "ice", "failed", 1.0, "no path"))
    assert rig.transport.state == "connecting"
    await until(lambda: rig.link.kinds().count("start") == 2)
    assert rig.plane.count(wire.CloseSession) == 1
    await rig.answer()
    rig.plane.connected()
    for _ in range(2):
        rig.plane.sample()
    assert rig.states == ["open", "connecting", "open"]


@pytest.mark.parametrize(
    "kind", [wire.Fault(0, "WebRTCError", "x"), wire.SessionState(0, "dtls", "closed", 1.0)]
)
async def test_any_failure_leaves_the_path(rig: Rig, kind: wire.Report) -> None:
    await rig.open()
    rig.plane.report(kind)
    assert rig.states == ["open", "connecting"]


async def test_a_connection_that_takes_too_long_is_given_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.engine.audio.webrtc_transport._CHECK_S", 0.01)
    await rig.start()
    await rig.answer()
    monkeypatch.setitem(path_quality._LIMIT_S, "connecting", 0.0)
    await until(lambda: rig.plane.count(wire.CloseSession) == 1)
    assert rig.states == []  # it was never open
    rig.receive(**OFFER)  # too late
    await asyncio.sleep(0)
    assert rig.plane.count(wire.OpenSession) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"type": "offer", "attempt": 7, "sdp": "v=0"},
        {"type": "offer", "attempt": 1, "sdp": 5},
        {"type": "offer", "attempt": 1, "sdp": "x" * 200_000},
        {"type": "stats", "attempt": 1, "packets_received": "many", "rtt_ms": -1, "concealment_events": -5},
        {"type": "stats", "attempt": 1, "rtt_ms": float("nan"), "concealment_events": True},
        {"type": "nonsense", "attempt": 1},
        {},
    ],
)
async def test_what_a_page_should_not_send_is_ignored(rig: Rig, message: dict[str, Any]) -> None:
    await rig.open()
    opened = rig.plane.count(wire.OpenSession)
    rig.receive(**message)
    await asyncio.sleep(0)
    assert (rig.plane.count(wire.OpenSession), rig.transport.underruns) == (opened, 0)
    assert math.isnan(rig.transport.rtt_ms)
    assert rig.states == ["open"]


async def test_an_offer_that_cannot_be_used_ends_the_attempt(rig: Rig) -> None:
    rig.plane.errors[wire.SetRemote] = MediaError("no audio", "IncompatibleSDP")
    await rig.start()
    rig.receive(**OFFER)
    await until(lambda: rig.plane.count(wire.CloseSession) == 1)
    assert "answer" not in rig.link.kinds()


async def test_a_page_whose_connection_failed_says_so(rig: Rig) -> None:
    await rig.open()
    rig.receive(type="failed", attempt=1, reason="no path")
    await asyncio.sleep(0)
    assert rig.states == ["open", "connecting"]


async def test_without_a_plane_it_fails_for_good(rig: Rig) -> None:
    rig.plane.errors[wire.OpenSession] = PlaneDied("no media stack")
    await rig.start()
    rig.receive(**OFFER)
    await until(lambda: rig.states == ["failed"])


async def test_a_second_offer_replaces_the_first_connection(rig: Rig) -> None:
    await rig.start()
    await rig.answer()
    await rig.answer()
    await until(lambda: rig.plane.count(wire.CloseSession) == 1)
    assert rig.plane.count(wire.OpenSession) == 2


async def test_the_round_trip_is_the_pages_until_rtcp_measures_it(rig: Rig) -> None:
    await rig.open()
    rig.receive(type="stats", attempt=1, packets_received=10, rtt_ms=7.5)
    await until(lambda: rig.transport.rtt_ms == 7.5)
    rig.plane.sample(rtt_ms=4.0)
    assert rig.transport.rtt_ms == 4.0


async def test_underruns_of_both_ends_are_counted_and_only_grow(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.engine.audio.webrtc_transport._CHECK_S", 0.01)
    rig.plane.stats = {"inbound-rtp": {"concealmentEvents": 3}}
    await rig.open()
    rig.receive(type="stats", attempt=1, packets_received=10, concealment_events=2)
    await until(lambda: rig.transport.underruns == 5)
    rig.plane.stats = {}
    rig.plane.report(wire.SessionState(0, "ice", "failed", 1.0))  # another connection counts from 0
    assert rig.transport.underruns == 5


async def test_it_is_stopped_once_and_tells_the_page(rig: Rig) -> None:
    await rig.open()
    rig.transport.use(True)
    for _ in range(2):
        rig.transport.stop()
    await until(lambda: rig.plane.count(wire.CloseSession) == 1)
    rig.receive(**OFFER)
    await asyncio.sleep(0)
    assert rig.link.kinds() == ["start", "answer", "use", "stop"]
    assert (rig.transport.state, rig.states) == ("closed", ["open"])


# ---------------------------------------------------------------- frames


def tone(count: int, rate: int = RATE) -> Pcm:
    return (10_000 * np.sin(2 * np.pi * 500 * np.arange(count) / rate)).astype(np.int16)


def test_source_and_sink_may_be_used_by_the_plane() -> None:
    assert is_nonblocking(PageSource())
    assert is_nonblocking(PageSink())


@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_the_page_hears_what_is_pulled_at_the_rate_of_the_connection(rate: int) -> None:
    source, sound, asked = PageSource(), tone(51 * FRAME), []

    def fill(out: Pcm) -> None:
        out[:] = sound[sum(asked) :][: len(out)]
        asked.append(len(out))

    source.fill = fill
    source.used = True
    source.open(rate)
    frames = [frame for frame in (source.read(rate // 50) for _ in range(50)) if frame is not None]
    heard = np.concatenate(frames)[960:]
    assert set(asked[1:]) <= {FRAME - 1, FRAME, FRAME + 1}
    assert {len(frame) for frame in frames} == {rate // 50}
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * rate / len(heard) == pytest.approx(500, abs=2)
    assert np.abs(heard).max() == pytest.approx(10_000, rel=0.02)


def test_a_source_that_is_not_used_is_silent_and_pulls_nothing() -> None:
    source, asked = PageSource(), []
    source.fill = asked.append
    assert source.read(FRAME) is None
    assert not asked


@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_the_microphone_arrives_at_the_rate_of_page_sound(rate: int) -> None:
    sink, taken = PageSink(), []
    sink.take = taken.append
    sink.used = True
    sink.open(rate)
    sound = tone(rate, rate)
    for at in range(0, rate, rate // 50):
        sink.write(sound[at : at + rate // 50])
    heard = np.concatenate(taken)
    assert len(heard) == pytest.approx(RATE, abs=FRAME)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * RATE / len(heard) == pytest.approx(500, abs=2)
    sink.used = False
    count = len(taken)
    sink.write(sound[: rate // 50])
    assert len(taken) == count
