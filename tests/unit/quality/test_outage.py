"""quality.outage: a dead line is told from a quiet one, in each direction, clause by clause.

Two streams with a network between them run on a simulated clock; the far end's reports are the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import rules_recomputed
from hypothesis import given
from hypothesis import strategies as st
from media_network import OPUS, PCMU, Given, Pair, is_rtcp

from plivo_nb.audio_types import FRAME_S
from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp import rtcp
from plivo_nb.media.rtp.rtp import RtpPacket
from plivo_nb.quality.counters import NAN, Counters
from plivo_nb.quality.outage import IncomingOutage, OutgoingOutage, is_current
from plivo_nb.quality.rule_engine import RuleEngine
from plivo_nb.quality.rules import SDK_2_2
from plivo_nb.quality.sampler import ClockAnchor, Sampler, SampleRow

LOST = lambda: True  # noqa: E731


class Call:
    """Side `b` of a pair, sampled each second."""

    def __init__(self, codec: Codec = OPUS, **options: float) -> None:
        self.pair = Pair(codec, **options)
        self.pair.a.source, self.pair.b.source = Tone(300), Tone(500)
        self.sampler = Sampler(self.pair.now, anchor=ClockAnchor(0, 0.0))
        self.rows: list[SampleRow] = []
        self.rules = RuleEngine(started_at_s=self.pair.now)
        self.published = RuleEngine(SDK_2_2, started_at_s=self.pair.now)
        self.published_kinds: set[tuple[str, str]] = set()
        self.events: list[tuple[int, str, str, float, bool]] = []

    def run(self, seconds: int) -> list[SampleRow]:
        """The rows of so many more seconds."""
        for _ in range(seconds):
            self.pair.run(1.0)
            b = self.pair.b
            row = self.sampler.sample(b.counters(), self.pair.now, direction=b.direction)
            self.rows.append(row)
            self.published_kinds |= {(e["type"], e["stream"]) for e in self.published.sample(row)}
            for event in self.rules.sample(row):
                key = (event["type"], event["stream"], event["value"], event["active"])
                self.events.append((len(self.rows), *key))
        return self.rows[-seconds:]

    def cut(self, *links: str) -> None:
        """Lose all RTP and RTCP of these links (``ab`` is what is received)."""
        for name in links:
            link = getattr(self.pair, name)
            link.send = lambda data, now: None

    def mend(self) -> None:
        """Send again what is sent."""
        for link in (self.pair.ab, self.pair.ba):
            vars(link).pop("send", None)

    def drop(self, link: str, rtp: bool = False, sender_reports: bool = False) -> None:
        """Lose the RTP, or the sender reports, of a link."""
        target = getattr(self.pair, link)
        forward = type(target).send

        def send(data: bytes, now: float) -> None:
            if not (sender_reports if is_rtcp(data) else rtp):
                forward(target, data, now)

        target.send = send

    def pause(self) -> None:
        """The far end goes silent as with Opus DTX: after a packet that announces it, nothing."""
        self.pair.a.source = Given(np.zeros(48_000 * 60, np.int16))
        self.pair.run(1.0)
        while not self.pair.b.counters().last_rtp_was_pause:
            self.pair.run(FRAME_S)
        self.stop()

    def stop(self) -> None:
        """The far end sends no RTP; its reports go on."""
        self.pair.a._sending.tick = lambda packets, *heard: None  # type: ignore[method-assign]

    def go_on(self) -> None:
        """The far end sends again."""
        vars(self.pair.a._sending).pop("tick")
        self.pair.a.source = Tone(300)

    def kinds(self, active: bool = True) -> set[tuple[str, str]]:
        return {(type_, stream) for _, type_, stream, _, is_active in self.events if is_active is active}


def mos_of(rows: Iterable[SampleRow]) -> list[float]:
    return [row.mos for row in rows]


# ---------------------------------------------------------------- outages


@pytest.mark.spec("6 dead direction")
@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])
@pytest.mark.parametrize("cut", [("ab", "ba"), ("ab",)], ids=["both ways", "received only"])
def test_a_line_that_brings_nothing_is_dead_from_the_first_whole_second(codec: Codec, cut: tuple) -> None:
    call = Call(codec)
    assert min(mos_of(call.run(6)[2:])) > 4.2
    call.cut(*cut)
    rows = call.run(13)
    assert [row.loss_in for row in rows[1:]] == [1.0] * 12
    assert [row.mos_in for row in rows[1:]] == mos_of(rows[1:]) == [1.0] * 12
    assert not any(row.not_sent_in for row in rows)
    assert all(math.isnan(row.loss_out) for row in rows[3:]), "no report comes any more"
    assert all(math.isnan(row.rtt_ms) for row in rows[3:])
    assert {("high_packetloss", "remote"), ("low_mos", "None")} <= call.kinds()
    call.mend()
    after = call.run(8)
    assert min(mos_of(after[2:])) > 4.2
    assert {("high_packetloss", "remote"), ("low_mos", "None")} <= call.kinds(active=False)
    assert {("high_packetloss", "remote"), ("low_mos", "None")} <= call.published_kinds
    whole = call.pair.b.counters()
    weighted = sum(row.loss_in * row.packets_expected_in for row in call.rows if row.packets_expected_in)
    assert weighted / sum(row.packets_expected_in for row in call.rows) == pytest.approx(
        whole.packets_lost / whole.packets_expected, abs=0.02
    )


@pytest.mark.spec("6 dead direction")
@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])
def test_a_sent_direction_is_dead_when_the_far_ends_highest_number_stands_still(codec: Codec) -> None:
    call = Call(codec)
    assert [row.loss_out for row in call.run(6)[2:]] == [0.0] * 4
    call.cut("ba")
    rows = call.run(13)
    assert [row.loss_out for row in rows[3:]] == [1.0] * 10
    assert [row.mos_out for row in rows[3:]] == mos_of(rows[3:]) == [1.0] * 10
    assert [row.loss_in for row in rows] == [0.0] * 13
    assert {("high_packetloss", "local"), ("low_mos", "None")} == call.kinds()
    call.mend()
    assert [row.loss_out for row in call.run(9)[4:]] == [0.0] * 5
    assert {("high_packetloss", "local"), ("low_mos", "None")} == call.kinds(active=False)


def leave_blocks_out(call: Call) -> None:
    """The far end's reports have no block about what is sent."""
    forward = type(call.pair.ab).send

    def without_blocks(data: bytes, now: float) -> None:
        if is_rtcp(data):
            packets, _ = rtcp.parse(data)
            data = rtcp.build([
                replace(packet, reports=()) if isinstance(packet, rtcp.SenderReport) else packet
                for packet in packets
            ])  # fmt: skip
        forward(call.pair.ab, data, now)

    call.pair.ab.send = without_blocks  # type: ignore[method-assign]


