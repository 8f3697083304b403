"""The sending half of a stream: sources, markers, RTP time and digits as packets."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from media_network import (
    OPUS,
    PCMU,
    Collector,
    Given,
    Pair,
    aligned_correlation,
    is_rtcp,
    speech_like,
    stream,
    ticks,
)

from plivo_nb.media.audio.sinks import Null, Tee
from plivo_nb.media.audio.sources import Silence, Tone
from plivo_nb.media.codecs import Codec, opus_has_fec
from plivo_nb.media.playout.concealment import rms

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


def test_flow_goes_on_with_nothing_to_send_and_while_muted() -> None:
    for muted in (False, True):
        one = stream(PCMU)
        one.source, one.muted = (Tone(500), True) if muted else (Silence(), False)
        packets = ticks(one, 50)
        assert len(packets) == 50
        assert {packet.payload for packet in packets} == {b"\xff" * 160}
        counters = one.counters()
        assert (counters.source_bytes, counters.level_out_dbfs) == (0, -100)


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


def test_a_limited_encoder_is_limited_in_another_codec_too() -> None:
    def first_frames(limit: int, complexity: int, limited_before: bool) -> list[bytes]:
        one = stream(PCMU)
        one.source = Given(speech_like(2.0, OPUS.clock_rate))
        if limited_before:
            one.limit_complexity(limit)
        one.configure(replace(OPUS, complexity=complexity), [OPUS], {})
        one.limit_complexity(limit)
        return [packet.payload for packet in ticks(one, 50)]

    whole, limited = first_frames(10, 5, False), first_frames(1, 5, False)
    assert whole != limited
    assert limited == first_frames(1, 5, True)
    assert first_frames(10, 1, False) == first_frames(5, 1, True), "a limit raises nothing"


def test_redundancy_is_left_out_after_reports_without_loss_and_comes_back_with_a_loss() -> None:
    pair = Pair(OPUS)
    pair.a.source = Given(speech_like(40.0, 48_000))
    sent: list[tuple[float, bool]] = []
    deliver = pair.ab.send

    def watched(data: bytes, now: float) -> None:
        if data[1] & 0x7F == OPUS.payload_type:
            sent.append((pair.now, opus_has_fec(data[12:])))
        deliver(data, now)

    pair.ab.send = watched  # type: ignore[method-assign]

    def redundant(seconds: float) -> float:
        sent.clear()
        pair.run(seconds)
        return sum(has for _, has in sent) / len(sent)

    assert redundant(3.0) > 0.2, "from the first packet on, as nobody knows yet"
    pair.run(6.0)
    assert redundant(4.0) == 0.0
    pair.ab.loss = 0.1
    pair.run(3.0)
    assert redundant(4.0) > 0.2
    pair.ab.loss = 0.0
    pair.run(9.0)
    assert redundant(4.0) == 0.0


def test_reports_while_nothing_arrives_are_not_taken_for_reports_without_loss() -> None:
    pair = Pair(OPUS)
    pair.a.source = Given(speech_like(20.0, 48_000))
    pair.run(2.0)
    pair.ab.loss = 1.0
    pair.run(10.0)
    packets = [packet for _ in range(50) for packet in pair.a.tick(pair.now) if not is_rtcp(packet)]
    assert any(opus_has_fec(packet[12:]) for packet in packets)


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
