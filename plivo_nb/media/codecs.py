"""Speech codecs: Opus (RFC 6716, RFC 7587), PCMU and PCMA (ITU-T G.711 mu-law and A-law).

Opus is libopus itself through ctypes: PyAV's codec exposes neither in-band FEC decoding nor concealment. The
copy in PyAV's wheel is tried first, then the system's; where neither loads, PyAV's codec serves, with our own
concealment. G.711 is two numpy tables for each law. All PCM is mono int16.
"""

from __future__ import annotations

import ctypes
import fractions
import functools
import importlib.util
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from plivo_nb.codec_table import CODECS, CodecName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plivo_nb.audio_types import Pcm

OPUS_RATE = CODECS["OPUS"].clock_rate_hz
DEFAULT_OPUS_BITRATE_BPS = 32_000
DEFAULT_OPUS_COMPLEXITY = 5
#: Expected loss, 0..1, until the far end reports any.
DEFAULT_EXPECTED_LOSS = 0.1

_OPUS_MAX_PACKET = 1500
_OPUS_MAX_SAMPLES = 5760  # 120 ms at 48 kHz: the longest packet RFC 6716 allows
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_DTX = 4002, 4010, 4012, 4014, 4016


#: Lengths of the packets that can be sent, in ms (RFC 6716 section 2.1.4, RFC 3551 section 4.2).
OPUS_PACKET_LENGTHS_MS = (10, 20, 40, 60)
G711_PACKET_LENGTHS_MS = (10, 20, 30, 40, 50, 60)


@dataclass(frozen=True, slots=True)
class Codec:
    """A negotiated codec.

    Args:
        name: as in `plivo_nb.codec_table`.
        payload_type: RTP payload type, 0..127.
        clock_rate: RTP clock and PCM rate in Hz: 48000 (Opus) or 8000.
        ptime_ms: length of the packets that we send, of `packet_lengths_ms`.
        bitrate_bps: Opus only, what the encoder aims at; lower it to the peer's ``maxaveragebitrate``.
        fec: Opus only, send in-band FEC (the peer's ``useinbandfec``).
        dtx: Opus only, stop sending in silence (the peer's ``usedtx``).
        complexity: Opus only, how much CPU time the encoder may take, 0 to 10.
    """

    name: CodecName
    payload_type: int
    clock_rate: int
    ptime_ms: int = 20
    bitrate_bps: int = DEFAULT_OPUS_BITRATE_BPS
    fec: bool = True
    dtx: bool = False
    complexity: int = DEFAULT_OPUS_COMPLEXITY


def packet_lengths_ms(name: CodecName) -> tuple[int, ...]:
    """Return the lengths of packets, in ms, that can be sent with a codec."""
    return OPUS_PACKET_LENGTHS_MS if name == "OPUS" else G711_PACKET_LENGTHS_MS


class Encoder(Protocol):
    """Encodes PCM of one packet's length to a payload."""

    def encode(self, pcm: Pcm) -> bytes:
        """Return the payload of one packet."""

    def set_expected_loss(self, fraction: float) -> None:
        """Set the expected packet loss, 0..1; codecs without redundancy ignore it."""

    def set_complexity(self, complexity: int) -> None:
        """Set how much CPU time encoding may take, 0 to 10; codecs without a choice ignore it."""


class Decoder(Protocol):
    """Decodes payloads to PCM, and conceals missing ones if the codec can."""

    @property
    def conceals(self) -> bool:
        """Whether `conceal` and `decode_fec` are supported; if not, they return silence."""

    def samples(self, payload: bytes) -> int:
        """Return the length of a payload in samples. Raises ValueError if it is malformed."""

    def decode(self, payload: bytes) -> Pcm:
        """Decode one payload. Raises ValueError if it is malformed."""

    def decode_fec(self, following: bytes, samples: int) -> Pcm:
        """Decode a lost packet of that length from the redundancy in the packet after it."""

    def conceal(self, samples: int) -> Pcm:
        """Extrapolate that many samples."""


# ---------------------------------------------------------------- G.711


