"""The rows and columns of the table, and how a cell is written."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

COLUMNS = {
    "ours": "plivo_nb",
    "aiortc": "stock aiortc",
    "chromium": "Chromium, JsSIP",
    "pjsua2": "pjsua2",
}
LOSSES = (0.01, 0.05, 0.10)
#: PESQ without loss too: what codec and rig take of it.
SHARES = {"unplayed": LOSSES, "pesq": (0.0, *LOSSES)}
CALLS = (1, 10, 40)
RATES = {"OPUS": 48_000, "PCMU": 8_000}
CODECS = tuple(RATES)
#: A party that carried less than this share of its frames did not keep up.
CARRIED = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its name for --only, what it says, its unit, and the decimals of its numbers."""

    name: str
    text: str
    unit: str
    decimals: int


def _rows() -> tuple[Row, ...]:
    named = {"OPUS": "Opus", "PCMU": "PCMU"}
    rows = []
    for codec in CODECS:
        for calls in CALLS:
            text = f"CPU an endpoint-minute, {named[codec]}, {calls} call" + "s" * (calls > 1)
            rows.append(Row(f"cpu.{codec.lower()}.{calls}", text, "s", 2))
    rows += [Row(f"memory.{c.lower()}", f"Memory a call, both ends, {named[c]}", "MB", 1) for c in CODECS]
    rows += [
        Row("setup.login", "Login", "ms", 0),
        Row("setup.ringing", "Call to ringing", "ms", 0),
        Row("setup.rtp", "Answer to first RTP", "ms", 0),
    ]
    for codec in CODECS:
        for what, text, unit, decimals in (
            ("unplayed", "Frames not played", "%", 1), ("pesq", "PESQ", "", 2),
        ):  # fmt: skip
            rows += [
                Row(f"{what}.{codec.lower()}.{round(100 * loss)}", f"{text}, {named[codec]}, {loss:.0%} loss",
                    unit, decimals)
                for loss in SHARES[what]
            ]  # fmt: skip
    rows += [Row(f"echo.{c.lower()}", f"Delay through an echo, {named[c]}", "ms", 0) for c in CODECS]
    return (
        *rows,
        Row("import", "Import", "s", 2),
        Row("demo", "`plivo-nb demo` to first sound", "s", 1),
        Row("widgets.bytes", "Phone and dashboard in a call", "kB/s", 1),
        Row("widgets.cpu", "Phone and dashboard, CPU of the kernel", "%", 1),
        Row("widgets.lag", "Phone and dashboard, loop lag p99", "ms", 1),
    )


ROWS = _rows()


def known_reason(row: str, column: str) -> str | None:
    """Why a cell has no number whatever the machine; None where it can be measured."""
    what, _, rest = row.partition(".")
    if column == "ours":
        return None
    if column == "pjsua2" and "opus" in rest:
        return "no Opus in the wheel"
    if rest.endswith(".40"):
        return "not run above 10"
    if what == "setup" and column == "aiortc":
        return "no SIP"
    if what == "import" and column == "chromium":
        return "no Python"
    if what == "demo":
        return "no demo"
    if what == "widgets":
        return "no widgets"
    return None


def cell(row: Row, found: dict[str, Any] | None) -> str:
    """The median with the least and the most, or the reason why there is none."""
    if found is None:
        return "not run"
    if "reason" in found:
        return str(found["reason"])
    low, middle, high = (
        f"{value:.{row.decimals}f}"
        for value in (min(found["values"]), statistics.median(found["values"]), max(found["values"]))
    )
    spread = f" ({low}–{high})" if low != high else ""
    return middle + spread + (" saturated" if found.get("saturated") else "")
