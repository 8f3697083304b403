"""Two audio streams over a simulated network in simulated time."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_network import (
    OPUS,
    PCMU,
    Collector,
    Given,
    Pair,
    aligned_correlation,
    is_rtcp,
    rtp_of,
    speech_like,
    stream,
)

from plivo_nb.media.audio.sources import Loopback, Tone
from plivo_nb.media.codecs import Codec
from plivo_nb.media.playout.concealment import rms
from plivo_nb.media.rtp.audio_stream import RTCP_MEAN_WITHOUT_FEEDBACK_S, AudioStream
from plivo_nb.media.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    build,
    parse,
    unix_time,
)
from plivo_nb.media.rtp.rtp import RtpPacket

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


@BOTH
def test_speech_comes_over_and_back(codec: Codec) -> None:
    """Through the codec twice: the far end echoes what it hears."""
    pair = Pair(codec)
    pcm = speech_like(8.0, codec.clock_rate)
    pair.a.source = Given(pcm)
    echo = Loopback()
    pair.b.source, pair.b.sink = echo, echo
    pair.run(9.0)
    assert aligned_correlation(pcm, pair.heard_a.pcm()) > 0.9
    counters = pair.a.counters()
    assert (counters.packets_lost, counters.concealed_samples, counters.packets_discarded) == (0, 0, 0)
    assert (counters.inserted_samples, counters.removed_samples) == (0, 0)


def test_nothing_happens_before_the_negotiation() -> None:
    one = AudioStream()
    assert one.tick(1.0) == []
    one.skip(5)
    one.receive_rtp(RtpPacket(0, 1, 2, 3, b"x" * 160).serialize(), 1.0)
    assert one.counters().packets_received == 0
    assert one.stats(1.0) == {}
    assert math.isnan(one.counters().rtt_s)


def test_late_ticks_are_counted() -> None:
    pair = Pair(PCMU)
    pair.run(0.5)
    pair.a.skip(0, late=1)
    pair.a.skip(3, late=4)
    assert (pair.a.counters().late_ticks, pair.b.counters().late_ticks) == (5, 0)


@pytest.mark.parametrize(("direction", "sends", "hears"), [
    ("sendrecv", True, True), ("sendonly", True, False),
    ("recvonly", False, True), ("inactive", False, False),
])  # fmt: skip
def test_direction_is_obeyed(direction: str, sends: bool, hears: bool) -> None:
    pair = Pair(PCMU)
    pair.a.source, pair.b.source = Tone(400), Tone(700)
    pair.run(1.0)
    pair.b.configure(PCMU, [PCMU], {}, direction)  # type: ignore[arg-type]  # one of its literals
    sent, heard = pair.b.counters().packets_sent, len(pair.heard_b.frames)
    pair.run(1.0)
    assert (pair.b.counters().packets_sent > sent) is sends
    assert (rms(np.concatenate(pair.heard_b.frames[heard + 5 :])) > 0.01) is hears
    pair.b.configure(PCMU, [PCMU], {}, "sendrecv")
    first = rtp_of(pair.b.tick(pair.now + 0.02))[0]
    assert first.marker is not sends


def test_sources_and_sinks_are_swapped_without_a_gap() -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(400)
    pair.run(1.0)
    second = Collector()
    pair.a.source, pair.b.sink = Tone(800), second
    pair.run(1.0)
    assert second.rate == 8000
    assert len(second.frames) == 50
    assert all(rms(frame) > 0.05 for frame in second.frames)
    spectrum = np.abs(np.fft.rfft(second.pcm()[-4000:].astype(float)))
    assert np.argmax(spectrum) * 2 == 800


def test_round_trip_and_remote_numbers() -> None:
    pair = Pair(PCMU)
    pair.ab.delay_s, pair.ba.delay_s = 0.120, 0.080
    pair.ab.loss = 0.1
    pair.a.source = Tone(300)
    pair.run(20.0)
    counters = pair.a.counters()
    assert counters.rtt_s == pytest.approx(0.2, abs=0.003)
    assert counters.rtt_at_s == pytest.approx(pair.now, abs=1.7)
    dropped = pair.ab.dropped / (pair.ab.dropped + pair.ab.forwarded)
    assert counters.remote_packets_lost / counters.remote_packets_expected == pytest.approx(dropped, abs=0.02)
    assert 0 <= counters.remote_fraction_lost <= 1


def test_reports_come_about_each_second_at_random() -> None:
    one = stream(PCMU)
    at = [i * 0.02 for i in range(20_000) if any(is_rtcp(p) for p in one.tick(i * 0.02))]
    gaps = np.diff(at)
    assert gaps.mean() == pytest.approx(1.01, abs=0.05)
    assert gaps.min() >= 0.5
    assert gaps.max() <= 1.53
    assert gaps.std() > 0.2


def test_a_compound_report_has_cname_and_counts() -> None:
    one = stream(PCMU)
    packets = [p for i in range(100) for p in one.tick(i * 0.02) if is_rtcp(p)]
    (report, names), _ = parse(packets[-1])
    assert isinstance(report, SenderReport)
    assert report.ssrc == one.ssrc
    assert report.octet_count == report.packet_count * 160
    assert names == SourceDescription(((one.ssrc, one.cname),))


def test_a_bye_ends_nothing() -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(300)
    pair.run(1.0)
    goodbye = pair.a.bye(pair.now)
    assert Goodbye((pair.a.ssrc,)) in parse(goodbye)[0]
    pair.b.receive_rtcp(goodbye, pair.now)
    pair.run(1.0)
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-40:])


garbage = st.lists(
    st.one_of(
        st.tuples(st.just("rtp"), st.binary(max_size=200)),
        st.tuples(st.just("rtcp"), st.binary(max_size=120)),
        st.tuples(
            st.just("packet"),
            st.builds(
                lambda kind, number, time, ssrc, payload: RtpPacket(
                    kind, number, time, ssrc, payload
                ).serialize(),
                st.sampled_from([0, 101, 111, 127]),
                st.integers(0, 0xFFFF) | st.integers(0, 30),
                st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda n: n * 160),
                st.sampled_from([1, 1, 1, 2]),
                st.binary(max_size=170),
            ),
        ),
        st.tuples(st.just("tick"), st.just(b"")),
        st.tuples(st.just("skip"), st.just(b"")),
    ),
    max_size=60,
)


@given(garbage, st.sampled_from([OPUS, PCMU]))
@settings(max_examples=100, deadline=None)
def test_nothing_that_arrives_raises_and_each_tick_is_a_frame(
    steps: list[tuple[str, bytes]], codec: Codec
) -> None:
    one = stream(codec, {101: 8000})
    one.configure(codec, [OPUS, PCMU], {101: 8000})
    sink = Collector()
    one.sink = sink
    now, done = 100.0, 0
    for kind, data in steps:
        now += 0.003
        if kind in ("rtp", "packet"):
            one.receive_rtp(data, now)
        elif kind == "rtcp":
            one.receive_rtcp(data, now)
        elif kind == "skip":
            one.skip(3)
        else:
            one.tick(now)
            done += 1
    assert len(sink.frames) == done
    assert {len(frame) for frame in sink.frames} <= {160, 960}
    one.counters()
    one.stats(now)


@given(
    st.integers(0, 2**31),
    st.floats(0, 0.6),
    st.floats(0, 0.12),
    st.floats(0, 0.3),
    st.sampled_from([OPUS, PCMU]),
)
@settings(max_examples=25, deadline=None)
def test_any_network_gives_a_frame_a_tick_and_sane_counts(
    seed: int, loss: float, jitter_s: float, duplicate: float, codec: Codec
) -> None:
    pair = Pair(codec, seed=seed)
    pair.ab.loss, pair.ab.jitter_s, pair.ab.duplicate = loss, jitter_s, duplicate
    pair.a.source = Tone(300)
    pair.run(3.0)
    assert len(pair.heard_b.frames) == 150
    counters = pair.b.counters()
    assert counters.silent_concealed_samples <= counters.concealed_samples <= counters.total_samples
    assert counters.packets_late <= counters.packets_discarded <= counters.packets_received
    assert counters.packets_received <= counters.packets_expected + counters.packets_duplicated
    assert counters.packets_recovered <= counters.fec_packets_received


def test_without_feedback_reports_come_about_each_five_seconds() -> None:
    one = AudioStream(random=random.Random(1), utc_offset_s=1.7e9)
    one.configure(PCMU, [PCMU], {}, "sendrecv", RTCP_MEAN_WITHOUT_FEEDBACK_S)
    at = [i * 0.02 for i in range(50_000) if any(is_rtcp(p) for p in one.tick(i * 0.02))]
    gaps = np.diff(at)
    assert gaps.mean() == pytest.approx(5.0, abs=0.3)
    assert gaps.min() >= 2.5


def test_reports_carry_the_time_at_which_they_leave() -> None:
    clock = {"now": 0.0}
    one = AudioStream(random=random.Random(1), utc_offset_s=1.7e9, clock=lambda: clock["now"])
    one.configure(PCMU, [PCMU], {})
    reports = []
    for i in range(100):
        clock["now"] = i * 0.02 + 0.007  # the tick's work before the report took 7 ms
        reports += [(clock["now"], p) for p in one.tick(i * 0.02) if is_rtcp(p)]
    at, packet = reports[-1]
    (report, _), _ = parse(packet)
    assert isinstance(report, SenderReport)
    assert unix_time(report.ntp_time) == pytest.approx(1.7e9 + at, abs=1e-4)


@pytest.mark.parametrize("first", [0, 65_000, 65_535])
@pytest.mark.parametrize("cycles_counted", [True, False])
def test_reports_of_receivers_that_do_not_count_cycles_are_understood(
    first: int, cycles_counted: bool
) -> None:
    one = stream(PCMU)
    rtp = one._rtp
    rtp.sequence_number = rtp.first_sequence_number = first
    seen = []
    for i in range(70_000):
        one.tick(i * 0.02)
        if i % 1000 == 500:
            highest = first + rtp.packets - 1 - 3  # three packets are on their way
            block = ReportBlock(one.ssrc, 0.0, 0, highest if cycles_counted else highest & 0xFFFF, 0)
            one.receive_rtcp(build([ReceiverReport(7, (block,))]), i * 0.02)
            seen.append(rtp.packets - one.counters().remote_packets_expected)
    assert set(seen) == {3}


def test_a_report_from_before_the_first_packet_counts_nothing() -> None:
    one = stream(PCMU)
    one.receive_rtcp(build([ReceiverReport(7, (ReportBlock(one.ssrc, 0.0, 0, 0, 0),))]), 0.0)
    assert one.counters().remote_packets_expected == 0


@given(
    st.integers(0, 2**31),
    st.floats(0, 0.4),
    st.floats(0, 0.08),
    st.floats(0, 0.2),
    st.sampled_from([OPUS, PCMU]),
)
@settings(max_examples=25, deadline=None)
def test_expected_is_what_came_and_what_was_lost(
    seed: int, loss: float, jitter_s: float, duplicate: float, codec: Codec
) -> None:
    pair = Pair(codec, seed=seed)
    pair.ab.loss, pair.ab.jitter_s, pair.ab.duplicate = loss, jitter_s, duplicate
    pair.a.source = Tone(300)
    pair.run(3.0)
    pair.ab.decide, pair.ab.jitter_s, pair.ab.duplicate = (lambda: False), 0.0, 0.0
    pair.run(1.0)  # all that was on its way has come
    counters = pair.b.counters()
    unique = counters.packets_received - counters.packets_duplicated
    dropped_before_the_first = pair.ab.dropped + pair.ab.forwarded - counters.packets_expected
    assert counters.packets_expected == pytest.approx(
        unique + pair.ab.dropped - dropped_before_the_first, abs=3
    )
    assert 0 <= counters.packets_missing <= counters.packets_unsettled <= 32
    assert counters.packets_missing == 0


def test_facts_of_the_far_ends_reports_are_kept() -> None:
    pair = Pair(OPUS)
    pair.a.source, pair.b.source = Tone(300), Tone(500)
    pair.run(2.0)
    assert pair.a.counters().remote_report_interval_s == 5.0  # until there are three gaps
    pair.run(8.0)
    counters = pair.a.counters()
    assert counters.remote_report_interval_s == pytest.approx(1.0, abs=0.35)
    assert counters.sender_report_interval_s == pytest.approx(1.0, abs=0.35)
    assert counters.sender_report_packets == pytest.approx(500, abs=80)
    assert pair.now - 1.6 <= counters.rtcp_at_s <= pair.now
    assert counters.rtcp_at_s == max(counters.sender_report_at_s, counters.remote_report_at_s)
    assert counters.packets_sent - 80 <= counters.remote_report_packets_sent <= counters.packets_sent
    assert pair.now - 0.04 <= counters.last_rtp_at_s <= pair.now


def echoing(codec: Codec, **network: float) -> tuple[Pair, Loopback]:
    """Two streams, of which the second sends back what it hears."""
    pair, loopback = Pair(codec), Loopback()
    pair.b.sink = pair.b.source = loopback
    pair.ab.loss = network.get("loss", 0.0)
    pair.ab.jitter_s = network.get("jitter_s", 0.0)
    pair.a.source = Given(speech_like(12.0, codec.clock_rate))
    return pair, loopback


@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=lambda codec: codec.name)
def test_an_echo_sends_the_packets_on_that_it_received(codec: Codec) -> None:
    pair, _ = echoing(codec)
    sent: list[bytes] = []
    returned: list[bytes] = []
    send_ab, send_ba = pair.ab.send, pair.ba.send
    pair.ab.send = lambda data, now: (sent.append(data), send_ab(data, now))[1]  # type: ignore[method-assign]
    pair.ba.send = lambda data, now: (returned.append(data), send_ba(data, now))[1]  # type: ignore[method-assign]
    pair.run(3.0)
    there = [packet.payload for packet in rtp_of(sent)]
    back = rtp_of(returned)
    passed = sum(packet.payload in there for packet in back if len(packet.payload) > 2)
    assert passed > 100
    assert {later.sequence_number - packet.sequence_number for packet, later in pairwise(back)} == {1}
    assert {later.timestamp - packet.timestamp for packet, later in pairwise(back)} == {
        codec.clock_rate // 50
    }
    assert pair.b.counters().source_bytes > 0


def test_an_echo_makes_up_what_it_did_not_get_and_is_understood() -> None:
    direct, clean, lossy = Pair(OPUS), echoing(OPUS)[0], echoing(OPUS, loss=0.1, jitter_s=0.02)[0]
    direct.a.source = Given(speech_like(12.0, OPUS.clock_rate))
    for pair in (direct, clean, lossy):
        pair.run(10.0)
    once = direct.heard_b.pcm()[: 9 * OPUS.clock_rate]
    assert aligned_correlation(once, clean.heard_a.pcm(), 6) > 0.98  # coded once, not twice
    assert aligned_correlation(once, lossy.heard_a.pcm(), 6) > 0.7
    assert lossy.a.counters().packets_lost == 0  # what was lost on the way there is no loss on the way back


def test_an_echo_of_a_call_that_changes_its_codec_encodes_again() -> None:
    pair, _ = echoing(OPUS)
    pair.b.configure(PCMU, [OPUS, PCMU], {})
    pair.a.configure(OPUS, [OPUS, PCMU], {})
    pair.run(3.0)
    assert pair.a.counters().codec_in == "PCMU"
    assert aligned_correlation(speech_like(12.0, 8_000)[:16_000], pair.heard_a.pcm()) > 0.5