@functools.cache
def _ulaw_tables() -> tuple[Pcm, NDArray[np.uint8]]:
    """Return (code to sample, sample as uint16 to code) by ITU-T G.711's segment formula."""
    codes = ~np.arange(256) & 0xFF
    magnitude = ((((codes & 0x0F) << 3) + 0x84) << ((codes & 0x70) >> 4)) - 0x84
    decode = np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)
    x = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(x), 32635) + 0x84
    segment = np.floor(np.log2(biased)).astype(np.int32) - 7
    mantissa = (biased >> (segment + 3)) & 0x0F
    encode = (~(np.where(x < 0, 0x80, 0) | (segment << 4) | mantissa) & 0xFF).astype(np.uint8)
    return decode, encode


@functools.cache
def _alaw_tables() -> tuple[Pcm, NDArray[np.uint8]]:
    """Return (code to sample, sample as uint16 to code) by ITU-T G.711's segment formula."""
    codes = np.arange(256) ^ 0x55
    segment, mantissa = (codes & 0x70) >> 4, (codes & 0x0F) << 4
    magnitude = np.where(segment == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(segment - 1, 0))
    decode = np.where(codes & 0x80, magnitude, -magnitude).astype(np.int16)
    x = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    amplitude = np.where(x < 0, ~x, x)  # -1 is as small as 0: each sign has a smallest step
    segment = np.maximum(np.floor(np.log2(np.maximum(amplitude, 1))).astype(np.int32) - 7, 0)
    mantissa = (amplitude >> np.maximum(segment + 3, 4)) & 0x0F
    encode = ((np.where(x < 0, 0, 0x80) | (segment << 4) | mantissa) ^ 0x55).astype(np.uint8)
    return decode, encode


_G711_TABLES = {"PCMU": _ulaw_tables, "PCMA": _alaw_tables}


class G711Encoder:
    """G.711 by table.

    Args:
        law: ``'PCMU'`` (mu-law) or ``'PCMA'`` (A-law).
    """

    def __init__(self, law: str) -> None:
        self._table = _G711_TABLES[law]()[1]

    def encode(self, pcm: Pcm) -> bytes:
        """Return one byte a sample."""
        return self._table.take(pcm).tobytes()  # a negative sample counts from the end, as in uint16

    def set_expected_loss(self, fraction: float) -> None:
        """G.711 has no redundancy: nothing to do."""

    def set_complexity(self, complexity: int) -> None:
        """G.711 has no choice: nothing to do."""


class G711Decoder:
    """G.711 by table; it cannot conceal by itself.

    Args:
        law: ``'PCMU'`` (mu-law) or ``'PCMA'`` (A-law).
    """

    conceals = False

    def __init__(self, law: str) -> None:
        self._table = _G711_TABLES[law]()[0]

    def samples(self, payload: bytes) -> int:
        """One sample a byte."""
        if not payload:
            raise ValueError("an empty G.711 payload")
        return len(payload)

    def decode(self, payload: bytes) -> Pcm:
        """Decode by table."""
        return self._table.take(np.frombuffer(payload, np.uint8))

    def decode_fec(self, following: bytes, samples: int) -> Pcm:
        """Give silence: G.711 has no redundancy."""
        return np.zeros(samples, np.int16)

    def conceal(self, samples: int) -> Pcm:
        """Return silence; `plivo_nb.media.playout.concealment` conceals losses of G.711."""
        return np.zeros(samples, np.int16)


# ---------------------------------------------------------------- Opus


def _opus_candidates() -> list[str]:
    names: list[str] = []
    spec = importlib.util.find_spec("av")
    for place in (spec.submodule_search_locations or []) if spec else []:
        package = Path(place)
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            names += sorted(str(path) for path in folder.glob("*opus*"))
    return [*names, "libopus.so.0", "libopus.0.dylib", "opus.dll", "libopus-0.dll"]


@functools.cache
def libopus() -> ctypes.PyDLL | None:
    """Load libopus: the copy in PyAV's wheel, else the system's; return None if neither loads."""
    for name in _opus_candidates():
        try:
            # PyDLL keeps the GIL: a call takes 30-180 us, and taking the GIL back from a busy cell after
            # each one would cost up to a switch interval (500 us)
            library = ctypes.PyDLL(name)
            _declare(library)
        except (OSError, AttributeError):
            continue
        return library
    return None


