"""Opus through libopus and PCMU by table."""

import gc
import random
import time

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_network import OPUS, PCMU, aligned_correlation, speech_like
from numpy.typing import NDArray

from plivo_nb.media import codecs
from plivo_nb.media.codecs import (
    AvOpusDecoder,
    AvOpusEncoder,
    Codec,
    G711Decoder,
    G711Encoder,
    OpusDecoder,
    OpusEncoder,
    libopus,
    make_decoder,
    make_encoder,
    opus_has_fec,
    opus_samples,
)


def frames(pcm: NDArray[np.int16], samples: int) -> list[NDArray[np.int16]]:
    return [pcm[at : at + samples] for at in range(0, len(pcm) - samples + 1, samples)]


def encoded(seconds: float = 2.0, codec: Codec = OPUS) -> tuple[NDArray[np.int16], list[bytes]]:
    pcm = speech_like(seconds, codec.clock_rate)
    encoder = make_encoder(codec)
    samples = codec.clock_rate * codec.ptime_ms // 1000
    return pcm, [encoder.encode(frame) for frame in frames(pcm, samples)]


def test_every_mulaw_code_decodes_as_libav_does() -> None:
    context = av.CodecContext.create("pcm_mulaw", "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(bytes(range(256))))
    expected = np.asarray(frame.to_ndarray()).reshape(-1)
    assert (G711Decoder("PCMU").decode(bytes(range(256))) == expected).all()


def test_every_sample_is_coded_within_half_a_step() -> None:
    """A segment has 16 steps (G.711 table 2a): half of one is at most a 32nd of the biased sample."""
    samples = np.arange(-32635, 32636)
    decoded = G711Decoder("PCMU").decode(G711Encoder("PCMU").encode(samples.astype(np.int16)))
    assert (np.abs(decoded - samples) <= (np.abs(samples) + 132) / 32 + 1).all()


def test_every_mulaw_code_survives() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # 0x7F is the other zero
    assert G711Encoder("PCMU").encode(G711Decoder("PCMU").decode(codes)) == codes


def test_mulaw_takes_a_strided_view() -> None:
    pcm = np.arange(-1000, 1000, dtype=np.int16)[::2]
    assert G711Encoder("PCMU").encode(np.ascontiguousarray(pcm)) == G711Encoder("PCMU").encode(pcm.copy())


def test_every_alaw_code_decodes_as_libav_does() -> None:
    context = av.CodecContext.create("pcm_alaw", "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(bytes(range(256))))
    expected = np.asarray(frame.to_ndarray()).reshape(-1)
    assert (G711Decoder("PCMA").decode(bytes(range(256))) == expected).all()


def test_every_alaw_code_survives() -> None:
    codes = bytes(range(256))
    assert G711Encoder("PCMA").encode(G711Decoder("PCMA").decode(codes)) == codes


def test_every_sample_is_coded_in_alaw_within_half_a_step() -> None:
    """A segment has 16 steps (G.711 table 1a): half of one is 8, or at most a 32nd of the sample."""
    samples = np.arange(-32768, 32768)
    decoded = G711Decoder("PCMA").decode(G711Encoder("PCMA").encode(samples.astype(np.int16)))
    assert (np.abs(decoded - samples) <= np.maximum(8, (np.abs(samples) + 1) / 32)).all()
    assert (np.diff(decoded.astype(int)) >= 0).all()


def test_speech_through_alaw_is_speech() -> None:
    codec = Codec("PCMA", 8, 8000)
    pcm, payloads = encoded(codec=codec)
    decoder = make_decoder(codec)
    assert aligned_correlation(pcm, np.concatenate([decoder.decode(p) for p in payloads])) > 0.99


def test_libopus_is_found_here() -> None:
    assert libopus() is not None
    assert isinstance(make_encoder(OPUS), OpusEncoder)
    assert isinstance(make_decoder(OPUS), OpusDecoder)
    assert isinstance(make_decoder(PCMU), G711Decoder)


def test_speech_through_opus_is_speech() -> None:
    pcm, payloads = encoded()
    decoder = make_decoder(OPUS)
    heard = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert aligned_correlation(pcm[: len(heard)], heard) > 0.95


def test_the_bit_rate_is_near_what_was_set() -> None:
    _, payloads = encoded(6.0)
    kbps = sum(map(len, payloads)) * 8 / 6 / 1000
    assert 10 < kbps < 40
    _, less = encoded(6.0, Codec("OPUS", 111, 48_000, bitrate_bps=12_000))
    assert sum(map(len, less)) < 0.7 * sum(map(len, payloads))


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_packets_of_every_length(ptime_ms: int) -> None:
    codec = Codec("OPUS", 111, 48_000, ptime_ms=ptime_ms)
    _, payloads = encoded(1.2, codec)
    decoder = make_decoder(codec)
    for payload in payloads:
        assert decoder.samples(payload) == 48 * ptime_ms
        assert len(decoder.decode(payload)) == 48 * ptime_ms


def test_redundancy_restores_a_lost_packet_better_than_extrapolation() -> None:
    _, payloads = encoded(4.0)
    restored: list[float] = []
    guessed: list[float] = []
    for lost in range(20, len(payloads) - 1):
        if not opus_has_fec(payloads[lost + 1]):
            continue
        truth, with_fec, with_plc = (make_decoder(OPUS) for _ in range(3))
        for payload in payloads[lost - 10 : lost]:
            for decoder in (truth, with_fec, with_plc):
                decoder.decode(payload)
        original = truth.decode(payloads[lost]).astype(float)
        fec = with_fec.decode_fec(payloads[lost + 1], 960)
        plc = with_plc.conceal(960)
        assert len(fec) == len(plc) == 960
        restored.append(float(np.abs(fec - original).mean()))
        guessed.append(float(np.abs(plc - original).mean()))
    assert len(restored) > 20
    assert np.mean(restored) < 0.7 * np.mean(guessed)


def test_redundancy_is_sent_in_speech_and_not_when_it_is_off() -> None:
    _, payloads = encoded(4.0)
    assert sum(map(opus_has_fec, payloads)) > len(payloads) * 0.2
    _, without = encoded(4.0, Codec("OPUS", 111, 48_000, fec=False))
    assert not any(map(opus_has_fec, without))


def test_more_expected_loss_makes_more_redundancy() -> None:
    sizes = []
    for loss in (0.0, 0.05, 0.3):
        encoder = make_encoder(OPUS)
        encoder.set_expected_loss(loss)
        payloads = [encoder.encode(frame) for frame in frames(speech_like(4.0, 48_000), 960)]
        sizes.append(sum(map(opus_has_fec, payloads)))
    assert sizes[2] >= sizes[1] > sizes[0] == 0


def test_concealment_and_redundancy_of_odd_lengths() -> None:
    _, payloads = encoded(0.5)
    decoder = make_decoder(OPUS)
    decoder.decode(payloads[0])
    for samples in (1, 119, 121, 960, 2880):
        assert len(decoder.conceal(samples)) == samples
        assert len(decoder.decode_fec(payloads[5], samples)) == samples


def test_dtx_packets_are_tiny_in_silence() -> None:
    encoder = make_encoder(Codec("OPUS", 111, 48_000, dtx=True))
    sizes = [len(encoder.encode(np.zeros(960, np.int16))) for _ in range(100)]
    assert min(sizes) <= 2


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x78x", 960),  # configuration 15, one frame of 20 ms
        (b"\x00x", 480),  # SILK 10 ms
        (b"\x18x", 2880),  # SILK 60 ms
        (b"\xe0x", 120),  # CELT 2.5 ms
        (b"\xf9xy", 1920),  # two frames of 20 ms
        (b"\xfb\x03xyz", 2880),  # three
    ],
)
def test_length_by_the_first_bytes(packet: bytes, samples: int) -> None:
    assert opus_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\xfb\x3f", b"\x1b\x03"])
