"""Scores of a call's quality (MOS) from delay, jitter and loss.

Three scales, side by side and never mixed:

- `sdk`: the formula of Plivo's Browser SDK V2.1, so that numbers compare with Plivo's own.
- `g107`: the E-model, ITU-T G.107 (06/2015): what is heard, on the scale of narrowband telephony.
- `g107_fb`: the fullband E-model, ITU-T G.107.2 (06/2019): what is heard, on a scale whose top is sound up to
  20 kHz. Telephone bandwidth costs more than a point there: G.711 reaches 3.2, Opus 4.4.

All are within 1..4.5. They take scalars or arrays (numpy, pandas) and give the same kind back: a float, or
a float64 array. A missing number (NaN) gives a missing score, never a good or a bad one.

**How the codecs' figures are measured.** The E-model reduces a codec to two figures: Ie, its cost without
loss, and Bpl, its robustness to loss. Those that ITU-T G.113 publishes are for other decoders. So
tests/bench/listening_quality.py sends recorded voices through this package's encoder, a network that loses
packets (0 to 20 %, singly or by Gilbert's model in bursts of 3 and of 8 on average), and this package's
jitter buffer, in-band FEC and concealment. PESQ (ITU-T P.862 and P.862.1) scores what is heard, and Ie and
Bpl are fitted to the scores of the French voice by least squares; of five voices it is the one whose score
without loss is the median. On the other four the root mean square of the residuals is 0.14 for Opus and
0.16 for G.711 (with published figures and the packets lost: 0.44 and 0.85; with the SDK's formula: 0.61 and
0.83).

The loss is the share of sound that was concealed: after FEC, and with packets that came too late. Against
it, single losses and bursts fall on one curve, so there is no term for bursts: an exponent of the mean gap
length, fitted as a third figure, is 0.06 (Opus) and 0.00 (G.711) and does not make the residuals smaller,
and BurstR of G.107 clause 7.5.1 makes them half as large again. For a stretch of a call, take the share
over all of it: the mean of the seconds' scores is 0.3 too high where losses come in bursts, because a
listener remembers the bad second.

On the fullband scale only Bpl of Opus is fitted, to ViSQOL 3 (speech mode: sound up to 8 kHz) of the French
and the Italian voice; the residuals on the English one are 0.24.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from plivo_nb.audio_types import FRAME_S
from plivo_nb.codec_table import CODECS, CodecRow, Impairment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

FloatArray = npt.NDArray[np.float64]
Numbers = npt.ArrayLike
Figures = Literal["measured", "planning"]
Scale = Literal["g107", "g107_fb"]

_OTHER_R0 = 93.2  # of the SDK's formula, for any codec but Opus
_FRAME_MS = 1000.0 * FRAME_S
_CHUNK = 16_384  # rows at a time: the intermediate arrays stay in the processor's cache

# ---------------------------------------------------------------- Plivo's formula


@overload
def sdk(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float: ...
@overload
def sdk(rtt_ms: Numbers, jitter_ms: Numbers, loss: Numbers, codec: Any) -> float | FloatArray: ...
def sdk(rtt_ms: Any, jitter_ms: Any, loss: Any, codec: Any) -> Any:
    """Return the MOS by the SDK's formula, to 3 decimals.

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
    if _all_scalars(codec, rtt_ms, jitter_ms, loss):
        return round(from_rating(r_factor(rtt_ms, jitter_ms, loss, codec)), 3)
    best = _numbers(codec, _sdk_r0, _OTHER_R0)
    return _in_chunks(lambda *row: _rounded_mos(_sdk_rating(*row)), rtt_ms, jitter_ms, loss, best)


