"""The receiving half of a stream: sources that change, duplicates, pauses and digits."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_network import OPUS, PCMU, Given, Pair, is_rtcp, speech_like, stream

from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.codecs import Codec
from plivo_nb.media.playout.concealment import rms
from plivo_nb.media.rtp.rtp import RtpPacket

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


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


def packets_of(kinds: list[int], payload: bytes = bytes([0xD5]) * 160) -> list[bytes]:
    """One packet each 20 ms: audio, or a payload type that is none."""
    return [
        RtpPacket(kind, 1000 + n, 160 * n, 7, payload if kind == 0 else b"\x40").serialize()
        for n, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    "kinds",
    [
        [0] * 40 + [13] + [0] * 20 + [13] + [0] * 20,
        [0] * 30 + [101] * 10 + [0] * 40,
        [0] * 30 + [13, 101, 96] + [0] * 40,
        [0, 0, 0, 0, 13, 0, 0, 0, 0, 13] + [0] * 20,
        [0, 13] + [0] * 30,
        [13, 13] + [0] * 30,
    ],
    ids=[
        "comfort noise",
        "ten events that were not negotiated",
        "mixed",
        "soon",
        "before play-out starts",
        "first",
    ],
)
def test_payload_types_that_were_not_negotiated_fill_their_sequence_number(kinds: list[int]) -> None:
    one = stream(PCMU)
    arriving = packets_of(kinds)
    for n in range(len(kinds) + 20):
        if n < len(arriving):
            one.receive_rtp(arriving[n], 0.02 * n)
        one.tick(0.02 * n + 0.01)
        if n == len(arriving) - 1:
            counters = one.counters()
    assert (counters.packets_lost, counters.concealed_samples) == (0, 0)
    assert counters.packets_received == counters.packets_expected == len(kinds)


def test_an_unknown_payload_type_of_another_source_does_not_end_the_present_one() -> None:
    one = stream(PCMU)
    for n, data in enumerate(packets_of([0] * 30)):
        one.receive_rtp(data, 0.02 * n)
        one.receive_rtp(RtpPacket(96, n, 160 * n, 8, b"video").serialize(), 0.02 * n)
        one.tick(0.02 * n + 0.01)
    counters = one.counters()
    assert (counters.packets_received, counters.packets_lost, counters.concealed_samples) == (30, 0, 0)


def test_another_source_may_begin_with_comfort_noise() -> None:
    one = stream(PCMU)
    for n, data in enumerate(packets_of([0] * 30)):
        one.receive_rtp(data, 0.02 * n)
        one.tick(0.02 * n + 0.01)
    one.receive_rtp(RtpPacket(13, 500, 0, 8, b"\x40").serialize(), 0.6)
    counters = one.counters()
    assert (counters.packets_received, counters.packets_lost) == (31, 0)
    assert (counters.last_rtp_at_s, counters.last_rtp_was_pause) == (0.6, True)
    assert one.stats(0.6)["inbound-rtp"]["ssrc"] == 8


@given(
    st.lists(st.sampled_from([0, 0, 0, 13, 96, 101]), min_size=30, max_size=80),
    st.integers(0, 2**31),
    st.floats(0, 0.3),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_only_what_the_network_lost_is_lost_whatever_the_payload_types(
    kinds: list[int], seed: int, loss: float, shuffled: bool
) -> None:
    chance = random.Random(seed)
    kinds = [0, *kinds, 0]
    arrivals = []
    for n, data in enumerate(packets_of(kinds)):
        if n in (0, len(kinds) - 1) or chance.random() >= loss:
            arrivals.append((0.02 * n + (chance.uniform(0, 0.1) if shuffled and n else 0.0), data))
            if chance.random() < 0.1:
                arrivals.append((arrivals[-1][0] + 0.001, data))
    arrivals.sort()
    one = stream(PCMU)
    sent = iter([*arrivals, (float("inf"), b"")])
    at, data = next(sent)
    for tick in range(len(kinds) + 20):
        while at <= 0.02 * tick:
            one.receive_rtp(data, at)
            at, data = next(sent)
        one.tick(0.02 * tick)
    counters = one.counters()
    unique = counters.packets_received - counters.packets_duplicated
    assert unique == len({data for _, data in arrivals})
    assert counters.packets_expected == len(kinds)
    assert counters.packets_lost == len(kinds) - counters.packets_received
    assert counters.packets_discarded <= unique


def test_a_pause_after_comfort_noise_is_silence_and_not_concealed() -> None:
    one = stream(PCMU)
    for n, data in enumerate(packets_of([0] * 30 + [13])):
        one.receive_rtp(data, 0.02 * n)
        one.tick(0.02 * n + 0.01)
    for n in range(31, 100):
        one.tick(0.02 * n + 0.01)
    counters = one.counters()
    assert counters.last_rtp_was_pause
    assert counters.concealed_samples == 0


def test_an_opus_packet_of_dtx_announces_a_pause() -> None:
    codec = Codec("OPUS", 111, 48_000, dtx=True)
    pair = Pair(codec)
    pair.a.source = Given(np.concatenate([speech_like(2.0, 48_000), np.zeros(48_000 * 2, np.int16)]))
    pair.run(1.0)
    assert not pair.b.counters().last_rtp_was_pause
    pair.run(2.3)
    assert pair.b.counters().last_rtp_was_pause