def test_a_sent_direction_is_dead_when_the_far_ends_reports_never_mention_it() -> None:
    call = Call()
    leave_blocks_out(call)
    call.cut("ba")
    rows = call.run(20)
    assert math.isnan(rows[2].loss_out)
    assert [row.loss_out for row in rows[12:]] == mos_of(rows[12:]) == [1.0] * 8


def test_a_sent_direction_is_dead_when_the_far_ends_reports_no_longer_mention_it() -> None:
    """RFC 3550 section 6.4: a report has blocks for sources heard since the last one only."""
    call = Call()
    call.run(6)
    call.cut("ba")
    leave_blocks_out(call)
    rows = call.run(8)
    assert [row.loss_out for row in rows[4:]] == mos_of(rows[4:]) == [1.0] * 4
    assert all(math.isnan(row.jitter_out_ms) for row in rows[4:])


# ---------------------------------------------------------------- silence that is none


@pytest.mark.spec("6 dead direction")
def test_an_opus_pause_is_not_sent_and_not_lost() -> None:
    call = Call(Codec("OPUS", 111, 48_000, dtx=True))
    call.run(3)
    call.pause()
    rows = call.run(10)
    assert [row.not_sent_in for row in rows[1:]] == [True] * 9
    assert all(math.isnan(row.loss_in) and math.isnan(row.mos_in) for row in rows[1:])
    assert not {("high_packetloss", "remote"), ("low_mos", "None")} & call.kinds()
    call.go_on()
    after = call.run(4)
    assert [row.not_sent_in for row in after[1:]] == [False] * 3
    assert [row.loss_in for row in after[1:]] == [0.0] * 3


def test_a_line_that_dies_in_a_pause_is_dead_after_two_and_a_half_report_intervals() -> None:
    call = Call(Codec("OPUS", 111, 48_000, dtx=True))
    call.run(4)
    call.pause()
    assert call.run(6)[-1].not_sent_in
    call.cut("ab")
    rows = call.run(6)
    assert rows[0].not_sent_in, "the last sender report is young yet"
    assert [row.loss_in for row in rows[4:]] == mos_of(rows[4:]) == [1.0] * 2


