"""What happens in each labelled call: the recipes of `bench.labelled_calls`, and the frames recorded by them.

The label is the cause that a diagnosis must name first; ``""`` where it must name none. The diagnosis was
written with the calls of `develop`. Those of `held-out`, with other seeds and mixtures, are for a score only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from plivo_nb.analysis import store
from plivo_nb.analysis.call_frames import CallFrames

SetName = Literal["develop", "held-out"]
SETS: dict[SetName, int] = {"develop": 160, "held-out": 2027}
FOLDER = Path(__file__).parents[1] / "data" / "labelled_calls"
AT_ONCE = 9  # calls of one process: more disturb each other on a machine with two cores
_FRAMES = ("calls", "samples", "media_metrics")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One call.

    Args:
        label: the cause, or ``""``.
        direction: of the cause: in, out or ``""``.
        what: what happens, in words.
        seconds: from the answer to the hang-up.
        codecs, far_codecs: of the caller and of the callee.
        says, hears: what the caller and the callee say, see `bench.labelled_calls`.
        network: (seconds after the answer, direction as the lab names it, knobs).
        actions: (seconds after the answer, what the caller or its process does, a number).
        first: what is done before the call: a fault of the lab, or knobs of its network.
        alone: in a process and a lab of its own.
        sound: whether the caller has a sound card.
    """

    label: str
    what: str
    direction: str = ""
    seconds: float = 24.0
    codecs: tuple[str, ...] = ("OPUS", "PCMU")
    far_codecs: tuple[str, ...] = ("OPUS", "PCMU", "PCMA")
    says: str = "speech"
    hears: str = "speech"
    network: tuple[tuple[float, str, dict[str, Any]], ...] = ()
    actions: tuple[tuple[float, str, float], ...] = ()
    first: tuple[str, float] | None = None
    alone: bool = False
    sound: bool = False


def recipes(name: SetName) -> list[Recipe]:
    """All calls of a set, in their order. The same name gives the same calls."""
    dice = random.Random(SETS[name])
    made = [recipe for group in _GROUPS for recipe in group(dice)]
    return (
        [_mixed(recipe, dice) if recipe.label else recipe for recipe in made] if name == "held-out" else made
    )


def _mixed(recipe: Recipe, dice: random.Random) -> Recipe:
    """The same with a little delay, jitter and loss from the beginning, which is not the cause."""
    knobs = {"delay_ms": dice.randrange(20, 75), "jitter_ms": dice.randrange(3, 10), "reorder": False}
    loss = {"loss": dice.choice((0.0, 0.004))}
    others = tuple(step for step in recipe.network if step[2] != _HARMLESS)
    return replace(recipe, network=((0.0, "both", knobs | loss), *others))


def batches(name: SetName) -> list[list[tuple[int, Recipe]]]:
    """The calls, with their numbers, that are made side by side in one process."""
    numbered = list(enumerate(recipes(name)))
    together = [item for item in numbered if not item[1].alone]
    parts = [together[start : start + AT_ONCE] for start in range(0, len(together), AT_ONCE)]
    return parts + [[item] for item in numbered if item[1].alone]


def load(name: SetName) -> CallFrames:
    """The recorded frames of a set. `calls` has the columns number, label, label_direction and what."""
    frames = {frame: store.load(FOLDER / f"{name}-{frame}.parquet") for frame in _FRAMES}
    return CallFrames.of(**frames)


def save(name: SetName, frames: CallFrames) -> None:
    """Write the frames of a set."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for frame in _FRAMES:
        store.save(getattr(frames, frame), FOLDER / f"{name}-{frame}.parquet", frame)


def each(frames: CallFrames) -> Iterator[tuple[pd.Series[Any], CallFrames]]:
    """Each call's row, and its frames."""
    for place, (_, row) in enumerate(frames.calls.iterrows()):
        of_call = [
            frame[frame["call_uuid"] == row["call_uuid"]] for frame in (frames.samples, frames.media_metrics)
        ]
        yield row, CallFrames(frames.calls.iloc[[place]], *of_call)


# ---------------------------------------------------------------- the calls

_WAYS = {"in": "to_caller", "out": "to_callee"}
_HARMLESS: dict[str, Any] = {"delay_ms": 25, "jitter_ms": 4, "reorder": False}


def _steadily(direction: str, **knobs: Any) -> tuple[tuple[float, str, dict[str, Any]], ...]:
    """An ordinary network both ways, and these knobs one way, or both."""
    return ((0.0, "both", _HARMLESS), (2.0, _WAYS.get(direction, "both"), knobs))