@overload
def r_factor(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float: ...
@overload
def r_factor(rtt_ms: Numbers, jitter_ms: Numbers, loss: Numbers, codec: Any) -> float | FloatArray: ...
def r_factor(rtt_ms: Any, jitter_ms: Any, loss: Any, codec: Any) -> Any:
    """Return the transmission rating R of `sdk`; takes the same arguments. It can be negative at high loss.

    Returns:
        at most the codec's R0 (`plivo_nb.codec_table`; 93.2 for an unknown codec); NaN where an argument is
        NaN.
    """
    if _all_scalars(codec, rtt_ms, jitter_ms, loss):
        latency = rtt_ms + 2.0 * jitter_ms + 10.0
        delayed = latency / 40.0 if latency < 160.0 else (latency - 120.0) / 10.0
        return float(_number(codec, _sdk_r0, _OTHER_R0) - delayed - 250.0 * loss)
    return _in_chunks(_sdk_rating, rtt_ms, jitter_ms, loss, _numbers(codec, _sdk_r0, _OTHER_R0))


def _sdk_r0(row: CodecRow) -> float:
    return row.r0


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
    """Return the MOS of a rating R (ITU-T G.107 Annex B): 1 at R <= 0, 4.5 at R >= 100; not rounded.

    The Recommendation's polynomial dips to 0.989 near R = 3; a MOS is never below 1, so it is cut there.
    """
    if isinstance(rating, float):
        r = min(max(rating, 0.0), 100.0)  # NaN stays, for it stands first
        return max(1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r), 1.0)
    return _in_chunks(_mos_curve, rating)


def _mos_curve(rating: FloatArray) -> FloatArray:
    r = np.minimum(np.maximum(rating, 0.0), 100.0)  # for one number, clip() takes ten times as long
    mos: FloatArray = np.maximum(1.0 + r * (0.035 + 7e-6 * ((r - 60.0) * (100.0 - r))), 1.0)
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
_UNDISTURBED = _BASIC_RATIO - _SIMULTANEOUS
_WORST = 95.0  # Ie,eff of a loss without end, 7-29

# G.107.2: Ro,FB of clause 7.2 (Is,FB is 0), the factor to the narrowband scale of Annex A, and Ie,eff,FB of a
# loss without end, clause 7.5
_UNDISTURBED_FB = 148.0
_FB_SCALE = 1.48
_WORST_FB = 132.0


@overload
def g107(delay_ms: float, loss: float, codec: str, *, figures: Figures = "measured") -> float: ...
@overload
def g107(
    delay_ms: Numbers, loss: Numbers, codec: Any, *, figures: Figures = "measured"
) -> float | FloatArray: ...
def g107(delay_ms: Any, loss: Any, codec: Any, *, figures: Figures = "measured") -> Any:
    """Return the MOS-CQE by the E-model, ITU-T G.107 (06/2015), to 3 decimals.

    Delay counts three times, as in the Recommendation: as talker echo, as listener echo (both with the
    default echo loss) and in itself. Loss counts by the codec's figures Ie and Bpl in `plivo_nb.codec_table`.

    Args:
        delay_ms: one-way delay mouth to ear in ms; see `one_way_delay_ms`.
        loss: share of the sound that is missing, 0..1: what was concealed, because its packet was lost and
            not recovered by FEC, or came too late. With `figures="planning"` the share of packets that were
            lost or came too late.
        codec: a name of `plivo_nb.codec_table.CODECS` (any case), or an array of them. Another one gives NaN.
        figures: the codec's figures: `measured` with this package's receiver (see the module's docstring), or
            the published ones for `planning` (ITU-T G.113).

    Returns:
        1 .. 4.5; NaN where an argument is NaN.

    Example:
        >>> g107(0, 0, "PCMU", figures="planning")
        4.409
    """
    row = _narrowband if figures == "measured" else _planning
    ie, bpl = _numbers(codec, lambda codec: row(codec).ie), _numbers(codec, lambda codec: row(codec).bpl)
    return _in_chunks(lambda *row: _rounded_mos(_g107_rating(*row)), delay_ms, loss, ie, bpl)