def test_packets_that_the_far_end_says_it_sent_after_a_pause_are_lost() -> None:
    call = Call(Codec("OPUS", 111, 48_000, dtx=True))
    call.run(4)
    call.pause()
    assert call.run(6)[-1].not_sent_in
    call.drop("ab", rtp=True)
    call.go_on()
    rows = call.run(8)
    assert [row.loss_in for row in rows[4:]] == [1.0] * 4


def test_silence_after_comfort_noise_is_not_sent() -> None:
    call = Call(PCMU)
    call.run(4)
    a = call.pair.a
    noise = RtpPacket(13, a._rtp.sequence_number, a._rtp.timestamp, a.ssrc, b"\x40").serialize()
    call.stop()
    call.pair.run(0.1)
    call.pair.b.receive_rtp(noise, call.pair.now)
    assert [row.not_sent_in for row in call.run(6)] == [False, *[True] * 5]
    call.cut("ab")
    assert [row.loss_in for row in call.run(6)[4:]] == [1.0] * 2


def test_a_packet_count_that_stands_still_is_a_pause_without_any_announcement() -> None:
    call = Call(PCMU)
    call.run(5)
    call.stop()
    rows = call.run(9)
    assert [row.not_sent_in for row in rows[4:]] == [True] * 5
    assert all(math.isnan(row.loss_in) for row in rows[4:])
    assert ("high_packetloss", "remote") not in call.kinds(), "it is known after two reports"


def test_nothing_is_due_on_hold_and_for_two_seconds_after_it() -> None:
    call = Call()
    call.run(4)
    call.pair.a.direction, call.pair.b.direction = "inactive", "inactive"
    rows = call.run(6)
    assert all(math.isnan(row.loss_in) and not row.not_sent_in for row in rows[1:])
    assert {row.direction for row in rows} == {"inactive"}
    call.pair.b.direction = "sendrecv"  # the far end takes its time
    rows = call.run(5)
    assert [math.isnan(row.loss_in) for row in rows] == [True, True, True, False, False]
    assert [row.loss_in for row in rows[3:]] == [1.0, 1.0]


# ---------------------------------------------------------------- the pace of the far end's reports


@pytest.mark.spec("6 far-end reports")
def test_a_far_end_that_reports_each_five_seconds_counts_by_its_reports() -> None:
    """As browsers and media servers do."""
    call = Call(PCMU)
    call.pair.a.configure(PCMU, [PCMU], {}, rtcp_mean_s=5.0)
    call.run(30)
    call.pair.ba.loss = 0.4
    call.run(4)
    call.pair.ba.loss = 0.0
    call.run(25)
    over = [row for row in call.rows if row.loss_out > 0.1]
    assert len(over) >= 3, "a bad report is held for several samples"
    assert ("high_packetloss", "local") not in call.kinds(), "and counts once"
    ages = [row.report_age_s for row in call.rows if not math.isnan(row.loss_out)]
    assert max(ages) > 3
    call.pair.ba.loss = 0.4
    call.run(30)
    assert ("high_packetloss", "local") in call.kinds(), "three reports of five"
    call.cut("ab")
    rows = call.run(16)
    assert all(row.report_age_s > 5 for row in rows if math.isnan(row.loss_out))
    assert math.isnan(rows[-1].loss_out), "two and a half intervals of about 5 s"
    assert ("high_packetloss", "local") in call.kinds(active=False), "it went missing"


@pytest.mark.parametrize("seed", [1, 2])
def test_mediametrics_of_a_bad_call_are_those_of_a_recomputation_from_its_samples(seed: int) -> None:
    call, random = Call(PCMU, seed=seed), Random(seed)
    for _ in range(14):
        call.mend()
        call.pair.ab.loss, call.pair.ba.loss = random.choice([0.0, 0.3]), random.choice([0.0, 0.3])
        call.pair.ab.jitter_s = call.pair.ba.jitter_s = random.choice([0.0, 0.06])
        call.pair.ab.delay_s = random.choice([0.03, 0.5])
        call.cut(*random.choice([(), (), ("ab",), ("ba",), ("ab", "ba")]))
        call.run(random.randint(2, 8))
    expected = rules_recomputed.v2_1([row.values() for row in call.rows])
    found = sorted((n - 1, type_, stream, active, value) for n, type_, stream, value, active in call.events)
    found = [event for event in found if event[1] != "no_microphone_access"]
    assert found == [(*event[:4], pytest.approx(event[4], abs=0.0006)) for event in expected]
    assert len({event[1:3] for event in found}) >= 5, "it was a bad call"


