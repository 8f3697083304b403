"""The knobs of the lab's network: one table of names, units, ranges and meanings, and their types.

The validation of values, the help of `Lab.network.set` and the reading of scenario files use this table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

Direction = Literal["to_callee", "to_caller"]
DirectionOrBoth = Literal["both", "to_callee", "to_caller"]
JitterShape = Literal["uniform", "normal"]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
JITTER_SHAPES: tuple[JitterShape, ...] = get_args(JitterShape)
MAX_DELAY_MS = 60_000.0


class NetworkKnobs(TypedDict, total=False):
    """The knobs as keyword arguments. `KNOBS` has their units, ranges and meanings."""

    loss: float
    burst_packets: float
    burst_loss: float
    delay_ms: float
    jitter_ms: float
    jitter_shape: JitterShape
    reorder: bool
    duplicate: float
    rate_kbps: float | None
    queue_ms: float
    black_hole: bool


@dataclass(frozen=True, slots=True)
class Knob:
    """One knob of one direction.

    Args:
        meaning: what it does to packets.
        default: its value in a clean network.
        unit: of a number; empty for texts and switches.
        low: the smallest number allowed.
        high: the largest number allowed.
        choices: the values allowed, for a text.
        optional: None is allowed too.
    """

    meaning: str
    default: Any
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def kind(self) -> Literal["number", "switch", "text"]:
        """The type of its values."""
        if self.choices:
            return "text"
        return "switch" if isinstance(self.default, bool) else "number"

    @property
    def range(self) -> str:
        """The values allowed, in words."""
        if self.kind == "number":
            return f"{self.low:g} to {self.high:g}" + (" or None" if self.optional else "")
        return " or ".join(self.choices) if self.choices else "True or False"

    def check(self, name: str, value: Any) -> None:
        """Check a value.

        Raises:
            ValueError: the value has the wrong type or is out of range.
        """
        if self.kind == "text":
            if value not in self.choices:
                raise ValueError(f"{name} must be {' or '.join(map(repr, self.choices))}, not {value!r}.")
        elif self.kind == "switch":
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False, not {value!r}.")
        elif not (value is None and self.optional):
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not self.low <= value <= self.high:
                raise ValueError(f"{name} must be a number from {self.range}, not {value!r}.")


KNOBS: dict[str, Knob] = {
    "loss": Knob("fraction of the RTP and RTCP packets that is dropped", 0.0, "fraction"),
    "burst_packets": Knob(
        "mean length of a bad period; above 1 the loss comes in bursts (Gilbert-Elliott model)",
        1.0,
        "packets",
        low=1.0,
        high=1e6,
    ),
    "burst_loss": Knob("fraction dropped within a bad period; at least loss", 1.0, "fraction"),
    "delay_ms": Knob("added one-way delay", 0.0, "ms", high=MAX_DELAY_MS),
    "jitter_ms": Knob(
        "variation of the delay: half width (uniform) or standard deviation (normal)",
        0.0,
        "ms",
        high=MAX_DELAY_MS,
    ),
    "jitter_shape": Knob("distribution of the variation", "uniform", choices=JITTER_SHAPES),
    "reorder": Knob("whether jitter may change the order of packets", True),
    "duplicate": Knob("fraction of the RTP and RTCP packets that is sent twice", 0.0, "fraction"),
    "rate_kbps": Knob(
        "rate of the bottleneck, IP and UDP headers included; None = no bottleneck",
        None,
        "kbit/s",
        low=0.1,
        high=1e9,
        optional=True,
    ),
    "queue_ms": Knob(
        "size of the queue at the bottleneck; packets that do not fit are dropped",
        500.0,
        "ms",
        high=MAX_DELAY_MS,
    ),
    "black_hole": Knob("drop every packet, STUN and DTLS included", False),
}


def default_knobs() -> dict[str, Any]:
    """The knobs of a clean network.

    Example:
        >>> default_knobs()["loss"]
        0.0
    """
    return {name: knob.default for name, knob in KNOBS.items()}


def with_knob_table(function: F) -> F:
    """Replace ``{knobs}`` in the docstring of a function by the table of knobs (a decorator)."""
    rows = []
    for name, knob in KNOBS.items():
        values = f"{knob.range} {knob.unit}".rstrip()
        rows.append(f"                - ``{name}`` ({values}; default {knob.default}): {knob.meaning}")
    if function.__doc__:  # python -OO removes docstrings
        function.__doc__ = function.__doc__.replace("{knobs}", "\n".join(rows).lstrip())
    return function