def g107_rating(delay_ms: Any, loss: Any, codec: Any, *, figures: Figures = "measured") -> Any:
    """Return the rating R of `g107`; takes the same arguments.

    G.711 has 93.2 at best, by `planning`: 93.36, `undisturbed` in `explain`, less 0.15 for the listener echo
    of the equipment, which is there without any delay too (Idle, 7-24).
    """
    row = _narrowband if figures == "measured" else _planning
    ie, bpl = _numbers(codec, lambda codec: row(codec).ie), _numbers(codec, lambda codec: row(codec).bpl)
    return _in_chunks(_g107_rating, delay_ms, loss, ie, bpl)


@overload
def g107_fb(delay_ms: float, loss: float, codec: str) -> float: ...
@overload
def g107_fb(delay_ms: Numbers, loss: Numbers, codec: Any) -> float | FloatArray: ...
def g107_fb(delay_ms: Any, loss: Any, codec: Any) -> Any:
    """Return the MOS-CQEF by the fullband E-model, ITU-T G.107.2 (06/2019), to 3 decimals.

    It does not compare with `g107`: its 4.5 is undistorted sound of 20 Hz to 20 kHz. Delay counts in itself
    only: the Recommendation has no echo.

    Args:
        delay_ms: as for `g107`.
        loss: share of the sound that is missing, 0..1, as for `g107`.
        codec: as for `g107`.

    Returns:
        1 .. 4.5; NaN where an argument is NaN.

    Example:
        >>> g107_fb(50, 0, "OPUS"), g107_fb(50, 0, "PCMU")
        (4.426, 3.246)
    """
    ie, bpl = _numbers(codec, lambda row: row.fullband.ie), _numbers(codec, lambda row: row.fullband.bpl)
    return _in_chunks(
        lambda *row: _rounded_mos(_g107_fb_rating(*row) / _FB_SCALE), delay_ms, loss, ie, bpl
    )  # G.107.2 Annex A


def g107_fb_rating(delay_ms: Any, loss: Any, codec: Any) -> Any:
    """Return the rating R of `g107_fb`, at most 148; takes the same arguments."""
    ie, bpl = _numbers(codec, lambda row: row.fullband.ie), _numbers(codec, lambda row: row.fullband.bpl)
    return _in_chunks(_g107_fb_rating, delay_ms, loss, ie, bpl)


def one_way_delay_ms(rtt_ms: Any, playout_delay_ms: Any, codec: Any) -> Any:
    """Return the mouth-to-ear delay in ms, as far as one end can know it.

    Half of the round trip, the receiver's play-out delay, the 20 ms a packet takes to fill, and the codec's
    look-ahead (Opus: 6.5 ms, RFC 6716 section 2; G.711 has none). What sound hardware adds is not in it.
    """
    if _all_scalars(codec, rtt_ms, playout_delay_ms):
        return rtt_ms / 2.0 + playout_delay_ms + _FRAME_MS + _number(codec, _look_ahead_ms, 0.0)
    look_ahead = _numbers(codec, _look_ahead_ms, 0.0)
    return _plain(_floats(rtt_ms) / 2.0 + _floats(playout_delay_ms) + _FRAME_MS + look_ahead)


def _look_ahead_ms(row: CodecRow) -> float:
    return row.look_ahead_ms


def _narrowband(row: CodecRow) -> Impairment:
    return row.narrowband


def _planning(row: CodecRow) -> Impairment:
    return row.planning


def _fullband(row: CodecRow) -> Impairment:
    return row.fullband


def _g107_rating(delay_ms: FloatArray, loss: FloatArray, ie: FloatArray, bpl: FloatArray) -> FloatArray:
    rating: FloatArray = _UNDISTURBED - _delay_cost(delay_ms) - ie - _loss_cost(loss, ie, bpl, _WORST)
    return rating


