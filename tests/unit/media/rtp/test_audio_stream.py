"""Two audio streams over a simulated network in simulated time."""

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_network import OPUS, PCMU, Collector, Given, Pair, aligned_correlation, speech_like

from plivo_nb.media import codecs
from plivo_nb.media.audio.sinks import Null, Tee
from plivo_nb.media.audio.sources import Loopback, Silence, Tone
from plivo_nb.media.codecs import Codec, make_encoder
from plivo_nb.media.playout.concealment import rms
from plivo_nb.media.rtp.audio_stream import AudioStream
from plivo_nb.media.rtp.rtcp import Goodbye, SenderReport, SourceDescription, parse
from plivo_nb.media.rtp.rtp import RtpPacket

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


def is_rtcp(packet: bytes) -> bool:
    return 192 <= packet[1] <= 223


def stream(codec: Codec = PCMU, events: dict[int, int] | None = None, seed: int = 1) -> AudioStream:
    made = AudioStream(random=random.Random(seed), utc_offset_s=1.7e9)
    made.configure(codec, [codec], events or {})
    return made


def rtp_of(packets: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse(packet) for packet in packets if not is_rtcp(packet)]


def ticks(one: AudioStream, count: int, start_s: float = 0.0) -> list[RtpPacket]:
    return [p for i in range(count) for p in rtp_of(one.tick(start_s + 0.02 * i))]


# ---------------------------------------------------------------- a clean network


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