def test_impossible_opus_packets_are_refused(packet: bytes) -> None:
    with pytest.raises(ValueError):
        opus_samples(packet)


@given(st.binary(max_size=100))
def test_garbage_never_kills_the_opus_decoder(data: bytes) -> None:
    decoder = make_decoder(OPUS)
    try:
        pcm = decoder.decode(data)
    except ValueError:
        return
    assert pcm.dtype == np.int16
    assert len(pcm) == decoder.samples(data)


def test_empty_payloads_are_refused() -> None:
    for codec in (OPUS, PCMU):
        with pytest.raises(ValueError):
            make_decoder(codec).samples(b"")
    with pytest.raises(ValueError):
        make_decoder(OPUS).decode(b"")


def test_without_libopus_pyav_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "libopus", lambda: None)
    encoder, decoder = make_encoder(OPUS), make_decoder(OPUS)
    assert isinstance(encoder, AvOpusEncoder)
    assert isinstance(decoder, AvOpusDecoder)
    assert not decoder.conceals
    pcm = speech_like(1.0, 48_000)
    heard = []
    for frame in frames(pcm, 960):
        payload = encoder.encode(frame)
        if payload:
            assert decoder.samples(payload) == 960
            heard.append(decoder.decode(payload))
    assert aligned_correlation(pcm, np.concatenate(heard)) > 0.9
    with pytest.raises(ValueError):
        decoder.decode(b"\xff\xff\xff")
    assert len(decoder.conceal(960)) == len(decoder.decode_fec(b"", 960)) == 960
    encoder.set_expected_loss(0.5)


def test_the_systems_copy_is_tried_where_pyav_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    names = codecs._opus_candidates()
    assert "libopus.so.0" in names
    monkeypatch.setattr(codecs, "_opus_candidates", lambda: ["no-such-library.so", "libc.so.6"])
    assert codecs.libopus.__wrapped__() is None


def test_states_are_given_back() -> None:
    """A thousand codecs made and dropped do not grow the process by their states (about 40 kB each)."""
    import resource

    for _ in range(50):
        make_encoder(OPUS), make_decoder(OPUS)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        make_encoder(OPUS), make_decoder(OPUS)
    gc.collect()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 15_000


def test_random_payloads_of_mulaw_keep_their_length() -> None:
    generator = random.Random(1)
    decoder = G711Decoder("PCMU")
    for _ in range(20):
        data = generator.randbytes(generator.randint(1, 500))
        assert decoder.samples(data) == len(decoder.decode(data)) == len(data)


def test_less_effort_takes_less_time_and_is_understood_at_once() -> None:
    encoder, decoder = make_encoder(OPUS), make_decoder(OPUS)
    pcm = speech_like(4.0, OPUS.clock_rate)
    spent = {}
    for complexity in (10, 0):
        encoder.set_complexity(complexity)
        began = time.thread_time()
        payloads = [encoder.encode(frame) for frame in frames(pcm, 960)]
        spent[complexity] = time.thread_time() - began
        assert all(len(decoder.decode(payload)) == 960 for payload in payloads)
    assert spent[0] < spent[10]
