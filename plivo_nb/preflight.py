"""check(): tests the installation and makes a call to the embedded lab, to find out why calls do not work."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy.typing as npt
    import pandas as pd

    from plivo_nb.client import Client
    from plivo_nb.lab import Lab

OLDEST_PYTHON = (3, 11)
_CALL_TIMEOUT_S = 8.0
_POLL_INTERVAL_S = 0.25
_STEP_TIMEOUT_S = 20.0
_AUDIBLE = 0.01  # peak level as a share of full scale: -40 dBFS
#: Distribution, and the module of it whose import shows that it works.
_PACKAGES = (
    ("aiortc", "aiortc"),
    ("av", "av"),
    ("websockets", "websockets.asyncio.client"),
    ("sipmessage", "sipmessage"),
    ("aiohttp", "aiohttp"),
    ("numpy", "numpy"),
    ("pandas", "pandas"),
    ("pyarrow", "pyarrow.parquet"),
    ("matplotlib", "matplotlib.figure"),
    ("ipywidgets", "ipywidgets"),
    ("anywidget", "anywidget"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one test.

    Attributes:
        what: what was tested.
        result: ``ok``; ``note``: calls work, with a restriction; ``failed``: calls do not work.
        detail: what was found, and what to do about it.
    """

    what: str
    result: Literal["ok", "note", "failed"]
    detail: str


async def check() -> pd.DataFrame:
    """Test Python, packages, sound, the signalling connection and a call to the embedded lab.

    This takes a few seconds. A missing sound card is a note, not a failure.

    Returns:
        One row for each test, with the columns `what`, `result` (ok, note or failed) and `detail`.

    Example:
        >>> found = asyncio.run(check())     # in a notebook: await plivo_nb.check()
        >>> found["what"].tolist()
        ['Python', 'Packages', 'Sound', 'Lab', 'Socket', 'Call']
    """
    import pandas as pd  # imported here, so that `plivo_nb` can be imported although a package is broken

    found = [_python(), await asyncio.to_thread(_packages), await asyncio.to_thread(_sound)]
    found += await _lab_findings()
    return pd.DataFrame(found, columns=["what", "result", "detail"])


def _python() -> Finding:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "failed", f"{version}; 3.11 or newer is needed.")
    return Finding("Python", "ok", version)


def _packages() -> Finding:
    versions, broken = [], []
    for distribution, module in _PACKAGES:
        try:
            importlib.import_module(module)
            versions.append(f"{distribution} {importlib.metadata.version(distribution)}")
        except (ImportError, OSError) as error:
            broken.append(f"{distribution} ({error})")
    if broken:
        return Finding(
            "Packages", "failed", f"These do not load: {', '.join(broken)}. Install plivo-nb again."
        )
    return Finding("Packages", "ok", ", ".join(versions))


def _sound() -> Finding:
    without = "calls work without it: play files, record and measure."
    try:
        sounddevice = importlib.import_module("sounddevice")
        devices = list(sounddevice.query_devices())
    except ImportError:
        return Finding("Sound", "note", f"The package sounddevice is missing; {without}")
    except OSError:
        hint = "on Debian: apt install libportaudio2"
        return Finding("Sound", "note", f"The PortAudio library is missing ({hint}); {without}")
    except Exception as error:  # PortAudio's error class is available only if it has loaded
        return Finding("Sound", "note", f"PortAudio does not start ({error}); {without}")
    inputs = sum(device["max_input_channels"] > 0 for device in devices)
    outputs = sum(device["max_output_channels"] > 0 for device in devices)
    if not devices:
        return Finding("Sound", "note", f"PortAudio finds no sound device; {without}")
    return Finding("Sound", "ok", f"PortAudio finds {inputs} input and {outputs} output devices.")


# ---------------------------------------------------------------- tests with the lab


async def _lab_findings() -> list[Finding]:
    """Test lab, socket and call; each one only if the one before succeeded."""
    try:
        from plivo_nb.lab import Lab
    except ImportError as error:
        return [Finding("Lab", "failed", f"It cannot be imported: {error}.")]
    lab = Lab()
    found: list[Finding] = []
    client: Client | None = None
    try:
        if not await _step(found, "Lab", lambda: _start(lab)):
            return found
        client = lab.client()
        if await _step(found, "Socket", lambda: _socket(lab, client)):
            await _step(found, "Call", lambda: _call(client))
    finally:
        if client is not None:
            await client.close()
        await lab.close()
    return found


async def _step(found: list[Finding], what: str, work: Callable[[], Awaitable[str]]) -> bool:
    """Run one test with a timeout and append its finding. Returns True if it succeeded."""
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_S):
            found.append(Finding(what, "ok", await work()))
    except TimeoutError:
        found.append(Finding(what, "failed", f"Nothing happened within {_STEP_TIMEOUT_S:.0f} s."))
    except (PlivoError, OSError) as error:
        found.append(Finding(what, "failed", str(error)))
    return found[-1].result == "ok"


async def _start(lab: Lab) -> str:
    await lab.start()
    return f"The embedded Plivo runs in a separate process (started in {lab.start_seconds:.1f} s)."


async def _socket(lab: Lab, client: Client) -> str:
    name = next(iter(lab.accounts))
    began = time.monotonic()
    await client.login(name, lab.password(name))
    return f"Logged in over a WebSocket in {1000 * (time.monotonic() - began):.0f} ms."


class _PeakMeter:
    """A sink that measures the peak level."""

    def __init__(self) -> None:
        self.peak = 0.0

    def open(self, rate: int) -> None:
        pass

    def write(self, frame: npt.NDArray[np.int16]) -> None:
        self.peak = max(self.peak, float(np.abs(frame.astype(np.int32)).max(initial=0)) / 32768.0)

    def close(self) -> None:
        pass


async def _call(client: Client) -> str:
    from plivo_nb.data import speech_path
    from plivo_nb.errors import MediaError

    call = await client.call("echo")
    meter = _PeakMeter()
    call.add_sink(meter)
    call.play(speech_path(), loop=True)
    until = time.monotonic() + _CALL_TIMEOUT_S
    heard = False
    scored = call.samples.dropna(subset=["mos"])
    while time.monotonic() < until and not (heard and len(scored)):
        await asyncio.sleep(_POLL_INTERVAL_S)
        heard = meter.peak > _AUDIBLE
        scored = call.samples.dropna(subset=["mos"])
    await call.hangup()
    if not heard:
        raise MediaError("The call was answered, but no sound came back from the echo robot: is UDP blocked?")
    if not len(scored):
        raise MediaError(
            "Sound came back from the echo robot, but no RTCP report: is a firewall filtering UDP?"
        )
    last = scored.iloc[-1]
    return f"The echo robot answered and was heard ({last['codec']}, MOS {last['mos']:.2f})."