def _clean(dice: random.Random) -> Iterator[Recipe]:
    for codec in ("OPUS", "PCMU", "PCMA"):
        yield Recipe(
            label="",
            what=f"ordinary, {codec}",
            codecs=(codec,),
            seconds=dice.uniform(18, 32),
            network=((0.0, "both", _HARMLESS),),
        )
    yield Recipe(
        label="", what="both talk quietly", says="quiet", hears="quiet", seconds=dice.uniform(18, 30)
    )
    yield Recipe(label="", what="the far end pauses for long", hears="pauses", seconds=dice.uniform(24, 31))
    yield Recipe(
        label="",
        what="this end pauses for long",
        says="pauses",
        codecs=("PCMU",),
        seconds=dice.uniform(24, 31),
    )
    loss = round(dice.uniform(0.003, 0.007), 4)
    yield Recipe(label="", what=f"loss of {loss:.1%}", network=_steadily("", loss=loss), hears="pauses")
    delay_ms = dice.randrange(50, 100)
    yield Recipe(label="", what=f"{delay_ms} ms each way", network=((0.0, "both", {"delay_ms": delay_ms}),))
    jitter_ms = dice.randrange(8, 16)
    yield Recipe(
        label="",
        what=f"delay that varies by {jitter_ms} ms",
        says="quiet",
        network=((0.0, "both", {"delay_ms": 30, "jitter_ms": jitter_ms}),),
    )
    yield Recipe(label="", what="a short call", seconds=dice.uniform(8, 11), hears="quiet")
    yield Recipe(label="", what="a sound card", sound=True, seconds=dice.uniform(18, 26))
    muted_s = round(dice.uniform(2.0, 4.0), 1)
    yield Recipe(
        label="",
        what=f"muted for {muted_s} s",
        actions=((8.0, "mute", 1), (8.0 + muted_s, "mute", 0)),
    )


def _choppy(dice: random.Random) -> Iterator[Recipe]:
    for number, direction in enumerate(("in", "out", "in", "out", "in")):
        loss, burst = round(dice.uniform(0.07, 0.2), 3), dice.choice((1, 1, 3, 6))
        codec = ("OPUS", "PCMU")[number % 2]
        more = {"jitter_ms": dice.choice((4, 10))} if dice.random() < 0.5 else {}
        yield Recipe(
            label="choppy",
            direction=direction,
            codecs=(codec,),
            hears=dice.choice(("speech", "quiet")),
            what=f"loss of {loss:.0%} in runs of {burst}, {codec}",
            network=_steadily(direction, loss=loss, burst_packets=burst, **more),
        )
    loss = round(dice.uniform(0.15, 0.3), 2)
    start = dice.uniform(5, 9)
    yield Recipe(
        label="choppy",
        direction="in",
        what=f"loss of {loss:.0%} for 9 s",
        seconds=26,
        network=(
            (0.0, "both", _HARMLESS),
            (start, "to_caller", {"loss": loss, "burst_packets": 4}),
            (start + 9, "to_caller", {"loss": 0.0, "burst_packets": 1}),
        ),
    )


def _robotic(dice: random.Random) -> Iterator[Recipe]:
    for direction, codec in (("in", "OPUS"), ("out", "OPUS"), ("in", "PCMU"), ("out", "PCMU")):
        jitter_ms, shape = dice.randrange(65, 110), dice.choice(("uniform", "uniform", "normal"))
        jitter_ms = jitter_ms if shape == "uniform" else round(jitter_ms * 0.6)
        loss = dice.choice((0.0, 0.0, 0.01))
        knobs = {"delay_ms": jitter_ms + 5, "jitter_ms": jitter_ms, "jitter_shape": shape, "loss": loss}
        yield Recipe(
            label="robotic",
            direction=direction,
            codecs=(codec,),
            what=f"delay that varies by {jitter_ms} ms ({shape}), loss {loss:.0%}, {codec}",
            network=_steadily(direction, reorder=True, **knobs),
        )


def _lag(dice: random.Random) -> Iterator[Recipe]:
    for _ in range(3):
        delay_ms, loss = dice.randrange(260, 600), dice.choice((0.0, 0.004, 0.01))
        way = dice.choice(("both", "both", "to_caller"))
        delay_ms = delay_ms * (2 if way != "both" else 1)
        yield Recipe(
            label="lag",
            what=f"{delay_ms} ms {way}, loss {loss:.1%}",
            hears=dice.choice(("speech", "pauses")),
            seconds=dice.uniform(24, 30),
            network=(
                (0.0, "both", _HARMLESS),
                (0.0, way, {"delay_ms": delay_ms, "jitter_ms": 8, "loss": loss}),
            ),
        )


