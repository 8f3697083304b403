"""Play-out over a simulated network: one frame a tick, whatever is lost, late or reordered."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from media_network import OPUS, PCMU, Collector, Given, Pair, aligned_correlation, speech_like, stream

from plivo_nb.media import codecs
from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.codecs import Codec, make_encoder, opus_has_fec
from plivo_nb.media.playout.concealment import rms
from plivo_nb.media.playout.packet_fates import PacketFates
from plivo_nb.media.playout.play_out import PlayOut
from plivo_nb.media.rtp.rtp import Placed, RtpPacket
from plivo_nb.quality.counters import Counters, added

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


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


def replaced(counters: Counters, codec: Codec) -> float:
    """Samples that were played in place of a packet: made up, or decoded from redundancy."""
    return counters.concealed_samples + counters.packets_recovered * codec.clock_rate // 50


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
    recovered = counters.packets_recovered
    assert counters.concealed_samples == (1 - recovered) * codec.clock_rate // 50
    assert counters.concealment_events == 1 - recovered
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
    assert replaced(counters, codec) / counters.total_samples == pytest.approx(lost, abs=0.01)
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
    assert replaced(counters, codec) / counters.total_samples == pytest.approx(lost, abs=0.01)
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


# ---------------------------------------------------------------- what is counted as recovered

FEC = Codec("OPUS", 111, 48_000, fec=True)
NO_FEC = Codec("OPUS", 111, 48_000, fec=False)
FIRST = 40  # packets before the first loss: play-out runs, and the encoder knows of losses


def play(codec: Codec, lost: set[int]) -> tuple[PlayOut, list[bytes]]:
    """Play 2 s of speech but its end, without the packets `lost`."""
    samples = codec.clock_rate // 50
    encoder = make_encoder(codec)
    encoder.set_expected_loss(0.3)
    pcm = speech_like(2.0, codec.clock_rate)
    payloads = [encoder.encode(pcm[at : at + samples]) for at in range(0, len(pcm) - samples + 1, samples)]
    play_out = PlayOut(codec, 0.06, 0.2)
    for number, payload in enumerate(payloads):
        now = 100.0 + number * 0.02
        if number not in lost:
            play_out.insert(payload, Placed(number, number * samples), now, True)
        play_out.pull(now + 0.001)
    return play_out, payloads


def counted(play_out: PlayOut) -> Counters:
    return Counters(**added(play_out.counts()))


def recoverable(payloads: list[bytes]) -> int:
    """A packet whose next one carries redundancy for it."""
    return next(n for n in range(FIRST, len(payloads) - 10) if opus_has_fec(payloads[n + 1]))


def test_a_lost_packet_is_recovered_from_the_next_one() -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)
    counters = counted(play(FEC, {lost})[0])
    assert counters.packets_recovered == 1
    assert (counters.concealment_events, counters.concealed_samples) == (0, 0)
    assert counters.fec_packets_received > 10


def test_nothing_is_recovered_when_nothing_is_lost() -> None:
    counters = counted(play(FEC, set())[0])
    assert (counters.packets_recovered, counters.concealed_samples) == (0, 0)


def test_of_two_packets_lost_in_a_row_the_second_one_is_recovered() -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)
    assert counted(play(FEC, {lost - 1, lost})[0]).packets_recovered == 1


@pytest.mark.parametrize("codec", [NO_FEC, PCMU], ids=["Opus without FEC", "PCMU"])
def test_without_redundancy_a_loss_is_concealed_and_not_recovered(codec: Codec) -> None:
    counters = counted(play(codec, {FIRST})[0])
    assert counters.packets_recovered == 0
    assert counters.concealed_samples == codec.clock_rate // 50


def test_redundancy_that_cannot_be_decoded_recovers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)

    def refuse(self: object, following: bytes, samples: int) -> np.ndarray:
        raise ValueError("malformed")

    monkeypatch.setattr("plivo_nb.media.codecs.OpusDecoder.decode_fec", refuse)
    counters = counted(play(FEC, {lost})[0])
    assert counters.packets_recovered == 0
    assert counters.concealed_samples == 960


# ---------------------------------------------------------------- what became of single packets


def fates(codec: Codec, lost: set[int], late: dict[int, int] | None = None) -> list[tuple[int, str]]:
    """Play 2 s without the packets `lost` and with those `late` so many ticks late: (tick, fate)."""
    noted = PacketFates()
    samples = codec.clock_rate // 50
    encoder = make_encoder(codec)
    encoder.set_expected_loss(0.3)
    pcm = speech_like(2.0, codec.clock_rate)
    play_out = PlayOut(codec, 0.06, 0.2, noted)
    arrivals: dict[int, list[int]] = {}
    for number in range(len(pcm) // samples):
        if number not in lost:
            arrivals.setdefault(number + (late or {}).get(number, 0), []).append(number)
    payloads = [encoder.encode(pcm[n * samples : (n + 1) * samples]) for n in range(len(pcm) // samples)]
    for tick in range(len(payloads)):
        now = 100.0 + tick * 0.02
        for number in arrivals.get(tick, []):
            play_out.insert(
                payloads[number], Placed(number, number * samples), now, number not in (late or {})
            )
        play_out.pull(now + 0.001)
    return [(round((at_s - 100.0) / 0.02), fate) for at_s, fate in noted.take()]


def test_a_lost_packet_is_noted_when_it_should_have_been_played() -> None:
    noted = fates(PCMU, {FIRST})
    assert [fate for _, fate in noted] == ["missing"]
    assert FIRST <= noted[0][0] <= FIRST + 12


def test_a_recovered_packet_is_noted_as_such() -> None:
    _, payloads = play(FEC, set())
    assert [fate for _, fate in fates(FEC, {recoverable(payloads)})] == ["recovered"]


def test_a_late_packet_is_noted_as_missing_and_then_as_late() -> None:
    noted = fates(PCMU, set(), {FIRST: 20})
    assert [fate for _, fate in noted] == ["missing", "late"]
    assert noted[1][0] == FIRST + 20


def test_without_packets_the_sound_is_concealed() -> None:
    noted = fates(PCMU, set(range(FIRST, 100)))
    assert {fate for _, fate in noted} == {"concealed"}
    assert len(noted) > 40
    assert fates(PCMU, set()) == []
