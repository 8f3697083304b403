"""Speech after loss, by PESQ (ITU-T P.862) and ViSQOL: measures what the E-model's figures are fitted to.

    pip install "plivo-nb[listen]"; cd tests && python -m bench.listening_quality

Recorded voices go through the encoder, a simulated network that loses packets, and this package's jitter
buffer, in-band FEC and concealment. What is heard is scored against what was said, and the score is
compared with `plivo_nb.quality.mos`. Time is simulated, so the figures are the same in every run. It takes
four minutes; `--short`, a form with one voice, half a minute.

The voices are the prompts of Debian's packages asterisk-core-sounds-{en,es,fr,it,ru}-g722, 16 kHz. The
narrowband figures of `plivo_nb.codec_table` are fitted on the French one, the fullband ones on the French
and the Italian one (`--fit` prints the fit); the others test them.

The package `pesq` contains the reference code of P.862. Its owners, OPTICOM and Psytechnics, permit to
evaluate the algorithm with it; they do not permit to distribute it or to use it or its results
commercially. Read the notice in its sources before you use it for anything else. ViSQOL is Apache-2.0.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import math
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from simulation.media_network import Given, Pair

from plivo_nb.audio_types import FRAME_S, Pcm
from plivo_nb.codec_table import CODECS
from plivo_nb.media.codecs import Codec
from plivo_nb.quality import mos
from plivo_nb.quality.counters import Counters

Row = dict[str, Any]

SOUNDS = Path("/usr/share/asterisk/sounds")
VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
PROMPT = "demo-instruct.g722"  # more than a minute in each language
RATE = 16_000
SEGMENT_S = 10.0  # P.862.3 section 7: 8 to 20 s, half of it speech at least
STARTS_S = (1.0, 16.0, 31.0, 46.0)
LOSS = (0.0, 0.01, 0.03, 0.05, 0.10, 0.20)
BURSTS = (1, 3, 8)  # mean packets in a row; 1: each packet by itself
MEASURED = ("OPUS", "PCMU")
PAYLOAD = {name: (row.payload_type, row.clock_rate_hz) for name, row in CODECS.items()}
# by scale; for PESQ the voice whose score without loss is the median of the five
FITTED_ON = {"g107": ("fr",), "g107_fb": ("fr", "it")}
VISQOL_VOICES = ("fr", "it", "en")
SHORT_VISQOL = ((0.0, 1), (0.05, 1), (0.05, 3), (0.20, 8))
AIM = 0.25  # root mean square of the residuals, in MOS
KEYS = ["codec", "burst", "loss"]
# ITU-T G.107 and G.107.2: R at best, Ie,eff of a loss without end, R of MOS 4.5 divided by 100; the measure
SCALES = {"g107": (93.3552, 95.0, 1.0, "pesq"), "g107_fb": (148.0, 132.0, 1.48, "visqol")}


# ---------------------------------------------------------------- voices


def resampled(pcm: Pcm, rate: int, to: int) -> Pcm:
    """Change the sample rate, with FFmpeg's resampler."""
    if rate == to:
        return pcm
    resampler = av.AudioResampler(format="s16", layout="mono", rate=to)
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.int16)


@cache
def voice(language: str) -> Pcm:
    """Decode a language's prompt: mono, 16 kHz."""
    path = SOUNDS / VOICES[language] / PROMPT
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; install the Debian package asterisk-core-sounds-{language}-g722."
        )
    with av.open(str(path), format="g722") as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


def segment(language: str, start_s: float) -> Pcm:
    """Cut 10 s out of a language's prompt."""
    first = round(start_s * RATE)
    return voice(language)[first : first + round(SEGMENT_S * RATE)]


# ---------------------------------------------------------------- the network


def gilbert(loss: float, burst: float, packets: int, seed: int) -> list[bool]:
    """Which packets are lost, by Gilbert's model of two states.

    Args:
        loss: share lost, 0..1. The realised share is within a tenth of it, and within a packet.
        burst: mean number of packets lost in a row; 1 gives independent losses.
        packets: how many to decide.
        seed: the first one to try.
    """
    wanted = loss * packets
    for attempt in itertools.count(seed * 10_000):
        decide = random.Random(attempt)
        lost: list[bool] = []
        bad = False
        for _ in range(packets):
            if burst == 1:
                bad = decide.random() < loss
            elif bad:
                bad = decide.random() >= 1 / burst
            else:
                bad = decide.random() < loss / (burst * (1 - loss))
            lost.append(bad)
        if abs(sum(lost) - wanted) <= max(1.0, 0.1 * wanted):
            return lost
    raise AssertionError("unreachable")