def _declare(library: ctypes.PyDLL) -> None:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("opus_encoder_create", pointer, [ctypes.c_int32, number, number, ctypes.POINTER(number)]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_encoder_ctl", number, [pointer, number]),
        ("opus_encode", ctypes.c_int32, [pointer, pointer, number, pointer, ctypes.c_int32]),
        ("opus_decoder_create", pointer, [ctypes.c_int32, number, ctypes.POINTER(number)]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", number, [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, number, number]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def opus_samples(payload: bytes) -> int:
    """Return the length of an Opus packet in samples at 48 kHz, from its first bytes (RFC 6716 section 3.1).

    Raises:
        ValueError: the packet is empty, truncated, or longer than 120 ms.
    """
    if not payload:
        raise ValueError("an empty Opus packet")
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    if code == 3:
        if len(payload) < 2:
            raise ValueError("an Opus packet without its frame count")
        frame *= payload[1] & 0x3F
    elif code:
        frame *= 2
    if not 0 < frame <= _OPUS_MAX_SAMPLES:
        raise ValueError("an Opus packet of more than 120 ms, or of nothing")
    return frame


def opus_has_fec(payload: bytes) -> bool:
    """Return whether an Opus packet contains redundancy for the packet before it.

    The flag follows the voice activity bits of the SILK layer (RFC 6716 section 4.2.3); both are coded with
    even odds, so that they stand in the first byte of the frame as plain bits. CELT packets have none.
    """
    if len(payload) < 2 or payload[0] >= 0x80 or payload[0] & 3:
        return False
    config = payload[0] >> 3
    frames = 1 if config >= 12 else (1, 1, 2, 3)[config & 3]
    return bool(payload[1] >> (7 - frames) & 1)


def _whole(samples: int) -> int:
    """Round up to a length that libopus supports: a multiple of 2.5 ms, 120 ms at most."""
    return min(_OPUS_MAX_SAMPLES, -(-samples // 120) * 120)


def _check(library_result: int, what: str) -> int:
    if library_result < 0:
        raise ValueError(f"libopus could not {what} (error {library_result})")
    return library_result


class OpusEncoder:
    """libopus: mono, VOIP, variable bit rate, in-band FEC."""

    def __init__(self, codec: Codec, library: ctypes.PyDLL) -> None:
        error = ctypes.c_int()
        self._state = library.opus_encoder_create(OPUS_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _check(error.value, "make an encoder")
        # not at exit: the plane may still be at it then, and libopus aborts the process
        weakref.finalize(self, library.opus_encoder_destroy, self._state).atexit = False
        self._library = library
        self._loss_percent = -1
        for request, value in (
            (_SET_BITRATE, codec.bitrate_bps),
            (_SET_COMPLEXITY, codec.complexity),
            (_SET_INBAND_FEC, int(codec.fec)),
            (_SET_DTX, int(codec.dtx)),
        ):
            self._control(request, value)
        self.set_expected_loss(DEFAULT_EXPECTED_LOSS)
        self._pcm = np.zeros(_OPUS_MAX_SAMPLES, np.int16)
        self._out = np.zeros(_OPUS_MAX_PACKET, np.uint8)
        self._pcm_at, self._out_at = self._pcm.ctypes.data, self._out.ctypes.data

    def _control(self, request: int, value: int) -> None:
        _check(self._library.opus_encoder_ctl(self._state, request, ctypes.c_int32(value)), "be set up")

    def encode(self, pcm: Pcm) -> bytes:
        """Encode 10, 20, 40 or 60 ms."""
        count = len(pcm)
        self._pcm[:count] = pcm
        size = self._library.opus_encode(self._state, self._pcm_at, count, self._out_at, _OPUS_MAX_PACKET)
        return self._out[: _check(size, "encode")].tobytes()

    def set_expected_loss(self, fraction: float) -> None:
        """Set how much redundancy is sent: none without loss, else that for 10 to 30 %."""
        percent = min(30, max(10, round(fraction * 100))) if fraction > 0.0 else 0
        if percent != self._loss_percent:
            self._loss_percent = percent
            self._control(_SET_PACKET_LOSS, percent)

    def set_complexity(self, complexity: int) -> None:
        """Set how much CPU time encoding may take, 0 to 10."""
        self._control(_SET_COMPLEXITY, complexity)


class OpusDecoder:
    """libopus, with FEC decoding and concealment."""

    conceals = True

    def __init__(self, library: ctypes.PyDLL) -> None:
        error = ctypes.c_int()
        self._state = library.opus_decoder_create(OPUS_RATE, 1, ctypes.byref(error))
        _check(error.value, "make a decoder")
        weakref.finalize(self, library.opus_decoder_destroy, self._state).atexit = False
        self._library = library
        self._out = np.zeros(_OPUS_MAX_SAMPLES, np.int16)
        self._out_at = self._out.ctypes.data

    def _decode(self, payload: bytes | None, samples: int, fec: int) -> Pcm:
        size = len(payload) if payload is not None else 0
        count = self._library.opus_decode(self._state, payload, size, self._out_at, samples, fec)
        return self._out[: _check(count, "decode")].copy()

    def samples(self, payload: bytes) -> int:
        """Return the packet's length."""
        return opus_samples(payload)

    def decode(self, payload: bytes) -> Pcm:
        """Decode one packet."""
        if not payload:
            raise ValueError("an empty Opus packet")
        return self._decode(payload, _OPUS_MAX_SAMPLES, 0)

    def decode_fec(self, following: bytes, samples: int) -> Pcm:
        """Decode the lost packet from the next one; libopus conceals if it contains no redundancy."""
        return self._decode(following, _whole(samples), 1)[-samples:]

    def conceal(self, samples: int) -> Pcm:
        """Extrapolate (packet loss concealment of libopus)."""
        return self._decode(None, _whole(samples), 0)[:samples]


class AvOpusEncoder:
    """Opus through PyAV, where libopus itself cannot be loaded."""

    def __init__(self, codec: Codec) -> None:
        import av

        self._av: Any = av
        self._context: Any = av.CodecContext.create("libopus", "w")
        self._context.bit_rate = codec.bitrate_bps
        self._context.format, self._context.layout, self._context.sample_rate = "s16", "mono", OPUS_RATE
        self._context.time_base = fractions.Fraction(1, OPUS_RATE)
        self._context.options = {
            "application": "voip",
            "compression_level": str(codec.complexity),
            "frame_duration": str(codec.ptime_ms),
            "fec": str(int(codec.fec)),
            "packet_loss": str(round(DEFAULT_EXPECTED_LOSS * 100)),
        }
        self._time = 0

    def encode(self, pcm: Pcm) -> bytes:
        """Encode one packet."""
        frame = self._av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = OPUS_RATE, self._time
        frame.time_base = self._context.time_base
        self._time += len(pcm)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

    def set_expected_loss(self, fraction: float) -> None:
        """PyAV fixes it when the encoder is opened: nothing to do."""

    def set_complexity(self, complexity: int) -> None:
        """PyAV fixes it when the encoder is opened: nothing to do."""


class AvOpusDecoder:
    """Opus through PyAV: no FEC decoding and no concealment of its own."""

    conceals = False

    def __init__(self) -> None:
        import av

        self._av: Any = av
        self._context: Any = av.CodecContext.create("libopus", "r")
        self._context.format, self._context.layout, self._context.sample_rate = "s16", "mono", OPUS_RATE

    def samples(self, payload: bytes) -> int:
        """Return the packet's length."""
        return opus_samples(payload)

    def decode(self, payload: bytes) -> Pcm:
        """Decode one packet."""
        try:
            frames = self._context.decode(self._av.Packet(payload))
        except self._av.FFmpegError as error:
            raise ValueError(f"PyAV could not decode an Opus packet ({error})") from error
        parts = [np.asarray(frame.to_ndarray(), np.int16).reshape(-1) for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(opus_samples(payload), np.int16)

    def decode_fec(self, following: bytes, samples: int) -> Pcm:
        """Give silence."""
        return np.zeros(samples, np.int16)

    def conceal(self, samples: int) -> Pcm:
        """Give silence."""
        return np.zeros(samples, np.int16)


def make_encoder(codec: Codec) -> Encoder:
    """Make the encoder of a negotiated codec."""
    if codec.name in _G711_TABLES:
        return G711Encoder(codec.name)
    library = libopus()
    return OpusEncoder(codec, library) if library is not None else AvOpusEncoder(codec)


def make_decoder(codec: Codec) -> Decoder:
    """Make the decoder of a negotiated codec."""
    if codec.name in _G711_TABLES:
        return G711Decoder(codec.name)
    library = libopus()
    return OpusDecoder(library) if library is not None else AvOpusDecoder()
