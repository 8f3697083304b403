"""The I/O plane as the engine uses it: commands down, reports up, real media between two sessions."""

from __future__ import annotations

import asyncio
import itertools
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import until, wait_until

from plivo_nb.audio_types import Pcm
from plivo_nb.errors import PlaneDied
from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.rtp.captured_sip import SipFrame
from plivo_nb.media.transport.dtls import make_certificate
from plivo_nb.plane import wire
from plivo_nb.plane.plane import Plane
from plivo_nb.switch_interval import SWITCH_INTERVAL_S

pytestmark = pytest.mark.alone  # packets are counted against the clock

CONFIG = wire.SessionConfig(loopback_candidates=True)


class Kept:
    """A sink that keeps what it hears, and when."""

    def __init__(self) -> None:
        self.rate = 0
        self.frames: list[Pcm] = []
        self.times: list[float] = []

    def open(self, rate: int) -> None:
        self.rate = rate

    def write(self, frame: Pcm) -> None:
        self.frames.append(frame.copy())
        self.times.append(time.monotonic())

    def close(self) -> None:
        pass

    def frequency(self) -> float:
        """The strongest frequency of the last half second."""
        heard = np.concatenate(self.frames[-25:]).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        return float(np.argmax(spectrum)) * self.rate / len(heard)

    def peak(self) -> int:
        return int(max(np.abs(frame.astype(np.int32)).max() for frame in self.frames[-10:]))


class Kernel:
    """The kernel's side: asks, waits, and keeps the reports."""

    def __init__(self) -> None:
        self.plane = Plane()
        self.reports: list[wire.Report] = []
        self._answers: dict[int, wire.Ok | wire.Failed] = {}
        self._ids = itertools.count(1)
        self._news = threading.Condition()

    def take(self, batch: list[wire.Report]) -> None:
        with self._news:
            for report in batch:
                if isinstance(report, wire.Ok | wire.Failed):
                    assert report.id not in self._answers, "answered twice"
                    self._answers[report.id] = report
                else:
                    self.reports.append(report)
            self._news.notify_all()

    def post(self, command: type[wire.Command], **values: Any) -> int:
        number = next(self._ids)
        self.plane.post(command(id=number, **values))
        return number

    def answer(self, number: int, within_s: float = 5.0) -> wire.Ok | wire.Failed:
        with self._news:
            assert self._news.wait_for(lambda: number in self._answers, within_s), "no answer"
            return self._answers[number]

    def ask(self, command: type[wire.Command], **values: Any) -> Any:
        answer = self.answer(self.post(command, **values))
        assert isinstance(answer, wire.Ok), answer
        return answer.value

    def refused(self, command: type[wire.Command], **values: Any) -> wire.Failed:
        answer = self.answer(self.post(command, **values))
        assert isinstance(answer, wire.Failed), answer
        return answer

    def until(self, session: int, what: str, state: str, within_s: float = 5.0) -> wire.SessionState:
        def found() -> list[wire.SessionState]:
            return [s for s in self.of(wire.SessionState, session) if (s.what, s.state) == (what, state)]

        with self._news:
            assert self._news.wait_for(lambda: bool(found()), within_s), (what, state, self.reports)
        return found()[-1]

    def received(self, session: int) -> int:
        """RTP packets that the session has received."""
        return int(self.ask(wire.GetStats, session=session).get("inbound-rtp", {}).get("packetsReceived", 0))

    def of(self, kind: type[Any], session: int) -> list[Any]:
        return [r for r in self.reports if isinstance(r, kind) and getattr(r, "session", None) == session]

    def call(self, caller: int, callee: int, config: wire.SessionConfig = CONFIG) -> None:
        """Open two sessions of this plane and connect them."""
        for number in (caller, callee):
            self.ask(wire.OpenSession, session=number, config=config)
        self.negotiate(caller, callee)
        for number in (caller, callee):
            self.until(number, "dtls", "connected")

    def negotiate(self, caller: int, callee: int, ice_restart: bool = False) -> tuple[str, str]:
        offer = self.ask(wire.CreateOffer, session=caller, ice_restart=ice_restart)
        self.ask(wire.SetRemote, session=callee, type="offer", sdp=offer)
        answer = self.ask(wire.CreateAnswer, session=callee)
        self.ask(wire.SetRemote, session=caller, type="answer", sdp=answer)
        return offer, answer


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    threads = set(threading.enumerate())
    interval = sys.getswitchinterval()
    side = Kernel()
    side.plane.start(side.take)
    yield side
    before = time.monotonic()
    side.plane.stop()
    assert time.monotonic() - before < 2.5  # it waits for its thread 1 s at most
    assert not side.plane.alive
    assert {t for t in threading.enumerate() if t.name.startswith("plivo_nb plane")} <= threads
    assert sys.getswitchinterval() == interval