@BOTH
def test_a_sink_gets_one_frame_a_tick_whatever_happens(codec: Codec) -> None:
    pair = Pair(codec)
    pair.ab.loss, pair.ab.jitter_s, pair.ab.duplicate = 0.2, 0.03, 0.1
    pair.a.source = Tone(300)
    pair.run(5.0)
    assert len(pair.heard_b.frames) == 250
    assert {len(frame) for frame in pair.heard_b.frames} == {codec.clock_rate // 50}


@BOTH
def test_a_quiet_network_is_played_as_it_was_sent(codec: Codec) -> None:
    """A little jitter, as a busy machine has: the buffer finds its delay and leaves the sound alone."""
    pair = Pair(codec)
    pair.ab.jitter_s = 0.004
    pair.a.source = Given(speech_like(20.0, codec.clock_rate))
    pair.run(20.0)
    counters = pair.b.counters()
    assert (counters.inserted_samples, counters.removed_samples, counters.concealed_samples) == (0, 0, 0)
    assert 0.02 <= counters.playout_delay_s <= 0.06


def test_flow_goes_on_with_nothing_to_send_and_while_muted() -> None:
    for muted in (False, True):
        one = stream(PCMU)
        one.source, one.muted = (Tone(500), True) if muted else (Silence(), False)
        packets = ticks(one, 50)
        assert len(packets) == 50
        assert {packet.payload for packet in packets} == {b"\xff" * 160}
        assert one.counters().source_bytes == 0
        assert one.counters().level_out_dbfs == -100


def test_what_the_source_gave_is_counted_apart_from_filler() -> None:
    one = stream(PCMU)
    one.source = Given(np.ones(160 * 30, np.int16))
    ticks(one, 50)
    counters = one.counters()
    assert counters.source_bytes == 30 * 160
    assert counters.bytes_sent == 50 * 160
    assert counters.header_bytes_sent == 50 * 12


def test_sequence_and_time_go_on_and_only_the_first_packet_is_marked() -> None:
    packets = ticks(stream(OPUS), 100)
    assert [p.marker for p in packets] == [True] + [False] * 99
    for before, after in itertools.pairwise(packets):
        assert (after.sequence_number - before.sequence_number) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 960


def test_a_skip_moves_time_and_sends_nothing() -> None:
    one = stream(PCMU)
    before = ticks(one, 10)[-1]
    one.skip(250)
    after = ticks(one, 1, start_s=5.2)
    assert len(after) == 1
    assert after[0].marker
    assert (after[0].sequence_number - before.sequence_number) & 0xFFFF == 1
    assert (after[0].timestamp - before.timestamp) & 0xFFFFFFFF == 251 * 160
    assert not ticks(one, 1, start_s=5.22)[0].marker


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("name", ["OPUS", "PCMU"])
def test_packets_of_every_length_both_ways(name: str, ptime_ms: int) -> None:
    rate = 48_000 if name == "OPUS" else 8000
    codec = Codec("OPUS" if name == "OPUS" else "PCMU", 100, rate, ptime_ms=ptime_ms)
    pair = Pair(codec)
    pcm = speech_like(4.0, rate)
    pair.a.source = Given(pcm)
    pair.run(5.0)
    assert pair.a.counters().packets_sent == pytest.approx(5000 / ptime_ms, abs=1)
    assert aligned_correlation(pcm, pair.heard_b.pcm()) > 0.9
    assert pair.b.counters().concealed_samples == 0


def test_nothing_happens_before_the_negotiation() -> None:
    one = AudioStream()
    assert one.tick(1.0) == []
    one.skip(5)
    one.receive_rtp(RtpPacket(0, 1, 2, 3, b"x" * 160).serialize(), 1.0)
    assert one.counters().packets_received == 0
    assert one.stats(1.0) == {}
    assert math.isnan(one.counters().rtt_s)


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


def test_a_source_that_gives_the_wrong_length_is_fitted() -> None:
    class Odd(Silence):
        def read(self, samples: int) -> np.ndarray:
            return np.ones(samples + random.Random(1).choice((-30, 50)), np.int16)

    one = stream(PCMU)
    one.source = Odd()
    assert {len(packet.payload) for packet in ticks(one, 5)} == {160}


def test_what_is_sent_can_be_heard_too() -> None:
    one = stream(PCMU)
    one.source = Tone(400)
    own, heard = Collector(), Collector()
    heard.sent = own
    one.sink = Tee(heard, Null())
    ticks(one, 10)
    assert own.rate == 8000
    assert rms(own.pcm()) == pytest.approx(0.1, rel=0.05)


# ---------------------------------------------------------------- a bad network


@BOTH
def test_one_lost_packet_is_one_concealed_frame_and_the_delay_returns(codec: Codec) -> None:
    pair = Pair(codec)
    pair.a.source = Given(speech_like(10.0, codec.clock_rate))
    pair.run(3.0)
    delay = pair.b.counters().playout_delay_s
    pair.ab.drop_next = 1
    pair.run(2.0)
    counters = pair.b.counters()
    assert counters.packets_lost == 1
    assert counters.concealed_samples == codec.clock_rate // 50
    assert counters.concealment_events == 1
    assert counters.packets_discarded == 0
    assert counters.playout_delay_s == pytest.approx(delay, abs=0.001)


@BOTH
@pytest.mark.parametrize("loss", [0.05, 0.10, 0.20])
def test_concealed_is_what_was_lost(codec: Codec, loss: float) -> None:
    pair = Pair(codec, seed=round(loss * 100))
    pair.ab.loss = loss
    pair.a.source = Given(speech_like(20.0, codec.clock_rate))
    pair.run(20.0)
    counters = pair.b.counters()
    lost = pair.ab.dropped / (pair.ab.dropped + pair.ab.forwarded)
    assert counters.concealed_samples / counters.total_samples == pytest.approx(lost, abs=0.01)
    assert counters.packets_lost == pytest.approx(pair.ab.dropped, abs=3)
    assert counters.packets_discarded == 0


@BOTH
def test_bursts_survive(codec: Codec) -> None:
    """20 % in bursts of five packets on average (Gilbert)."""
    pair = Pair(codec)
    generator = random.Random(4)
    state = {"bad": False}

    def decide() -> bool:
        state["bad"] = generator.random() < (0.8 if state["bad"] else 0.05)
        return state["bad"]

    pair.ab.decide = decide
    pcm = speech_like(30.0, codec.clock_rate)
    pair.a.source = Given(pcm)
    pair.run(30.0)
    counters = pair.b.counters()
    lost = pair.ab.dropped / (pair.ab.dropped + pair.ab.forwarded)
    assert counters.concealed_samples / counters.total_samples == pytest.approx(lost, abs=0.01)
    assert 0.02 < counters.playout_delay_s < 0.06
    assert counters.silent_concealed_samples > 0
    assert aligned_correlation(pcm, pair.heard_b.pcm()) > 0.7


def test_without_libopus_losses_are_concealed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "libopus", lambda: None)
    pair = Pair(OPUS)
    pair.ab.loss = 0.05
    pcm = speech_like(10.0, 48_000)
    pair.a.source = Given(pcm)
    pair.run(10.5)
    counters = pair.b.counters()
    lost = pair.ab.dropped / (pair.ab.dropped + pair.ab.forwarded)
    assert counters.concealed_samples / counters.total_samples == pytest.approx(lost, abs=0.01)
    assert counters.packets_recovered == 0
    assert aligned_correlation(pcm, pair.heard_b.pcm()) > 0.85


