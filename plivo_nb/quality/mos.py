"""Scores of a call's quality (MOS) from round-trip time, jitter and loss.

Two models, side by side and never mixed:

- `sdk`: the formula of Plivo's Browser SDK V2.1, so that numbers compare with Plivo's own.
- `g107`: ITU-T G.107 (06/2015), the E-model, with the codec figures of ITU-T G.113.

Both take scalars or arrays (numpy, pandas) and give the same kind back: a float, or a float64 array.
A missing number (NaN) gives a missing score, never a good or a bad one.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from plivo_nb.codec_table import CODECS

FloatArray = npt.NDArray[np.float64]
Numbers = npt.ArrayLike

_OTHER_R0 = 93.2  # of the SDK's formula, for any codec but Opus
_CHUNK = 32_768  # rows at a time: the intermediate arrays stay in the processor's cache

# ---------------------------------------------------------------- Plivo's formula


@overload
def sdk(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float: ...
@overload
def sdk(rtt_ms: Numbers, jitter_ms: Numbers, loss: Numbers, codec: Any) -> float | FloatArray: ...
def sdk(rtt_ms: Any, jitter_ms: Any, loss: Any, codec: Any) -> Any:
    """MOS by the SDK's formula, to 3 decimals.

    The curve itself is ITU-T G.107 Annex B and, like it, dips a hair below 1 for 0 < R < 6.5.

    Args:
        rtt_ms: round-trip time in ms; NaN where none is known yet.
        jitter_ms: RFC 3550 interarrival jitter in ms.
        loss: share of packets lost, 0..1.
        codec: a name of `plivo_nb.codec_table.CODECS` (any case), or an array of them.

    Returns:
        1 .. 4.5; NaN where `rtt_ms`, `jitter_ms` or `loss` is NaN.

    Example:
        >>> sdk(250, 20, 0.05, "OPUS")
        3.33
    """
    rating = np.asarray(r_factor(rtt_ms, jitter_ms, loss, codec))
    return _plain(_in_chunks(_rounded_mos, rating))


@overload
def r_factor(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float: ...
@overload
def r_factor(rtt_ms: Numbers, jitter_ms: Numbers, loss: Numbers, codec: Any) -> float | FloatArray: ...
def r_factor(rtt_ms: Any, jitter_ms: Any, loss: Any, codec: Any) -> Any:
    """The transmission rating R behind `sdk`; arguments as there. Can be negative at high loss.

    Returns:
        at most the codec's R0 (`plivo_nb.codec_table`; 93.2 for an unknown codec); NaN where an argument is
        NaN.
    """
    if _all_scalars(codec, rtt_ms, jitter_ms, loss):
        latency = rtt_ms + 2.0 * jitter_ms + 10.0
        delayed = latency / 40.0 if latency < 160.0 else (latency - 120.0) / 10.0
        return float(_number(codec, "r0", _OTHER_R0) - delayed - 250.0 * loss)
    best = _numbers(codec, "r0", _OTHER_R0)
    return _plain(_in_chunks(_sdk_rating, _floats(rtt_ms), _floats(jitter_ms), _floats(loss), best))


def _sdk_rating(rtt_ms: FloatArray, jitter_ms: FloatArray, loss: FloatArray, best: FloatArray) -> FloatArray:
    latency = rtt_ms + 2.0 * jitter_ms + 10.0
    delayed = np.where(latency < 160.0, latency / 40.0, (latency - 120.0) / 10.0)
    rating: FloatArray = best - delayed - 250.0 * loss
    return rating


@overload
def from_rating(rating: float) -> float: ...
@overload
def from_rating(rating: Numbers) -> float | FloatArray: ...
def from_rating(rating: Any) -> Any:
    """MOS of a transmission rating R (ITU-T G.107 Annex B): 1 at R <= 0, 4.5 at R >= 100; not rounded."""
    if isinstance(rating, float):
        r = min(max(rating, 0.0), 100.0)  # NaN stays, for it stands first
        return 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r)
    return _plain(_in_chunks(_mos_curve, _floats(rating)))


def _mos_curve(rating: FloatArray) -> FloatArray:
    r = np.clip(rating, 0.0, 100.0)
    mos: FloatArray = 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r)
    return mos


def _rounded_mos(rating: FloatArray) -> FloatArray:
    mos: FloatArray = np.round(_mos_curve(rating), 3)
    return mos


# ---------------------------------------------------------------- the E-model

# Ro, No and Is of G.107 clauses 7.2 and 7.4 with every parameter at the default of its Table 2 (SLR 8, RLR 2,
# STMR 15, Nc -70, Nfor -64, Ps = Pr = 35, qdu 1, ...). They do not depend on what a call measures; the tests
# work them out again from the equations.
_BASIC_RATIO = 94.7688
_NOISE_DBM0P = -61.1792
_SIMULTANEOUS = 1.4136
_RLR_DB, _TELR_DB, _WEPL_DB = 2.0, 65.0, 110.0


@overload
def g107(
    delay_ms: float, loss: float, codec: str, *, burst_ratio: float = 1.0, concealment: bool = True
) -> float: ...
@overload
def g107(
    delay_ms: Numbers, loss: Numbers, codec: Any, *, burst_ratio: Numbers = 1.0, concealment: bool = True
) -> float | FloatArray: ...
def g107(delay_ms: Any, loss: Any, codec: Any, *, burst_ratio: Any = 1.0, concealment: bool = True) -> Any:
    """MOS-CQE by the E-model, ITU-T G.107 (06/2015), to 3 decimals.

    Delay counts three times, as in the Recommendation: as talker echo, as listener echo (both with the
    default echo loss) and in itself. Loss counts by the codec's figures Ie and Bpl in `plivo_nb.codec_table`.

    Args:
        delay_ms: one-way delay mouth to ear in ms; see `one_way_delay_ms`.
        loss: share of packets that were not played, 0..1: lost, or discarded because they came too late.
        codec: a name of `plivo_nb.codec_table.CODECS` (any case), or an array of them. Another one gives NaN.
        burst_ratio: BurstR of clause 7.5.1: 1 is random loss, above 1 it comes in bursts.
        concealment: whether the receiver conceals lost packets.

    Returns:
        1 .. 4.5; NaN where an argument is NaN.

    Example:
        >>> g107(0, 0, "PCMU")
        4.409
    """
    rating = np.asarray(g107_rating(delay_ms, loss, codec, burst_ratio=burst_ratio, concealment=concealment))
    return _plain(_in_chunks(_rounded_mos, rating))


def g107_rating(
    delay_ms: Any, loss: Any, codec: Any, *, burst_ratio: Any = 1.0, concealment: bool = True
) -> Any:
    """The rating R behind `g107`; arguments as there. 93.2 for an undisturbed G.711 call."""
    ie, bpl = _numbers(codec, "ie"), _numbers(codec, "bpl" if concealment else "bpl_without_concealment")
    arguments = (_floats(delay_ms), _floats(loss), _floats(burst_ratio), ie, bpl)
    return _plain(_in_chunks(_g107_rating, *arguments))


def one_way_delay_ms(rtt_ms: Any, playout_delay_ms: Any, codec: Any) -> Any:
    """Mouth-to-ear delay in ms, as far as one end can know it.

    Half of the round trip, the receiver's play-out delay, the 20 ms a packet takes to fill, and the codec's
    look-ahead (Opus: 6.5 ms, RFC 6716 section 2; G.711 has none). What sound hardware adds is not in it.
    """
    if _all_scalars(codec, rtt_ms, playout_delay_ms):
        return rtt_ms / 2.0 + playout_delay_ms + 20.0 + _number(codec, "look_ahead_ms", 0.0)
    look_ahead = _numbers(codec, "look_ahead_ms", 0.0)
    return _plain(_floats(rtt_ms) / 2.0 + _floats(playout_delay_ms) + 20.0 + look_ahead)


def _g107_rating(
    delay_ms: FloatArray, loss: FloatArray, burst_ratio: FloatArray, ie: FloatArray, bpl: FloatArray
) -> FloatArray:
    lost_percent = 100.0 * loss
    effective_ie = ie + (95.0 - ie) * lost_percent / (lost_percent / burst_ratio + bpl)  # 7-29
    delayed = _talker_echo(delay_ms) + _listener_echo(2.0 * delay_ms) + _pure_delay(delay_ms)
    rating: FloatArray = _BASIC_RATIO - _SIMULTANEOUS - delayed - effective_ie
    return rating


def _talker_echo(delay_ms: FloatArray) -> FloatArray:
    """Idte, G.107 7-20 to 7-23, for an echo path with the default loss of 65 dB."""
    path = (1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)
    terv = _TELR_DB - 40.0 * np.log10(path) + 6.0 * np.exp(-0.3 * delay_ms**2)
    gap = (-1.5 * (_NOISE_DBM0P - _RLR_DB) - (80.0 + 2.5 * (terv - 14.0))) / 2.0
    echo: FloatArray = (gap + np.sqrt(gap**2 + 100.0) - 1.0) * (1.0 - np.exp(-delay_ms))
    return echo


def _listener_echo(round_trip_ms: FloatArray) -> FloatArray:
    """Idle, G.107 7-24 and 7-25."""
    gap = (_BASIC_RATIO - 10.5 * (_WEPL_DB + 7.0) * (round_trip_ms + 1.0) ** -0.25) / 2.0
    echo: FloatArray = gap + np.sqrt(gap**2 + 169.0)
    return echo


def _pure_delay(delay_ms: FloatArray) -> FloatArray:
    """Idd, G.107 7-26 and 7-27, with the default sensitivity (mT 100 ms, sT 1): nothing up to 100 ms."""
    x = np.log2(np.maximum(delay_ms, 100.0) / 100.0)
    impairment: FloatArray = 25.0 * ((1.0 + x**6) ** (1 / 6) - 3.0 * (1.0 + (x / 3.0) ** 6) ** (1 / 6) + 2.0)
    return impairment


# ---------------------------------------------------------------- scalars and arrays


def _all_scalars(codec: Any, *numbers: Any) -> bool:
    """Whether this is one rating, as a live call's sample is: numpy takes ten times as long for so little."""
    return isinstance(codec, str) and all(isinstance(number, float | int) for number in numbers)