def _g107_fb_rating(delay_ms: FloatArray, loss: FloatArray, ie: FloatArray, bpl: FloatArray) -> FloatArray:
    delayed = _FB_SCALE * _pure_delay(delay_ms)  # G.107.2 clause 7.4
    rating: FloatArray = _UNDISTURBED_FB - delayed - ie - _loss_cost(loss, ie, bpl, _WORST_FB)
    return rating


def _loss_cost(loss: FloatArray, ie: FloatArray, bpl: FloatArray, worst: float) -> FloatArray:
    """Return Ie,eff - Ie of G.107 7-29 with BurstR 1."""
    lost_percent = 100.0 * loss
    cost: FloatArray = (worst - ie) * (lost_percent / (lost_percent + bpl))
    return cost


def _delay_cost(delay_ms: FloatArray) -> FloatArray:
    """Return Id of G.107 clause 7.4."""
    return _talker_echo(delay_ms) + _listener_echo(2.0 * delay_ms) + _pure_delay(delay_ms)


def _talker_echo(delay_ms: FloatArray) -> FloatArray:
    """Return Idte, G.107 7-20 to 7-23, for an echo path with the default loss of 65 dB."""
    path = (1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)
    terv = _TELR_DB - 40.0 * np.log10(path) + 6.0 * _decay(0.3 * delay_ms * delay_ms)
    gap = (-1.5 * (_NOISE_DBM0P - _RLR_DB) - (80.0 + 2.5 * (terv - 14.0))) / 2.0
    echo: FloatArray = (gap + np.sqrt(gap * gap + 100.0) - 1.0) * (1.0 - _decay(delay_ms))
    return echo


def _decay(x: FloatArray) -> FloatArray:
    """Return exp(-x), but at least 4e-18, because numpy is three times as slow for the smallest numbers."""
    decay: FloatArray = np.exp(-np.minimum(x, 40.0))
    return decay


def _listener_echo(round_trip_ms: FloatArray) -> FloatArray:
    """Return Idle, G.107 7-24 and 7-25."""
    fourth_root = np.sqrt(np.sqrt(round_trip_ms + 1.0))
    gap = (_BASIC_RATIO - 10.5 * (_WEPL_DB + 7.0) / fourth_root) / 2.0
    echo: FloatArray = gap + np.sqrt(gap * gap + 169.0)
    return echo


def _pure_delay(delay_ms: FloatArray) -> FloatArray:
    """Return Idd, G.107 7-26 and 7-27, with the default sensitivity (mT 100 ms, sT 1): 0 up to 100 ms."""
    x = np.log2(np.maximum(delay_ms, 100.0) / 100.0)
    sixth = (x * x) ** 3
    impairment: FloatArray = 25.0 * ((1.0 + sixth) ** (1 / 6) - 3.0 * (1.0 + sixth / 729.0) ** (1 / 6) + 2.0)
    return impairment


# ---------------------------------------------------------------- where the points go


class Sample(Protocol):
    """The part of a `SampleRow` that `explain` needs."""

    def values(self) -> Mapping[str, Any]:
        """Return the values by column name."""