def test_redundancy_makes_lossy_speech_better() -> None:
    scores = []
    for fec in (True, False):
        pair = Pair(Codec("OPUS", 111, 48_000, fec=fec), seed=5)
        pair.ab.loss = 0.10
        pcm = speech_like(15.0, 48_000)
        pair.a.source = Given(pcm)
        pair.run(15.5)
        scores.append(aligned_correlation(pcm, pair.heard_b.pcm()))
        assert (pair.b.counters().packets_recovered > 20) is fec
    assert scores[0] > scores[1] + 0.01


@BOTH
def test_jitter_discards_little_and_the_delay_comes_back(codec: Codec) -> None:
    pair = Pair(codec)
    pair.ab.delay_s, pair.ab.jitter_s = 0.1, 0.04
    pair.a.source = Given(speech_like(30.0, codec.clock_rate))
    pair.run(20.0)
    counters = pair.b.counters()
    assert counters.packets_late / counters.packets_received < 0.01
    assert counters.concealed_samples / counters.total_samples < 0.01
    assert counters.jitter_in_s == pytest.approx(0.0267, rel=0.35)
    pair.ab.jitter_s = 0.0
    pair.run(10.0)
    counters = pair.b.counters()
    assert counters.playout_delay_s < 0.060
    assert counters.removed_samples > 0
    assert counters.packets_lost == 0


def test_jitter_that_sets_in_costs_little() -> None:
    pair = Pair(OPUS)
    pair.ab.delay_s = 0.1
    pair.a.source = Tone(300)
    pair.run(10.0)
    pair.ab.jitter_s = 0.04
    pair.run(10.0)
    counters = pair.b.counters()
    assert counters.packets_late < 10
    assert counters.target_delay_s == pytest.approx(0.1, abs=0.021)


@BOTH
def test_eight_black_seconds_are_followed_by_sound_at_once(codec: Codec) -> None:
    pair = Pair(codec)
    pair.a.source = Tone(300)
    pair.run(3.0)
    pair.ab.loss = 1.0
    pair.run(8.0)
    assert pair.b.take_levels()[0] > -30  # the time before
    pair.run(0.2)
    assert pair.b.take_levels()[0] == -100  # noise of our own does not count as sound
    delay = pair.b.counters().playout_delay_s
    pair.ab.loss = 0.0
    frames = len(pair.heard_b.frames)
    pair.run(1.0)
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[frames + 5 :])
    assert pair.b.counters().playout_delay_s == pytest.approx(delay, abs=0.001)
    assert pair.b.counters().packets_lost == pytest.approx(8.2 * 50, abs=2)