# ---------------------------------------------------------------- one listening


@dataclass(frozen=True)
class Condition:
    """One cell of the table."""

    codec: str
    language: str
    loss: float
    burst: int


Job = tuple[Condition, tuple[float, ...], tuple[float, ...]]  # segments to score, and those for ViSQOL too


def share_concealed(now: Counters, before: Counters) -> float:
    """The share of the sound played between two readings that was concealed."""
    played = now.total_samples - before.total_samples
    return (now.concealed_samples - before.concealed_samples) / played if played else math.nan


def heard(codec: Codec, pcm: Pcm, lost: list[bool]) -> tuple[Pcm, list[Counters]]:
    """Send speech through a lossy network.

    Returns:
        What is played at the far end at the codec's rate, and the receiver's counters after each second.
    """
    pair = Pair(codec)
    pair.a.source = Given(pcm)
    fate = iter(lost)
    pair.ab.decide = lambda: next(fate, False)
    pair.ab.delay_s = 0.1
    readings = [Counters()]
    for _ in range(round(len(pcm) / codec.clock_rate)):
        pair.run(1.0)
        readings.append(pair.b.counters())
    pair.run(0.5)
    return pair.heard_b.pcm(), [*readings, pair.b.counters()]


def pesq_score(said: Pcm, played: Pcm) -> float:
    """MOS-LQO by narrowband PESQ (P.862 with the mapping of P.862.1) of 16 kHz samples."""
    from pesq import pesq

    return float(pesq(8_000, resampled(said, RATE, 8_000), resampled(played, RATE, 8_000), "nb"))


@cache
def _visqol() -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True, search_window=4)
    return api


def visqol_score(said: Pcm, played: Pcm) -> float:
    """MOS-LQO by ViSQOL 3 in speech mode of 16 kHz samples."""
    return float(_visqol().measure_from_arrays(said / 32768.0, played / 32768.0, RATE).moslqo)


def listen(
    condition: Condition, starts_s: tuple[float, ...], visqol_starts_s: tuple[float, ...]
) -> list[Row]:
    """Score each segment of a condition; the segments share one run of the loss model.

    Returns:
        One row a segment: the condition; shares of packets lost and recovered; `concealed`, the share of the
        sound; `seconds`, that of each second; `gap_ms`, the mean length of what was concealed in a row; the
        scores.
    """
    codec = Codec(condition.codec, *PAYLOAD[condition.codec])
    packets = round(SEGMENT_S / FRAME_S)
    pattern = gilbert(
        condition.loss, condition.burst, packets * len(starts_s), seed=list(VOICES).index(condition.language)
    )
    rows: list[Row] = []
    for index, start_s in enumerate(starts_s):
        said = segment(condition.language, start_s)
        lost = pattern[index * packets : (index + 1) * packets]
        played, readings = heard(codec, resampled(said, RATE, codec.clock_rate), lost)
        played = resampled(played, codec.clock_rate, RATE)
        end = readings[-1]
        seconds = [share_concealed(now, then) for then, now in itertools.pairwise(readings[:-1])]
        rows.append(
            {
                **asdict(condition),
                "start_s": start_s,
                "lost": sum(lost) / packets,
                "recovered": end.packets_recovered / packets,
                "concealed": share_concealed(end, Counters()),
                "seconds": seconds,
                "gap_ms": 1e3 * end.concealed_samples / codec.clock_rate / max(1, end.concealment_events),
                "pesq": pesq_score(said, played),
                "visqol": visqol_score(said, played) if start_s in visqol_starts_s else math.nan,
            }
        )
    return rows


def conditions(
    codecs: tuple[str, ...] = MEASURED, languages: tuple[str, ...] = tuple(VOICES)
) -> Iterator[Condition]:
    """All cells: codecs, voices, single losses and bursts, losses."""
    for codec, language, burst, loss in itertools.product(codecs, languages, BURSTS, LOSS):
        if loss or burst == 1:
            yield Condition(codec, language, loss, burst)


