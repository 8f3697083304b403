"""media.playout.play_out: what is counted when packets are lost, by codec and with redundancy or without."""

from __future__ import annotations

import numpy as np
import pytest
from media_network import PCMU, speech_like

from plivo_nb.media.codecs import Codec, make_encoder, opus_has_fec
from plivo_nb.media.playout.play_out import PlayOut
from plivo_nb.media.rtp.rtp import Placed

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


def recoverable(payloads: list[bytes]) -> int:
    """A packet whose next one carries redundancy for it."""
    return next(n for n in range(FIRST, len(payloads) - 10) if opus_has_fec(payloads[n + 1]))


def test_a_lost_packet_is_recovered_from_the_next_one() -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)
    counters = play(FEC, {lost})[0].counters()
    assert counters.packets_recovered == 1
    assert counters.concealment_events == 1
    assert counters.fec_packets_received > 10


def test_nothing_is_recovered_when_nothing_is_lost() -> None:
    counters = play(FEC, set())[0].counters()
    assert (counters.packets_recovered, counters.concealed_samples) == (0, 0)


def test_of_two_packets_lost_in_a_row_the_second_one_is_recovered() -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)
    assert play(FEC, {lost - 1, lost})[0].counters().packets_recovered == 1


@pytest.mark.parametrize("codec", [NO_FEC, PCMU], ids=["Opus without FEC", "PCMU"])
def test_without_redundancy_a_loss_is_concealed_and_not_recovered(codec: Codec) -> None:
    counters = play(codec, {FIRST})[0].counters()
    assert counters.packets_recovered == 0
    assert counters.concealed_samples == codec.clock_rate // 50


def test_redundancy_that_cannot_be_decoded_recovers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, payloads = play(FEC, set())
    lost = recoverable(payloads)

    def refuse(self: object, following: bytes, samples: int) -> np.ndarray:
        raise ValueError("malformed")

    monkeypatch.setattr("plivo_nb.media.codecs.OpusDecoder.decode_fec", refuse)
    counters = play(FEC, {lost})[0].counters()
    assert counters.packets_recovered == 0
    assert counters.concealed_samples == 960