@overload
def explain(samples: pd.DataFrame, scale: Scale = "g107") -> pd.DataFrame: ...
@overload
def explain(
    samples: Mapping[str, Any] | pd.Series[Any] | Sample, scale: Scale = "g107"
) -> pd.Series[float]: ...
def explain(samples: Any, scale: Scale = "g107") -> Any:
    """Return how many points of R delay, codec, loss and discarded packets cost in the received direction.

    Args:
        samples: a frame of `samples`, or one row of it (a Series, a mapping, or a `SampleRow`).
        scale: `g107` (ITU-T G.107, behind the column `mos_g107`) or `g107_fb` (ITU-T G.107.2, `mos_fb`).

    Returns:
        For a frame a frame with the same index, for one sample a Series. `undisturbed` less `delay`, `codec`,
        `loss` and `discards` is `rating`; all are in points of R. NaN where a number or the codec is missing,
        and where `loss_in` is: nothing was due then. Where nothing arrives that is due (`loss_in` 1), loss
        costs all that delay and codec leave, with or without a round-trip time: `rating` 0, `mos` 1.

        | column | meaning |
        | --- | --- |
        | undisturbed | R without echo, delay, loss and codec: 93.36 (g107), 148 (g107_fb) |
        | delay | cost of the delay from mouth to ear (`one_way_delay_ms`): Id; 0.15 (g107) at 0 ms |
        | codec | cost of the codec without loss: Ie |
        | loss | cost of sound that was concealed because its packet was lost, and not recovered by FEC |
        | discards | cost of sound that was concealed because its packet came too late, or was late when due |
        | rating | R |
        | mos | MOS of it, 1..4.5 |

    Raises:
        ValueError: a column is missing, or there is no such scale.

    Example:
        >>> row = {"rtt_ms": 300, "playout_delay_ms": 60, "codec": "OPUS", "interval_s": 1}
        >>> row |= {"packets_lost_in": 5, "packets_recovered": 3, "packets_discarded": 0, "concealed_ms": 40}
        >>> explain(row)[["delay", "codec", "loss", "discards"]].round(1).to_dict()
        {'delay': 12.3, 'codec': 8.4, 'loss': 21.5, 'discards': 0.0}
    """
    import pandas as pd

    frame = samples if isinstance(samples, pd.DataFrame) else pd.DataFrame([_mapping(samples)])
    if absent := [name for name in _EXPLAINED_BY if name not in frame]:
        raise ValueError(f"To explain a rating, these columns are needed too: {', '.join(absent)}.")
    costs = pd.DataFrame(_costs(frame, scale), index=frame.index)
    return costs if frame is samples else costs.iloc[0].rename(None)


_EXPLAINED_BY = (
    "rtt_ms",
    "playout_delay_ms",
    "codec",
    "interval_s",
    "concealed_ms",
    "packets_lost_in",
    "packets_recovered",
    "packets_discarded",
)


def _mapping(sample: Any) -> Any:
    """Return the columns of a sample by name."""
    return (
        sample.values()
        if callable(getattr(sample, "values", None)) and not hasattr(sample, "keys")
        else sample
    )


def _costs(frame: pd.DataFrame, scale: Scale) -> dict[str, Any]:
    codec, numbers = frame["codec"], {name: _floats(frame[name]) for name in _EXPLAINED_BY if name != "codec"}
    delay_ms = _floats(one_way_delay_ms(numbers["rtt_ms"], numbers["playout_delay_ms"], codec))
    loss_in = _floats(frame["loss_in"]) if "loss_in" in frame else np.zeros(len(frame))
    delay_ms = np.where(np.isnan(loss_in), np.nan, delay_ms)
    if scale == "g107":
        best, worst, factor = _UNDISTURBED, _WORST, 1.0
        delayed, figures = _delay_cost(delay_ms), _narrowband
    elif scale == "g107_fb":
        best, worst, factor = _UNDISTURBED_FB, _WORST_FB, _FB_SCALE
        delayed, figures = _FB_SCALE * _pure_delay(delay_ms), _fullband
    else:
        raise ValueError(f"There is no scale {scale!r}; choose g107 or g107_fb.")
    ie, bpl = (_numbers(codec, lambda row: figures(row).ie), _numbers(codec, lambda row: figures(row).bpl))
    missing = _loss_cost(concealed_share(numbers["concealed_ms"], numbers["interval_s"]), ie, bpl, worst)
    by_loss = _share_of_loss(*(numbers[f"packets_{what}"] for what in ("lost_in", "recovered", "discarded")))
    dead = loss_in == 1.0
    delayed = np.where(dead, np.nan_to_num(delayed), delayed)
    missing, by_loss = np.where(dead, best - delayed - ie, missing), np.where(dead, 1.0, by_loss)
    rating = best - delayed - ie - missing
    return {
        "undisturbed": np.full(len(frame), best),
        "delay": delayed,
        "codec": ie,
        "loss": missing * by_loss,
        "discards": missing * (1.0 - by_loss),
        "rating": rating,
        "mos": _rounded_mos(rating / factor),
    }