def _dead(dice: random.Random) -> Iterator[Recipe]:
    for direction, codec in (("in", "OPUS"), ("in", "PCMU"), ("out", "OPUS"), ("out", "PCMU")):
        yield Recipe(
            label="one_way_audio",
            direction=direction,
            codecs=(codec,),
            what="no packets from the start",
            seconds=dice.uniform(16, 24),
            network=((0.0, _WAYS[direction], {"loss": 1.0}),),
        )
    for way in ("both", "both", "to_caller"):
        start, lasts = dice.uniform(6, 9), dice.uniform(4.5, 9)
        yield Recipe(
            label="outage",
            what=f"nothing passes {way} for {lasts:.0f} s",
            seconds=30,
            network=(
                (0.0, "both", _HARMLESS),
                (start, way, {"black_hole": True}),
                (start + lasts, way, {"black_hole": False}),
            ),
        )


def _silent(dice: random.Random) -> Iterator[Recipe]:
    yield Recipe(label="microphone_silent", what="digital silence", says="silence", sound=True)
    yield Recipe(
        label="microphone_silent", what="noise of -80 dBFS", says="noise", codecs=("PCMU",), sound=True
    )
    yield Recipe(
        label="microphone_silent",
        what="a source that falls silent",
        says="falls silent",
        hears="pauses",
        seconds=dice.uniform(24, 30),
    )
    start = dice.uniform(1, 6)
    yield Recipe(label="muted", what="muted to the end", actions=((start, "mute", 1),), hears="pauses")
    yield Recipe(
        label="muted",
        what="muted for 15 s",
        seconds=30,
        sound=True,
        actions=((start, "mute", 1), (start + 15, "mute", 0)),
    )
    for codec, hears in (("OPUS", "silence"), ("PCMU", "noise"), ("OPUS", "falls silent")):
        yield Recipe(
            label="far_end_silent",
            what=f"the far end: {hears}",
            codecs=(codec,),
            hears=hears,
            seconds=dice.uniform(22, 30),
        )
    for codec in ("OPUS", "PCMU"):
        start = dice.uniform(7, 11)
        yield Recipe(
            label="device_lost",
            what="the microphone is pulled out",
            codecs=(codec,),
            sound=True,
            actions=((start, "unplug", 0),),
        )


def _codec(dice: random.Random) -> Iterator[Recipe]:
    for far in ("PCMU", "PCMA"):
        yield Recipe(
            label="codec_fall_back",
            what=f"the far end has {far} only",
            codecs=("OPUS", "PCMU", "PCMA"),
            far_codecs=(far,),
            hears=dice.choice(("speech", "quiet")),
            network=((0.0, "both", _HARMLESS),),
        )


def _set_up(dice: random.Random) -> Iterator[Recipe]:
    for what in ("socket", "register", "ringing", "ice"):
        yield Recipe(
            label="slow_set_up",
            what=what,
            first=(what, round(dice.uniform(1.3, 2.2), 1)),
            alone=True,
            seconds=dice.uniform(16, 20),
        )


def _machine(dice: random.Random) -> Iterator[Recipe]:
    blocks: tuple[Callable[[], tuple[tuple[float, str, float], ...]], ...] = (
        lambda: tuple((at, "sleep", dice.uniform(0.5, 1.2)) for at in range(4, 22, 3)),
        lambda: tuple((at, "compute", dice.uniform(0.4, 1.0)) for at in range(4, 22, 2)),
        lambda: ((dice.uniform(6, 9), "sleep", dice.uniform(4, 6)),),
        lambda: ((dice.uniform(6, 9), "compute", dice.uniform(5, 8)),),
    )
    for number, made in enumerate(blocks):
        yield Recipe(
            label="busy_kernel",
            what=("short sleeps", "short computations", "a long sleep", "a long computation")[number],
            actions=made(),
            codecs=("OPUS", "PCMU") if number % 2 else ("PCMU",),
            alone=True,
        )
    for _ in range(2):
        away_s = dice.uniform(5, 9)
        yield Recipe(
            label="server_away",
            what=f"the server is away for {away_s:.0f} s",
            actions=((7.0, "restart", away_s),),
            alone=True,
            seconds=26,
            says=dice.choice(("speech", "quiet")),
        )


_GROUPS: tuple[Callable[[random.Random], Iterator[Recipe]], ...] = (
    _clean,
    _choppy,
    _robotic,
    _lag,
    _dead,
    _silent,
    _codec,
    _set_up,
    _machine,
)