def test_a_far_end_that_stood_still_is_played_on() -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(300)
    pair.run(2.0)
    for _ in range(100):  # two seconds in which a does not tick
        pair.now += 0.02
        pair.b.tick(pair.now)
    pair.a.skip(100)
    pair.run(2.0)
    assert pair.b.counters().packets_lost == 0
    assert pair.b.counters().playout_delay_s < 0.06
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-90:])


@pytest.mark.parametrize("tick_first", [True, False])
def test_standing_still_ourselves_is_not_taken_for_the_networks_jitter(tick_first: bool) -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(300)
    pair.run(4.0)
    held = []
    for _ in range(150):  # three seconds in which b does nothing: its socket fills
        pair.now += 0.02
        for packet in pair.a.tick(pair.now):
            held.append(packet)
    pair.b.skip(150)
    if tick_first:
        pair.b.tick(pair.now)
    for packet in held:
        if not is_rtcp(packet):
            pair.b.receive_rtp(packet, pair.now)
    pair.run(1.0)
    counters = pair.b.counters()
    assert counters.target_delay_s == pytest.approx(0.02)
    assert counters.jitter_in_s < 0.001
    assert counters.playout_delay_s < 0.06
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-40:])


def test_duplicates_are_played_once_and_counted() -> None:
    pair = Pair(PCMU)
    pair.ab.duplicate = 1.0
    pair.a.source = Tone(300)
    pair.run(2.0)
    counters = pair.b.counters()
    assert counters.packets_duplicated > 90
    assert counters.concealed_samples == 0
    assert counters.packets_discarded == 0


def test_a_new_source_of_the_far_end_is_followed_and_counts_go_on() -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(300)
    pair.run(2.0)
    before = pair.b.counters()
    pair.a = stream(PCMU, seed=77)
    pair.a.source = Tone(600)
    pair.run(2.0)
    after = pair.b.counters()
    assert after.packets_received == pytest.approx(before.packets_received + 98, abs=3)
    assert after.packets_lost == pytest.approx(0, abs=1)
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-80:])
    assert pair.b.stats(pair.now)["inbound-rtp"]["ssrc"] == pair.a.ssrc


def test_stragglers_of_the_old_source_do_not_switch_back() -> None:
    one = stream(PCMU)
    for i in range(10):
        one.receive_rtp(RtpPacket(0, i, i * 160, 1, b"\x80" * 160).serialize(), i * 0.02)
    one.receive_rtp(RtpPacket(0, 500, 5000, 2, b"\x80" * 160).serialize(), 0.22)
    one.receive_rtp(RtpPacket(0, 10, 1600, 1, b"\x80" * 160).serialize(), 0.23)
    assert one.stats(0.3)["inbound-rtp"]["ssrc"] == 2


def test_the_other_codec_is_played_when_it_comes() -> None:
    pair = Pair(OPUS)
    pair.b.configure(OPUS, [OPUS, PCMU], {})
    pair.a.source = Tone(300)
    pair.run(1.0)
    pair.a.configure(PCMU, [OPUS], {})
    pair.run(1.0)
    assert pair.heard_b.rate == 8000
    assert {len(frame) for frame in pair.heard_b.frames[-40:]} == {160}
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-40:])
    assert pair.b.counters().codec_in == "PCMU"
    assert pair.b.counters().packets_received == pytest.approx(97, abs=3)


def test_opus_pauses_of_dtx_are_no_loss() -> None:
    codec = Codec("OPUS", 111, 48_000, dtx=True)
    pair = Pair(codec)
    pcm = np.concatenate([speech_like(3.0, 48_000), np.zeros(48_000 * 3, np.int16), speech_like(3.0, 48_000)])
    pair.a.source = Given(pcm)
    pair.run(9.0)
    counters = pair.b.counters()
    assert pair.a.counters().packets_sent < 400
    assert counters.packets_lost == 0
    assert counters.concealed_samples < 48_000 * 0.1
    assert rms(np.concatenate(pair.heard_b.frames[-100:])) > 0.02