@pytest.mark.parametrize("codecs", [("OPUS", "PCMU"), ("PCMU",)])
def test_a_tone_goes_in_and_comes_out(kernel: Kernel, codecs: tuple[str, ...]) -> None:
    heard = Kept()
    kernel.call(1, 2, wire.SessionConfig(loopback_candidates=True, codecs=codecs))
    kernel.ask(wire.SetSink, session=2, sink=heard)
    kernel.ask(wire.SetSource, session=1, source=Tone(1000, -10))
    wait_until(lambda: len(heard.frames) > 30 and abs(heard.frequency() - 1000) < 10)
    assert heard.rate == (48000 if codecs[0] == "OPUS" else 8000)
    wait_until(lambda: all(len(kernel.of(wire.Sample, number)) >= 2 for number in (1, 2)))
    kernel.ask(wire.SetMuted, session=1, muted=True)
    wait_until(lambda: heard.peak() < 50)
    for number in (1, 2):
        kernel.until(number, "rtp", "first-sent")
        kernel.until(number, "rtp", "first-received")
        rows = [sample.row for sample in kernel.of(wire.Sample, number)]
        assert len(rows) >= 2
        assert rows[-1].codec == codecs[0]
        assert 35 <= rows[-1].packets_in <= 55
        assert rows[-1].loss_in == 0
    levels = kernel.of(wire.Level, 2)
    assert max(level.in_dbfs for level in levels) == pytest.approx(
        -7, abs=1.5
    )  # the peak of a tone of -10 dBFS RMS
    span_s = heard.times[-1] - heard.times[0]
    assert 5 * span_s <= len(levels) <= 15 * span_s + 2, "about one each 100 ms"
    stats = kernel.ask(wire.GetStats, session=2)
    assert {"inbound-rtp", "outbound-rtp", "transport", "candidate-pair", "local-candidate"} <= stats.keys()
    assert all(entry["id"] == key and entry["type"] for key, entry in stats.items())
    assert stats["inbound-rtp"]["packetsLost"] == 0
    final = kernel.ask(wire.CloseSession, session=2)
    assert final["outbound-rtp"]["packetsSent"] > 100
    kernel.until(1, "dtls", "closed")


def busy_wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.parametrize("busy", [time.sleep, busy_wait])
def test_a_busy_main_thread_opens_no_gap(kernel: Kernel, busy: Any) -> None:
    heard = Kept()
    kernel.call(1, 2)
    kernel.ask(wire.SetSource, session=1, source=Tone(1000))
    kernel.ask(wire.SetSink, session=2, sink=heard)
    wait_until(lambda: len(heard.frames) > 20)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    before = kernel.ask(wire.GetStats, session=2)["inbound-rtp"]
    start = len(heard.times)
    busy(3)
    gaps = np.diff(heard.times[start:])
    after = kernel.ask(wire.GetStats, session=2)["inbound-rtp"]
    # A machine that is busy with other things too costs the plane some of its ticks; a plane that the
    # kernel's thread holds up loses most of them.
    assert 120 <= after["packetsReceived"] - before["packetsReceived"] <= 165
    assert after["packetsLost"] == 0
    assert np.percentile(gaps, 90) < 0.06
    if busy is time.sleep:
        assert np.percentile(gaps, 98) < 0.06