# ---------------------------------------------------------------- readings, one by one


def reading(**values: float | bool) -> Counters:
    return Counters(**values)  # type: ignore[arg-type]


def test_packets_are_due_from_two_seconds_after_the_transport_is_up() -> None:
    watch = IncomingOutage(100.0)
    seen = [watch.reception(reading(), 100.0 + second, True) for second in range(1, 6)]
    assert seen == ["not due", "not due", "lost", "lost", "lost"]


def test_packets_are_due_from_the_first_one() -> None:
    watch = IncomingOutage(100.0)
    first = reading(packets_received=1, last_rtp_at_s=100.1)
    assert watch.reception(first, 100.5, True) == "received"
    assert watch.reception(first, 101.5, True) == "lost"


def test_without_a_start_packets_are_due_from_the_first_one_only() -> None:
    watch = IncomingOutage(NAN)
    assert watch.reception(reading(), 500.0, True) == "not due"
    first = reading(packets_received=1, last_rtp_at_s=500.5)
    assert watch.reception(first, 501.0, True) == "received"
    assert watch.reception(first, 502.0, True) == "lost"


def test_a_silence_shorter_than_some_packets_says_nothing() -> None:
    watch = IncomingOutage(100.0)
    first = reading(packets_received=1, last_rtp_at_s=100.1)
    watch.reception(first, 100.12, True)
    assert watch.reception(first, 100.2, True) == "not due"
    assert watch.reception(first, 100.31, True) == "lost"


def test_a_far_end_without_sender_reports_may_pause_for_two_and_a_half_times_five_seconds() -> None:
    watch = IncomingOutage(100.0)
    paused = reading(packets_received=60, last_rtp_at_s=110.0, last_rtp_was_pause=True)
    watch.reception(paused, 110.0, True)
    seen = [watch.reception(paused, 110.0 + second, True) for second in (1, 12, 12.5, 13)]
    assert seen == ["not sent", "not sent", "not sent", "lost"]


@pytest.mark.parametrize(("interval_s", "age_s", "valid"), [(1, 2.5, True), (1, 2.6, False), (5, 12.5, True)])
def test_a_report_is_current_for_two_and_a_half_intervals(interval_s, age_s, valid: bool) -> None:
    assert is_current(100.0, interval_s, 100.0 + age_s) is valid
    assert not is_current(NAN, interval_s, 100.0)


def test_nothing_sent_is_nothing_lost() -> None:
    watch = OutgoingOutage()
    said = {"remote_packets_lost": 0.0, "remote_packets_expected": 50.0, "remote_report_interval_s": 1.0}
    losses = []
    for second in range(1, 5):
        counters = reading(
            **said, remote_report_at_s=100.0 + second, remote_report_packets_sent=50.0, packets_sent=50.0
        )
        losses.append(watch.report(counters, 100.5 + second).loss)
    assert losses[0] == 0.0
    assert all(math.isnan(loss) for loss in losses[1:]), "muted by DTX, or held"


# ---------------------------------------------------------------- sums over a call


@given(
    loss=st.sampled_from([0.0, 0.0, 0.03, 0.2]),
    jitter_s=st.sampled_from([0.0, 0.04, 0.1]),
    duplicate=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_loss_weighted_by_expectation_is_the_calls_loss_also_with_reordering(
    loss: float, jitter_s: float, duplicate: float, seed: int
) -> None:
    call = Call(PCMU, seed=seed)
    link = call.pair.ab
    link.loss, link.delay_s, link.jitter_s, link.duplicate = loss, 0.15, jitter_s, duplicate
    call.run(4)
    call.pair.run(20 * FRAME_S)
    counters = call.pair.b.counters()
    call.rows.append(call.sampler.sample(counters, call.pair.now, last=True))
    assert all(0 <= row.loss_in <= 1 for row in call.rows)
    if not loss:
        assert {row.loss_in for row in call.rows[:-1]} == {0.0}
    weighted = sum(row.loss_in * row.packets_expected_in for row in call.rows)
    arrived = counters.packets_received - counters.packets_duplicated
    assert sum(row.packets_expected_in for row in call.rows) == counters.packets_expected
    assert weighted == pytest.approx(counters.packets_expected - arrived)