def _floats(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _is_codec(codec: Any, name: str) -> npt.NDArray[np.bool_]:
    if isinstance(codec, str):
        return np.asarray(codec.upper() == name)
    names = np.asarray(codec, dtype=object)
    same: npt.NDArray[np.bool_] = (names == name) | (names == name.lower()) | (names == name.capitalize())
    return same


def _number(codec: str, attribute: str, other: float = np.nan) -> float:
    """A number of a codec's row; `other` for a codec that has none."""
    row = CODECS.get(codec.upper())
    return other if row is None else float(getattr(row, attribute))


def _numbers(codec: Any, attribute: str, other: float = np.nan) -> FloatArray:
    """A number of each codec's row, in the shape of `codec`; `other` for a codec that has none."""
    numbers = np.full(np.shape(codec), other)
    for name, row in CODECS.items():
        numbers = np.where(_is_codec(codec, name), getattr(row, attribute), numbers)
    return numbers


def _in_chunks(function: Any, *arrays: npt.NDArray[Any]) -> FloatArray:
    """Apply an element-wise `function` to broadcast arrays, a chunk of rows at a time."""
    columns = np.broadcast_arrays(*arrays)
    if columns[0].size <= _CHUNK:
        return np.asarray(function(*columns), dtype=np.float64)
    result = np.empty(columns[0].shape)
    flat = result.reshape(-1)
    rows = [column.reshape(-1) for column in columns]
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        flat[part] = function(*(row[part] for row in rows))
    return result


def _plain(array: npt.NDArray[Any]) -> Any:
    return float(array) if np.ndim(array) == 0 else array