def test_ice_restart_under_a_call(kernel: Kernel) -> None:
    kernel.call(1, 2)
    kernel.ask(wire.SetSource, session=1, source=Tone(1000))
    wait_until(lambda: kernel.received(2) > 20)
    first = kernel.ask(wire.GetStats, session=2)

    def restarts() -> list[int]:
        return [
            sum(s.detail == "ICE restarted" for s in kernel.of(wire.SessionState, number))
            for number in (1, 2)
        ]

    offer, answer = kernel.negotiate(1, 2, ice_restart=True)
    wait_until(lambda: restarts() == [1, 1])
    time.sleep(0.5)  # else the second restart overtakes the first
    kernel.negotiate(2, 1, ice_restart=True)  # and by the other side
    wait_until(lambda: restarts() == [2, 2])
    wait_until(lambda: kernel.received(2) > first["inbound-rtp"]["packetsReceived"] + 65)
    for number in (1, 2):
        assert [s.state for s in kernel.of(wire.SessionState, number) if s.what == "dtls"] == [
            "connecting",
            "connected",
        ]
    second = kernel.ask(wire.GetStats, session=2)
    assert second["inbound-rtp"]["ssrc"] == first["inbound-rtp"]["ssrc"]
    assert second["inbound-rtp"]["packetsLost"] == 0
    assert second["local-candidate"]["port"] != first["local-candidate"]["port"]
    assert "a=setup:actpass" in offer
    assert "a=setup:active" in answer


def test_early_media_of_one_and_the_answer_of_another(kernel: Kernel) -> None:
    heard = Kept()
    for number in (1, 2, 3):
        kernel.ask(wire.OpenSession, session=number, config=CONFIG)
    kernel.ask(wire.SetSink, session=1, sink=heard)
    kernel.ask(wire.SetSource, session=2, source=Tone(600))
    kernel.ask(wire.SetSource, session=3, source=Tone(1500))
    offer = kernel.ask(wire.CreateOffer, session=1)
    answers = {}
    for number in (2, 3):
        kernel.ask(wire.SetRemote, session=number, type="offer", sdp=offer)
        answers[number] = kernel.ask(wire.CreateAnswer, session=number)
    kernel.ask(wire.SetRemote, session=1, type="pranswer", sdp=answers[2])
    wait_until(lambda: len(heard.frames) > 40 and abs(heard.frequency() - 600) < 10)
    kernel.ask(wire.SetRemote, session=1, type="answer", sdp=answers[3])
    wait_until(lambda: abs(heard.frequency() - 1500) < 10)
    kernel.ask(wire.SetRemote, session=1, type="answer", sdp=answers[3])  # said twice: nothing changes
    wait_until(lambda: kernel.received(3) > 10)
    assert kernel.until(1, "dtls", "connected").state == "connected"