def _share_of_loss(lost: FloatArray, recovered: FloatArray, discarded: FloatArray) -> FloatArray:
    """Return the share of concealed sound whose packets were lost, 0..1; the others came too late.

    A packet that is recovered in one interval may have been lost in the one before.
    """
    for_good = np.maximum(lost - recovered, 0.0)
    late = np.maximum(discarded, 0.0)
    any_lost = np.where(lost > 0.0, 1.0, 0.0)
    share: FloatArray = np.divide(for_good, for_good + late, out=any_lost, where=for_good + late != 0.0)
    return share


def concealed_share(concealed_ms: Any, interval_s: Any) -> Any:
    """Return the share of an interval's sound that was concealed, 0..1: the `loss` of `g107` and `g107_fb`.

    Args:
        concealed_ms: the column `concealed_ms` of `samples`.
        interval_s: the column `interval_s`.
    """
    if _all_scalars("", concealed_ms, interval_s) and interval_s > 0:
        return min(max(concealed_ms / (1e3 * interval_s), 0.0), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # an interval of no length has no share
        return _plain(np.clip(_floats(concealed_ms) / (1e3 * _floats(interval_s)), 0.0, 1.0))


# ---------------------------------------------------------------- scalars and arrays


def _all_scalars(codec: Any, *numbers: Any) -> bool:
    """Return whether this is one rating, as in a live call: numpy takes ten times as long for it."""
    return isinstance(codec, str) and all(isinstance(number, float | int) for number in numbers)


def _floats(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _number(codec: str, attribute: Callable[[CodecRow], float], other: float = np.nan) -> float:
    """Return a number of a codec's row; `other` for a codec without one."""
    row = CODECS.get(codec.upper())
    return other if row is None else attribute(row)


def _numbers(codec: Any, attribute: Callable[[CodecRow], float], other: float = np.nan) -> FloatArray:
    """Return a number of each codec's row, in the shape of `codec`; `other` for a codec without one."""
    if isinstance(codec, str):
        return np.asarray(_number(codec, attribute, other))
    import pandas as pd

    names = codec.array if isinstance(codec, pd.Series) else codec
    if not isinstance(names, pd.Categorical):
        shape = np.shape(names)
        names = pd.Categorical(np.asarray(names, dtype=object).reshape(-1))
    else:
        shape = names.shape
    by_code = [_number(str(name), attribute, other) for name in names.categories]
    values: FloatArray = np.array([*by_code, other]).take(names.codes, mode="wrap")  # -1 is a missing name
    return values.reshape(shape)


def _in_chunks(function: Callable[..., FloatArray], *arguments: Any) -> Any:
    """Apply an element-wise `function` to broadcast numbers, a chunk of rows at a time.

    Numbers that are the same for all rows stay scalars: numpy is quicker with them.
    """
    arrays = [_floats(argument) for argument in arguments]
    if not any(array.ndim for array in arrays):  # one rating, as in a live call
        return float(function(*(array[()] for array in arrays)))
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    if math.prod(shape) <= _CHUNK:
        return _plain(np.asarray(function(*np.broadcast_arrays(*arrays))))
    rows = [a if a.ndim == 0 else np.broadcast_to(a, shape).reshape(-1) for a in arrays]
    result = np.empty(shape)
    flat = result.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        flat[part] = function(*(row if row.ndim == 0 else row[part] for row in rows))
    return result


def _plain(array: npt.NDArray[Any]) -> Any:
    return float(array) if np.ndim(array) == 0 else array