# ---------------------------------------------------------------- DTMF


def test_digits_are_told_once_each_and_never_decoded() -> None:
    pair = Pair(PCMU)
    for one in (pair.a, pair.b):
        one.configure(PCMU, [PCMU], {101: 8000})
    digits: list[tuple[str, int]] = []
    pair.b.on_digit = lambda digit, ms: digits.append((digit, ms))
    pair.ab.duplicate = 0.2
    pair.a.source = Tone(300)
    pair.run(1.0)
    pair.a.send_dtmf("19*#")
    assert pair.a.dtmf_pending == 4
    pair.run(2.0)
    assert pair.a.dtmf_pending == 0
    assert digits == [("1", 100), ("9", 100), ("*", 100), ("#", 100)]
    counters = pair.b.counters()
    assert (counters.packets_lost + counters.packets_duplicated, counters.concealed_samples) == (0, 0)
    assert counters.packets_discarded == 0


def test_digits_survive_loss() -> None:
    pair = Pair(PCMU, seed=9)
    for one in (pair.a, pair.b):
        one.configure(PCMU, [PCMU], {101: 8000})
    digits: list[str] = []
    pair.b.on_digit = lambda digit, ms: digits.append(digit)
    pair.ab.loss = 0.15
    pair.run(0.5)
    pair.a.send_dtmf("0123456789")
    pair.run(3.0)
    assert "".join(digits) == "0123456789"


def test_the_event_clock_of_the_codec_is_chosen() -> None:
    one = stream(OPUS, {126: 8000, 110: 48_000})
    one.send_dtmf("1")
    packets = ticks(one, 8)
    assert {p.payload_type for p in packets[:7]} == {110}
    assert int.from_bytes(packets[0].payload[2:], "big") == 960
    assert packets[7].payload_type == 111
    assert packets[7].marker
    assert (packets[7].timestamp - packets[0].timestamp) & 0xFFFFFFFF == 7 * 960


def test_digits_between_long_packets_keep_the_time() -> None:
    codec = Codec("PCMU", 0, 8000, ptime_ms=40)
    one = stream(codec, {101: 8000})
    first = ticks(one, 3)[0]
    one.send_dtmf("1", gap_ms=200)
    packets = ticks(one, 40)
    events = [p for p in packets if p.payload_type == 101]
    assert (events[0].timestamp - first.timestamp) & 0xFFFFFFFF == 3 * 160
    audio = [p for p in packets if p.payload_type == 0]
    assert (audio[0].timestamp - first.timestamp) & 0xFFFFFFFF == (3 + 7) * 160
    assert audio[0].marker
    assert len(audio) == (40 - 7) // 2


def test_an_agreement_that_ends_gives_up_the_digits_on_their_way() -> None:
    one = stream(PCMU, {101: 8000})
    one.send_dtmf("123")
    ticks(one, 3)
    one.configure(PCMU, [PCMU], {})
    packets = ticks(one, 3)
    assert one.dtmf_pending == 0
    assert {p.payload_type for p in packets} == {0}


def test_without_an_agreement_digits_are_refused() -> None:
    one = stream(PCMU)
    assert not one.can_send_dtmf
    with pytest.raises(ValueError, match="SIP INFO"):
        one.send_dtmf("1")


# ---------------------------------------------------------------- RTCP and numbers


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
    report, names = parse(packets[-1])
    assert isinstance(report, SenderReport)
    assert report.ssrc == one.ssrc
    assert report.octet_count == report.packet_count * 160
    assert names == SourceDescription(((one.ssrc, one.cname),))