def test_two_peers_with_one_certificate_are_two_peers(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate()  # a server has one for all its calls
    monkeypatch.setattr("plivo_nb.media.transport.transport.make_certificate", lambda: certificate)
    heard = Kept()
    for number in (1, 2, 3):
        kernel.ask(wire.OpenSession, session=number, config=CONFIG)
    kernel.ask(wire.SetSink, session=1, sink=heard)
    kernel.ask(wire.SetSource, session=2, source=Tone(600))
    kernel.ask(wire.SetSource, session=3, source=Tone(1500))
    offer = kernel.ask(wire.CreateOffer, session=1)
    answers = {}
    for number in (2, 3):
        kernel.ask(wire.SetRemote, session=number, type="offer", sdp=offer)
        answers[number] = kernel.ask(wire.CreateAnswer, session=number)
    kernel.ask(wire.SetRemote, session=1, type="pranswer", sdp=answers[2])
    wait_until(lambda: len(heard.frames) > 40 and abs(heard.frequency() - 600) < 10)
    kernel.ask(wire.CloseSession, session=2)
    kernel.ask(wire.SetRemote, session=1, type="answer", sdp=answers[3])
    before = time.monotonic()
    wait_until(lambda: abs(heard.frequency() - 1500) < 10)
    assert time.monotonic() - before < 3  # a second on a quiet machine
    wait_until(lambda: kernel.received(3) > 10)


def test_renegotiation_without_restart_changes_no_path(kernel: Kernel) -> None:
    kernel.call(1, 2)
    before = kernel.ask(wire.GetStats, session=1)["local-candidate"]["port"]
    offer, answer = kernel.negotiate(2, 1)
    assert "a=setup:passive" in answer  # the roles of the first negotiation stay
    assert kernel.ask(wire.GetStats, session=1)["local-candidate"]["port"] == before
    versions = [int(offer.split()[3]) for offer in (offer, kernel.ask(wire.CreateOffer, session=2))]
    assert versions[1] == versions[0] + 1


def test_dtmf_goes_only_where_it_was_negotiated(kernel: Kernel) -> None:
    for number in (1, 2):
        kernel.ask(wire.OpenSession, session=number, config=CONFIG)
    offer = kernel.ask(wire.CreateOffer, session=1)
    kernel.ask(wire.SetRemote, session=2, type="offer", sdp=offer)
    answer = kernel.ask(wire.CreateAnswer, session=2)
    kernel.ask(wire.SetRemote, session=1, type="answer", sdp=answer)
    kernel.until(2, "dtls", "connected")
    assert kernel.refused(wire.SendDtmf, session=1, digits="1").code == "NotNegotiated"


def test_an_error_in_a_tick_ends_that_session_and_no_other(kernel: Kernel) -> None:
    class Bad(Tone):
        def read(self, samples: int) -> Pcm | None:
            raise ZeroDivisionError("a user's source")

    kernel.call(1, 2)
    kernel.call(3, 4)
    kernel.ask(wire.SetSource, session=1, source=Bad(440))
    kernel.until(2, "dtls", "closed")
    faults = [r for r in kernel.reports if isinstance(r, wire.Fault)]
    assert [(f.session, f.code) for f in faults] == [(1, "WebRTCError")]
    assert "a user's source" in faults[0].sentence
    assert kernel.refused(wire.GetStats, session=1).code == "UnknownId"
    assert kernel.ask(wire.CloseSession, session=1) == {}
    before = kernel.received(4)
    wait_until(lambda: kernel.received(4) > before + 15)


def test_wrong_sdp_and_unknown_ids_fail_with_a_code_and_a_sentence(kernel: Kernel) -> None:
    kernel.ask(wire.OpenSession, session=1, config=CONFIG)
    failed = kernel.refused(wire.SetRemote, session=1, type="offer", sdp="v=0\r\n")
    assert (failed.code, failed.sentence[-1]) == ("IncompatibleSDP", ".")
    assert kernel.refused(wire.CreateAnswer, session=1).code == "WebRTCError"
    assert kernel.refused(wire.CreateOffer, session=9).code == "UnknownId"
    assert kernel.refused(wire.SendText, socket=9, text="x").code == "UnknownId"
    assert kernel.refused(wire.OpenSession, session=1, config=CONFIG).code == "WebRTCError"


def test_closing_ends_what_is_being_done(kernel: Kernel) -> None:
    server = wire.IceServer(("stun:192.0.2.250:3478",))
    config = wire.SessionConfig(ice_servers=(server,), ice_gathering_timeout_s=5.0, loopback_candidates=True)
    kernel.ask(wire.OpenSession, session=1, config=config)
    offering = kernel.post(wire.CreateOffer, session=1)
    time.sleep(0.1)
    before = time.monotonic()
    kernel.ask(wire.CloseSession, session=1)
    assert time.monotonic() - before < 3.0  # gathering would have gone on for 5 s
    assert isinstance(kernel.answer(offering), wire.Failed)


def test_a_stall_of_the_plane_sends_no_burst(kernel: Kernel) -> None:
    heard = Kept()
    kernel.call(1, 2)
    kernel.ask(wire.SetSource, session=1, source=Tone(1000))
    kernel.ask(wire.SetSink, session=2, sink=heard)
    wait_until(lambda: len(heard.frames) > 20)
    loop = kernel.plane._loop
    assert loop is not None
    skipped_before = kernel.plane.skipped_ticks
    before = kernel.ask(wire.GetStats, session=1)["outbound-rtp"]["packetsSent"]
    at = time.monotonic()
    loop.call_soon_threadsafe(time.sleep, 1.0)
    wait_until(lambda: kernel.plane.skipped_ticks - skipped_before >= 45)
    stats = kernel.ask(wire.GetStats, session=1)["outbound-rtp"]["packetsSent"]
    elapsed = time.monotonic() - at
    skipped = kernel.plane.skipped_ticks - skipped_before
    assert stats - before <= (elapsed - 1.0) / 0.02 + 6
    assert stats - before + skipped == pytest.approx(elapsed / 0.02, abs=6)
    assert kernel.ask(wire.GetStats, session=2)["inbound-rtp"]["packetsLost"] == 0


def test_a_dead_plane_says_so_and_takes_nothing_more() -> None:
    side = Kernel()
    side.plane.start(side.take)
    side.call(1, 2)

    def die() -> None:
        raise SystemExit("killed by a test")

    loop = side.plane._loop
    assert loop is not None
    loop.call_soon_threadsafe(die)
    thread = side.plane._thread
    assert thread is not None
    thread.join(2)
    assert not thread.is_alive()
    assert not side.plane.alive
    assert isinstance(side.reports[-1], wire.PlaneDead)
    assert "killed by a test" in side.reports[-1].sentence
    with pytest.raises(PlaneDied):
        side.post(wire.GetStats, session=1)
    assert sys.getswitchinterval() > SWITCH_INTERVAL_S * 2


async def test_the_same_code_runs_on_the_kernels_loop() -> None:
    tasks = asyncio.all_tasks()
    plane = Plane()
    reports: list[wire.Report] = []
    plane.run_on(asyncio.get_running_loop(), reports.extend)
    ids = itertools.count(1)

    async def ask(command: type[wire.Command], **values: Any) -> Any:
        number = next(ids)
        plane.post(command(id=number, **values))

        def answers() -> list[wire.Ok]:
            return [report for report in reports if isinstance(report, wire.Ok) and report.id == number]

        return (await until(answers, timeout_s=5, describe=lambda: reports))[0].value

    for session in (1, 2):
        await ask(wire.OpenSession, session=session, config=CONFIG)
    offer = await ask(wire.CreateOffer, session=1)
    await ask(wire.SetRemote, session=2, type="offer", sdp=offer)
    answer = await ask(wire.CreateAnswer, session=2)
    await ask(wire.SetRemote, session=1, type="answer", sdp=answer)

    async def enough() -> bool:
        stats = await ask(wire.GetStats, session=2)
        return stats.get("inbound-rtp", {}).get("packetsReceived", 0) > 20

    await until(enough)
    stats = await ask(wire.GetStats, session=2)
    assert math.isfinite(stats["transport"]["timestamp"])
    await plane.aclose()
    await until(lambda: asyncio.all_tasks() == tasks)


async def test_reports_wait_bounded_for_a_busy_loop() -> None:
    """While a cell blocks the kernel's loop, levels are dropped and states are not."""
    plane = Plane()
    reports: list[wire.Report] = []
    plane.start(reports.extend, deliver_on=asyncio.get_running_loop())
    plane.post(wire.OpenSession(id=1, session=1, config=CONFIG))
    box = plane._outbox
    assert box is not None
    assert plane._loop is not None
    for number in range(1000):
        plane._loop.call_soon_threadsafe(box.put, wire.Level(1, float(number), 0.0))
        plane._loop.call_soon_threadsafe(box.put, wire.SessionState(1, "rtp", "resumed", float(number)))
    time.sleep(0.5)  # a blocking cell
    assert reports == []
    await until(lambda: len([r for r in reports if isinstance(r, wire.SessionState)]) == 1000)
    states = [r.at for r in reports if isinstance(r, wire.SessionState)]
    assert states == [float(n) for n in range(1000)]
    assert len([r for r in reports if isinstance(r, wire.Level)]) <= 200
    assert isinstance(reports[0], wire.Ok)
    await plane.aclose()
    assert not plane.alive


async def test_what_the_end_interrupts_is_told_on_the_kernels_loop() -> None:
    """Told on the plane's thread it would wake nobody, and who waits for an answer would wait for ever."""
    tellers: set[str] = set()
    answers: list[wire.Report] = []

    def take(batch: list[wire.Report]) -> None:
        tellers.add(threading.current_thread().name)
        answers.extend(batch)

    server = wire.IceServer(("stun:192.0.2.250:3478",))
    config = wire.SessionConfig(ice_servers=(server,), ice_gathering_timeout_s=5.0, loopback_candidates=True)
    for _ in range(5):
        answers.clear()
        plane = Plane()
        plane.start(take, deliver_on=asyncio.get_running_loop())
        plane.post(wire.OpenSession(id=1, session=1, config=config))
        plane.post(wire.CreateOffer(id=2, session=1))
        await asyncio.sleep(0.1)
        await plane.aclose()
        await until(lambda: [report.id for report in answers if isinstance(report, wire.Failed)] == [2], 5)
    assert tellers == {threading.current_thread().name}


def test_a_capture_is_read_by_tshark(kernel: Kernel, tmp_path: Path) -> None:
    kernel.call(1, 2)
    kernel.ask(wire.SetSource, session=1, source=Tone(1000))
    path = tmp_path / "call.pcapng"
    kernel.ask(wire.StartCapture, session=1, path=str(path))
    wait_until(lambda: kernel.ask(wire.GetStats, session=1)["outbound-rtp"]["packetsSent"] > 110)
    stats = kernel.ask(wire.GetStats, session=1)
    port = stats["local-candidate"]["port"]
    count = kernel.ask(wire.StopCapture, session=1)
    assert count > 150  # both directions
    assert kernel.ask(wire.StopCapture, session=1) == 0
    fields = ["rtp.ssrc", "rtp.seq", "rtcp.pt", "ip.dsfield.dscp", "udp.srcport", "_ws.malformed"]
    command = ["tshark", "-r", str(path), "-d", f"udp.port=={port},rtp", "-T", "fields", "-E", "separator=;"]
    command += [argument for field in fields for argument in ("-e", field)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split(";") for line in lines]
    assert len(rows) == count
    ours = [row for row in rows if row[4] == str(port)]
    rtp = [row for row in ours if row[1]]
    assert {int(row[0], 16) for row in rtp} == {stats["outbound-rtp"]["ssrc"]}
    numbers = [int(row[1]) for row in rtp]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {row[3] for row in ours} == {"46"}
    assert any(row[2].startswith(("200", "201")) for row in rows)
    assert not any(row[5] for row in rows)


def test_a_capture_decodes_the_media_before_and_after_an_ice_restart(kernel: Kernel, tmp_path: Path) -> None:
    def sip(first_line: str, body: str, sent: bool) -> SipFrame:
        fields = [
            "Via: SIP/2.0/WS a.invalid;branch=z9hG4bK1",
            "From: <sip:a@a.invalid>;tag=1",
            "To: <sip:b@b.invalid>",
            "Call-ID: c",
            "CSeq: 1 INVITE",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        return SipFrame(time.monotonic(), sent, "\r\n".join([first_line, *fields, "", body]))

    def tshark(*arguments: str) -> list[list[str]]:
        command = ["tshark", "-r", str(path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return [line.split("\t") for line in done.stdout.splitlines()]

    for number in (1, 2):
        kernel.ask(wire.OpenSession, session=number, config=CONFIG)
        kernel.ask(wire.SetSource, session=number, source=Tone(1000))
    path = tmp_path / "call.pcapng"
    kernel.ask(wire.StartCapture, session=1, path=str(path))
    for restart in (False, True):
        offer, answer = kernel.negotiate(1, 2, ice_restart=restart)
        kernel.ask(wire.CaptureSip, session=1, frame=sip("INVITE sip:b@b.invalid SIP/2.0", offer, True))
        kernel.ask(wire.CaptureSip, session=1, frame=sip("SIP/2.0 200 OK", answer, False))
        kernel.until(1, "dtls", "connected")
        before = kernel.received(1)
        wait_until(lambda before=before: kernel.received(1) > before + 60)  # type: ignore[misc]
    kernel.ask(wire.StopCapture, session=1)
    fields = ("rtp.ssrc", "rtp.setup-method", "udp.srcport", "udp.dstport")
    rows = tshark("-Y", "rtp", "-T", "fields", *(word for field in fields for word in ("-e", field)))
    assert {row[1] for row in rows} == {"SDP"}
    assert len({row[0] for row in rows}) == 2
    assert len({frozenset(row[2:4]) for row in rows}) == 2, "the pair before and the pair after the restart"
    assert tshark("-Y", "udp && !sip && !rtp && !rtcp") == []


def test_a_capture_that_cannot_be_written_is_said_so(kernel: Kernel, tmp_path: Path) -> None:
    kernel.ask(wire.OpenSession, session=1, config=CONFIG)
    failed = kernel.refused(wire.StartCapture, session=1, path=str(tmp_path / "no" / "x.pcapng"))
    assert failed.code == "FileError"


def test_a_peer_that_vanishes_is_an_rtp_timeout(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plivo_nb.plane.media_session.RTP_TIMEOUT_S", 0.6)
    kernel.call(1, 2)
    kernel.until(1, "rtp", "first-received")
    executor = kernel.plane._executor
    assert executor is not None
    gone = executor.sessions[2]
    tick = gone.tick
    gone.tick = lambda now: None  # type: ignore[method-assign]  # as a kernel that was killed
    assert "No sound" in kernel.until(1, "rtp", "timeout", within_s=3).detail
    gone.tick = tick  # type: ignore[method-assign]
    kernel.until(1, "rtp", "resumed", within_s=3)


def test_a_peer_that_never_sends_is_an_rtp_timeout(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plivo_nb.plane.media_session.RTP_TIMEOUT_S", 0.6)
    monkeypatch.setattr("plivo_nb.media.rtp.audio_stream.AudioStream.tick", lambda stream, now: [])
    kernel.call(1, 2)
    kernel.until(1, "rtp", "timeout", within_s=3)
    assert not [s for s in kernel.of(wire.SessionState, 1) if s.state == "first-received"]


def test_a_held_call_stays_while_the_other_side_consents(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.plane.media_session.RTP_TIMEOUT_S", 1.5)
    monkeypatch.setattr("plivo_nb.media.transport.ice._CONSENT_INTERVAL_S", 0.2)
    kernel.call(1, 2)
    executor = kernel.plane._executor
    assert executor is not None
    other = executor.sessions[2]
    hold = kernel.ask(wire.CreateOffer, session=2).replace("a=sendrecv", "a=sendonly")
    kernel.ask(wire.SetRemote, session=1, type="offer", sdp=hold)
    assert "a=recvonly" in kernel.ask(wire.CreateAnswer, session=1)
    other.tick = lambda now: None  # type: ignore[method-assign]  # neither RTP nor RTCP comes
    consent = executor.sessions[1].transport
    responses = consent.stats()["candidate-pair"]["responsesReceived"]
    wait_until(lambda: consent.stats()["candidate-pair"]["responsesReceived"] > responses + 15, 20)
    assert not [s for s in kernel.of(wire.SessionState, 1) if s.state == "timeout"]
    kernel.ask(wire.CloseSession, session=2)  # the consent ends too
    kernel.until(1, "rtp", "timeout", within_s=8)


def test_an_answered_call_whose_media_never_connects_is_an_rtp_timeout(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.plane.media_session.RTP_TIMEOUT_S", 0.6)
    for number in (1, 2):
        kernel.ask(wire.OpenSession, session=number, config=CONFIG)
    kernel.ask(wire.SetRemote, session=2, type="offer", sdp=kernel.ask(wire.CreateOffer, session=1))
    answer = kernel.ask(wire.CreateAnswer, session=2)
    kernel.ask(wire.CloseSession, session=2)
    kernel.ask(wire.SetRemote, session=1, type="pranswer", sdp=answer)
    assert not [s for s in kernel.of(wire.SessionState, 1) if s.state == "timeout"]
    kernel.ask(wire.SetRemote, session=1, type="answer", sdp=answer)
    kernel.until(1, "rtp", "timeout", within_s=3)