def measure(jobs: list[Job], processes: int) -> pd.DataFrame:
    """Measure conditions, in processes of their own."""
    if processes == 1:
        return pd.DataFrame([row for job in jobs for row in listen(*job)])
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        done = pool.map(listen, *zip(*jobs, strict=True), chunksize=4)
        return pd.DataFrame([row for rows in done for row in rows])


# ---------------------------------------------------------------- the model beside it


def with_models(measured: pd.DataFrame) -> pd.DataFrame:
    """Add what the models say of each segment, listening only (without delay).

    Columns: `g107` and `fb` by the share concealed of the segment; `g107_seconds`, the mean over its seconds,
    as the samples of a call give it; `planning`, by the published figures and the packets lost; `sdk`.
    """
    codec = measured["codec"]
    return measured.assign(
        g107=mos.g107(0.0, measured["concealed"], codec),
        g107_seconds=[
            np.nanmean(mos.g107(0.0, np.array(seconds), name))
            for seconds, name in zip(measured["seconds"], codec, strict=True)
        ],
        planning=mos.g107(0.0, measured["lost"], codec, figures="planning"),
        sdk=mos.sdk(0.0, 0.0, measured["lost"], codec),
        fb=mos.g107_fb(0.0, measured["concealed"], codec),
    )


def by_condition(rows: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Means over the segments, one row a condition (and language)."""
    return rows.groupby([*KEYS, *more]).mean(numeric_only=True)


def rmse(rows: pd.DataFrame, model: str, measure: str = "pesq") -> float:
    """Root mean square of the residuals of a model over conditions and languages, in MOS."""
    cells = by_condition(rows.dropna(subset=[measure]), "language")
    return float(np.sqrt(((cells[model] - cells[measure]) ** 2).mean()))


def fitted(rows: pd.DataFrame, scale: str, form: str = "plain") -> list[float]:
    """Fit Ie and Bpl by least squares.

    Args:
        rows: of one codec.
        scale: `g107`, fitted to `pesq`, or `g107_fb`, fitted to `visqol`.
        form: `plain`; `gap`, where Bpl falls with a power of the mean gap, the third figure; `burst_r`,
            G.107 7-29 with the mean gap in packets as BurstR.

    Returns:
        The figures.
    """
    from scipy.optimize import least_squares

    start, low, high = [5.0, 12.0], [0.0, 0.5], [80.0, 100.0]
    if scale == "g107_fb":  # Ie is the published one: ViSQOL hears up to 8 kHz only
        published = CODECS[rows["codec"].iloc[0]].fullband.ie
        start[0], low[0], high[0] = published, published - 1e-6, published + 1e-6
    if form == "gap":
        start, low, high = [*start, 0.1], [*low, -2.0], [*high, 2.0]
    found = least_squares(lambda figures: residuals(rows, figures, scale, form), start, bounds=(low, high))
    return [float(figure) for figure in found.x]


def residuals(rows: pd.DataFrame, figures: list[float], scale: str, form: str = "plain") -> Any:
    """Model less measure of each condition and language; arguments as for `fitted`."""
    best, worst, factor, measure = SCALES[scale]
    rows = rows.dropna(subset=[measure])
    percent, gap = 100 * rows["concealed"], np.maximum(rows["gap_ms"] / (1e3 * FRAME_S), 1.0)
    ie, bpl = figures[:2]
    if form == "gap":
        bpl = bpl * gap ** -figures[2]
    spread = percent / gap if form == "burst_r" else percent
    rating = best - ie - (worst - ie) * percent / (spread + bpl)
    cells = by_condition(rows.assign(model=mos.from_rating(rating / factor)), "language")
    return (cells["model"] - cells[measure]).to_numpy()


# ---------------------------------------------------------------- the report


def print_fit(rows: pd.DataFrame) -> None:
    """Print the figures as fitted, in three forms, with the residuals on those voices and on the others."""
    print("\nIe, Bpl and the exponent of the gap as fitted; RMSE on the voices fitted to, and on the others:")
    for codec, part in rows.groupby("codec"):
        for scale, (_, _, _, measure) in SCALES.items():
            own = part["language"].isin(FITTED_ON[scale])
            if part[measure].isna().all():
                continue
            for form in ("plain", "gap", "burst_r"):
                figures = fitted(part[own], scale, form)
                errors = (residuals(some, figures, scale, form) for some in (part[own], part[~own]))
                shown = "".join(f"{figure:7.2f}" for figure in figures)
                print(
                    f"  {codec} {scale:8}{form:8}{shown:21}",
                    *(f"{np.sqrt((e**2).mean()):.3f}" for e in errors),
                )


def print_tables(rows: pd.DataFrame) -> None:
    """Print the table of conditions, and the residuals."""
    others = rows[~rows["language"].isin(FITTED_ON["g107"])]
    shown = ["concealed", "pesq", "g107", "g107_seconds", "planning", "sdk", "visqol", "fb"]
    table = by_condition(others)[shown]
    print(
        f"\nMean over the voices {', '.join(sorted(set(others['language'])))}; "
        "concealed in percent of the sound, the rest MOS:"
    )
    print(table.assign(concealed=100 * table["concealed"]).round(2).to_string())
    print(f"\nRoot mean square of the residuals (aim {AIM} for g107 against pesq):")
    for codec, part in others.groupby("codec"):
        models = ("g107", "g107_seconds", "planning", "sdk")
        against = ", ".join(f"{model} {rmse(part, model):.2f}" for model in models)
        print(f"  {codec} against PESQ: {against}")
        voices = ", ".join(f"{name} {rmse(voice, 'g107'):.2f}" for name, voice in part.groupby("language"))
        print(f"  {codec} g107 by voice: {voices}")
        if (tested := part[part["visqol"].notna()]).size:
            voices = ", ".join(
                f"{name} {rmse(v, 'fb', 'visqol'):.2f}" for name, v in tested.groupby("language")
            )
            print(f"  {codec} fb against ViSQOL by voice: {voices}")


def _has_visqol(condition: Condition) -> bool:
    """ViSQOL rates G.711 2.1 to 2.5 whatever is lost, because of its bandwidth: there is nothing to fit."""
    return condition.codec == "OPUS" and condition.language in VISQOL_VOICES


def full(codecs: tuple[str, ...]) -> list[Job]:
    """Everything: PESQ of all voices; ViSQOL of Opus and three voices, for it takes twenty times as long."""
    return [
        (condition, STARTS_S, STARTS_S[:2] if _has_visqol(condition) else ())
        for condition in conditions(codecs)
    ]


def short(language: str = "it") -> list[Job]:
    """One voice that the figures were not fitted to, one segment a condition; ViSQOL of four conditions."""
    return [
        (condition, STARTS_S[:1], STARTS_S[:1] if _has_visqol(condition) and in_short(condition) else ())
        for condition in conditions(languages=(language,))
    ]


def in_short(condition: Condition) -> bool:
    """Whether the short form has ViSQOL of it."""
    return (condition.loss, condition.burst) in SHORT_VISQOL


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.listening_quality", description="PESQ and ViSQOL after loss."
    )
    parser.add_argument(
        "--short", action="store_true", help="one voice and one segment a condition, as CI does"
    )
    parser.add_argument("--fit", action="store_true", help="also print Ie and Bpl as fitted")
    parser.add_argument(
        "--codec", action="append", choices=list(PAYLOAD), help="measure this codec (repeatable)"
    )
    parser.add_argument("--save", type=Path, help="write what was measured to this CSV file")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    missing = [name for name in ("pesq", "visqol") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"This bench needs {' and '.join(missing)}, and a C compiler: pip install 'plivo-nb[listen]'."
        )
    started = time.monotonic()
    jobs = short() if asked.short else full(tuple(asked.codec or MEASURED))
    rows = measure(jobs, asked.processes)
    print(f"{len(rows)} segments of {SEGMENT_S:.0f} s in {time.monotonic() - started:.0f} s")
    if asked.save:
        rows.drop(columns="seconds").round(4).to_csv(asked.save, index=False)
    if asked.fit and not asked.short:
        print_fit(rows)
    print_tables(with_models(rows))


if __name__ == "__main__":
    main()