def test_a_bye_ends_nothing() -> None:
    pair = Pair(PCMU)
    pair.a.source = Tone(300)
    pair.run(1.0)
    goodbye = pair.a.bye(pair.now)
    assert Goodbye((pair.a.ssrc,)) in parse(goodbye)
    pair.b.receive_rtcp(goodbye, pair.now)
    pair.run(1.0)
    assert all(rms(frame) > 0.05 for frame in pair.heard_b.frames[-40:])


def test_the_statistics_have_w3c_names_and_units() -> None:
    pair = Pair(OPUS)
    pair.ab.loss = 0.05
    pair.a.source, pair.b.source = Tone(300), Tone(500)
    pair.run(10.0)
    report = pair.b.stats(pair.now)
    assert set(report) == {
        "codec", "codec-inbound", "media-source", "outbound-rtp", "inbound-rtp", "media-playout",
        "remote-inbound-rtp", "remote-outbound-rtp",
    }  # fmt: skip
    for key, values in report.items():
        assert values["id"] == key
        assert values["timestamp"] == pytest.approx((pair.now + 1.7e9) * 1000)
    inbound = report["inbound-rtp"]
    assert inbound["packetsReceived"] + inbound["packetsLost"] == pytest.approx(499, abs=2)
    assert inbound["headerBytesReceived"] == 12 * inbound["packetsReceived"]
    assert inbound["jitter"] < 0.001
    assert inbound["jitterBufferDelay"] / inbound["jitterBufferEmittedCount"] == pytest.approx(
        0.045, abs=0.011
    )
    assert inbound["concealedSamples"] == pytest.approx(960 * pair.ab.dropped, abs=3 * 960)
    assert inbound["totalSamplesReceived"] == pytest.approx(48_000 * 9.9, rel=0.01)
    assert inbound["totalSamplesDuration"] == pytest.approx(9.9, abs=0.1)
    power = inbound["totalAudioEnergy"] / inbound["totalSamplesDuration"]
    assert 10 * math.log10(power) == pytest.approx(-20, abs=1)
    assert inbound["lastPacketReceivedTimestamp"] <= inbound["timestamp"]
    assert report["media-source"]["audioLevel"] == pytest.approx(0.1, rel=0.05)
    assert report["outbound-rtp"]["packetsSent"] == 500
    remote = report["remote-inbound-rtp"]
    assert remote["roundTripTime"] == pytest.approx(0.06, abs=0.003)
    assert remote["totalRoundTripTime"] / remote["roundTripTimeMeasurements"] == pytest.approx(
        0.06, abs=0.003
    )
    assert remote["fractionLost"] == 0
    assert report["remote-outbound-rtp"]["packetsSent"] == pytest.approx(500, abs=80)
    assert report["codec"]["mimeType"] == "audio/opus"
    assert (report["codec"]["clockRate"], report["codec"]["channels"]) == (48_000, 2)


def test_levels_are_peaks_since_the_last_reading() -> None:
    one = stream(PCMU)
    one.source = Tone(500, level_dbfs=-20)
    ticks(one, 10)
    assert one.take_levels()[1] == pytest.approx(-17, abs=0.2)
    one.muted = True
    ticks(one, 10)
    assert one.take_levels()[1] == -100
    assert one.counters().level_out_dbfs == pytest.approx(-17, abs=0.2)


# ---------------------------------------------------------------- anything at all

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
@settings(max_examples=150, deadline=None)
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


def test_garbage_encoded_as_the_codec_is_heard_as_something() -> None:
    """Payloads that no encoder made go through the decoder or are concealed; the flow goes on."""
    generator = random.Random(3)
    one = stream(OPUS)
    sink = Collector()
    one.sink = sink
    encode: Callable[[np.ndarray], bytes] = make_encoder(OPUS).encode
    for n in range(100):
        payload = generator.randbytes(40) if n % 3 else encode(np.zeros(960, np.int16))
        one.receive_rtp(RtpPacket(111, n, n * 960, 1, payload).serialize(), n * 0.02)
        one.tick(n * 0.02 + 0.001)
    assert len(sink.frames) == 100
