"""check(): tests the installation, the network and a call, to find out why calls do not work."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plivo_nb.addresses import is_loopback_url
from plivo_nb.errors import PlivoError
from plivo_nb.quality import limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from plivo_nb.client import Client
    from plivo_nb.lab import Lab

    Result = Literal["pass", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
#: The STUN servers that are asked if no others are given; two, since one alone cannot tell the kind of a NAT.
STUN_SERVERS = ("stun:stun.plivo.com:3478", "stun:stun.l.google.com:19302")
#: The environment variable of the password for `check(server=...)`.
PASSWORD_VARIABLE = "PLIVO_PASSWORD"
_CALL_S = 10.0
_FIRST_SOUND_S = 8.0
_CALL_MARGIN_S = 15.0  # for ringing and hanging up
_POLL_INTERVAL_S = 0.25
_STEP_TIMEOUT_S = 20.0
_SERVER_TIMEOUT_S = 6.0
_STUN_TIMEOUT_S = 3.0
_LAG_S = 1.0
_MUCH_LAG_MS = 100.0
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
        result: ``pass``; ``warn``: calls work, with a restriction; ``fail``: calls do not work.
        detail: what was found.
        remedy: what to do about it; empty for ``pass``.
    """

    what: str
    result: Result
    detail: str
    remedy: str = ""


async def check(
    server: str | None = None,
    username: str | None = None,
    password: str | None = None,
    *,
    number: str | None = None,
    stun: Sequence[str] = STUN_SERVERS,
    call_s: float = _CALL_S,
    ca_file: str | None = None,
) -> pd.DataFrame:
    """Test Python, packages, the notebook, sound, the event loop, UDP, the signalling server and a call.

    Without a server the call goes to the echo robot of an embedded lab. This takes as long as the call and a
    few seconds; about 25 s if nothing answers. Nothing raises: what does not work is a row.

    Args:
        server: ``wss://`` or ``ws://`` URL of a signalling server; by default that of a lab.
        username: the endpoint to log in as; without it only the connection to `server` is tested.
        password: its password; by default that of the environment variable ``PLIVO_PASSWORD``.
        number: whom to call on `server`; by default nobody is called there.
        stun: URLs of STUN servers, such as ``stun:stun.example.com:3478``, that are asked for the address
            that they see; empty: UDP is not tested. Two are needed to tell the kind of a NAT.
        call_s: duration of the call in seconds.
        ca_file: PEM file with certificate authorities to be trusted besides the system's.

    Returns:
        One row for each test, with the columns `what`, `result` (pass, warn or fail), `detail` (what was
        found) and `remedy` (what to do).

    Example:
        >>> found = asyncio.run(check(stun=(), call_s=1))     # in a notebook: await plivo_nb.check()
        >>> found["what"].tolist()
        ['Python', 'Packages', 'Notebook', 'Sound', 'Event loop', 'UDP', 'Lab', 'Server', 'Call']
    """
    import pandas as pd  # imported here, so that `plivo_nb` can be imported although a package is broken

    found = [
        _python(),
        await asyncio.to_thread(_packages),
        _notebook(),
        await asyncio.to_thread(_sound),
        *await asyncio.gather(_event_loop(), _udp(stun)),
    ]
    if server is None:
        found += await _lab_findings(call_s)
    else:
        password = password or os.environ.get(PASSWORD_VARIABLE)
        found += await _server_findings(server, username, password, number, call_s, ca_file)
    return pd.DataFrame(found, columns=["what", "result", "detail", "remedy"])


def _python() -> Finding:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "fail", version, "Install Python 3.11 or newer.")
    return Finding("Python", "pass", version)


def _packages() -> Finding:
    versions, broken = [], []
    for distribution, module in _PACKAGES:
        try:
            importlib.import_module(module)
            versions.append(f"{distribution} {importlib.metadata.version(distribution)}")
        except (ImportError, OSError) as error:
            broken.append(f"{distribution} ({error})")
    if broken:
        return Finding("Packages", "fail", f"These do not load: {', '.join(broken)}.", _REINSTALL)
    return Finding("Packages", "pass", ", ".join(versions))


def _sound() -> Finding:
    without = "Calls work without sound devices: play files, record and measure"
    try:
        sounddevice = importlib.import_module("sounddevice")
        devices = list(sounddevice.query_devices())
    except ImportError:
        return Finding(
            "Sound", "warn", "The package sounddevice is missing.", f"{without}; or pip install sounddevice."
        )
    except OSError:
        remedy = f"{without}; or install PortAudio (on Debian: apt install libportaudio2)."
        return Finding("Sound", "warn", "The PortAudio library is missing.", remedy)
    except Exception as error:  # PortAudio's error class is available only if it has loaded
        return Finding("Sound", "warn", f"PortAudio does not start ({error}).", f"{without}.")
    inputs = sum(device["max_input_channels"] > 0 for device in devices)
    outputs = sum(device["max_output_channels"] > 0 for device in devices)
    if not devices:
        return Finding("Sound", "warn", "PortAudio finds no sound device.", f"{without}.")
    return Finding("Sound", "pass", f"PortAudio finds {inputs} input and {outputs} output devices.")


# ---------------------------------------------------------------- notebook, event loop, UDP


def _notebook() -> Finding:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return Finding("Notebook", "pass", "This is not a Jupyter kernel: calls work; the widgets need one.")
    version = importlib.metadata.version("ipykernel")
    if importlib.util.find_spec("jupyterlab_widgets") is None:
        return Finding(
            "Notebook",
            "warn",
            f"The kernel is ipykernel {version}; jupyterlab_widgets is not installed beside it.",
            "If the widgets stay blank: pip install jupyterlab_widgets where Jupyter runs; reload the page.",
        )
    return Finding("Notebook", "pass", f"ipykernel {version}, with the widgets' extension for Jupyter.")


async def _event_loop() -> Finding:
    from plivo_nb.engine.loop_lag import LoopLag

    lag = LoopLag(asyncio.get_running_loop())
    began = time.monotonic()
    lag.start()
    try:
        await asyncio.sleep(_LAG_S)
    finally:
        lag.stop()
    worst_ms = max(lag.between_ms(began, time.monotonic()), default=0.0)
    detail = f"At most {worst_ms:.0f} ms late within {_LAG_S:g} s."
    if worst_ms > _MUCH_LAG_MS:
        remedy = (
            "Other code keeps the kernel busy: calls go on, but clicks and callbacks wait. End that code."
        )
        return Finding("Event loop", "warn", detail, remedy)
    return Finding("Event loop", "pass", detail)


async def _udp(stun: Sequence[str]) -> Finding:
    from plivo_nb.media.transport.nat import nat_mapping

    if not stun:
        return Finding("UDP", "pass", "Not tested: no STUN server was given.")
    try:
        mapping = await nat_mapping(stun, _STUN_TIMEOUT_S)
    except OSError as error:
        remedy = "Allow this process to open UDP sockets; a sandbox or container may forbid it."
        return Finding("UDP", "fail", f"There is no UDP socket ({error}).", remedy)
    silent = ", ".join(f"{url} ({why})" for url, why in mapping.problems.items())
    others = f" Others did not answer: {silent}." if silent else ""
    rtt = f"{min(mapping.rtt_ms.values(), default=0):.0f} ms"
    match mapping.kind:
        case "blocked":
            return Finding(
                "UDP",
                "warn",
                f"No STUN server answered: {silent}.",
                "Outside this machine calls have no sound if UDP is blocked: open UDP 1024-65535 outwards, "
                "or use a TURN server over TCP (iceServers).",
            )
        case "none":
            return Finding("UDP", "pass", f"Reachable in {rtt}, and no NAT: servers see our address.{others}")
        case "unknown":
            return Finding(
                "UDP",
                "warn",
                f"Reachable in {rtt}, through a NAT of unknown type.{others}",
                "Give two STUN servers (stun=...) to find out whether the NAT lets peers reach us.",
            )
        case "endpoint-independent":
            return Finding("UDP", "pass", f"Reachable in {rtt}, through a NAT that lets peers reach us.")
        case "address-dependent":
            return Finding(
                "UDP",
                "warn",
                f"Reachable in {rtt}, through a NAT that gives each destination another port.",
                "Calls to a server with a public address work; for peers behind such a NAT add a TURN server "
                "(iceServers).",
            )


# ---------------------------------------------------------------- the lab, or a server


async def _lab_findings(call_s: float) -> list[Finding]:
    """Test lab, server and call; each one only if the one before succeeded."""
    try:
        from plivo_nb.lab import Lab
    except ImportError as error:
        return [Finding("Lab", "fail", f"It cannot be imported: {error}.", _REINSTALL)]
    lab = Lab()
    found: list[Finding] = []
    client: Client | None = None
    try:
        if not await _step(found, "Lab", lambda: _start(lab), _REINSTALL):
            return found
        client = lab.client()
        name = next(iter(lab.accounts))
        if await _step(found, "Server", lambda: _log_in(client, name, lab.password(name)), _LOCAL):
            await _step(found, "Call", lambda: _call(client, "echo", call_s), _LOCAL, call_s + _CALL_MARGIN_S)
    finally:
        if client is not None:
            await client.close()
        await lab.close()
    return found


async def _server_findings(
    server: str,
    username: str | None,
    password: str | None,
    number: str | None,
    call_s: float,
    ca_file: str | None,
) -> list[Finding]:
    """Test the connection, the login and a call, as far as what is given allows."""
    from plivo_nb.client import Client

    found: list[Finding] = []
    if not await _step(found, "Server", lambda: _connect(server, ca_file), _UNREACHABLE):
        return found
    if username is None or password is None:
        missing = "username" if username is None else f"password ({PASSWORD_VARIABLE})"
        return [*found, Finding("Login", "pass", f"Not tested: no {missing} was given.")]
    client: Client | None = None
    try:
        client = Client(
            registrationDomainSocket=[server],
            sound="none",
            caFile=ca_file,
            loopbackCandidates=is_loopback_url(server),
        )
        made = client
        if not await _step(found, "Login", lambda: _log_in(made, username, password), _ACCOUNT):
            return found
        if number is None:
            return [*found, Finding("Call", "pass", "Not tested: no number was given.")]
        await _step(found, "Call", lambda: _call(made, number, call_s), _NETWORK, call_s + _CALL_MARGIN_S)
    except (PlivoError, ValueError) as error:
        found.append(Finding("Login", "fail", str(error), _ACCOUNT))
    finally:
        if client is not None:
            await client.close()
    return found


_REINSTALL = "Install plivo-nb again, in an environment of its own."
_LOCAL = (
    "Allow this process connections to 127.0.0.1 over TCP and UDP; a firewall or sandbox may forbid them."
)
_UNREACHABLE = "Check the URL, and whether a firewall or proxy lets WebSockets through to that host and port."
_ACCOUNT = "Check the endpoint's user name and password in Plivo's console."
_NETWORK = "Open UDP outwards, or use a TURN server (iceServers); see the row UDP."


class _Restricted(Exception):
    """A test that passed with a restriction.

    Args:
        detail: what was found.
        remedy: what to do.
    """

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.remedy = remedy


async def _step(
    found: list[Finding],
    what: str,
    work: Callable[[], Awaitable[str]],
    remedy: str,
    timeout_s: float = _STEP_TIMEOUT_S,
) -> bool:
    """Run one test with a timeout and append its finding. Returns True if the next one makes sense."""
    try:
        async with asyncio.timeout(timeout_s):
            found.append(Finding(what, "pass", await work()))
    except _Restricted as restriction:
        found.append(Finding(what, "warn", str(restriction), restriction.remedy))
    except TimeoutError:
        found.append(Finding(what, "fail", f"Nothing happened within {timeout_s:.3g} s.", remedy))
    except Exception as error:
        sentence = str(error) or type(error).__name__
        found.append(Finding(what, "fail", sentence, remedy))
    return found[-1].result != "fail"


async def _start(lab: Lab) -> str:
    await lab.start()
    return f"The embedded Plivo runs in a separate process (started in {lab.start_seconds:.1f} s)."


async def _connect(server: str, ca_file: str | None) -> str:
    """Open a WebSocket with SIP's subprotocol, and close it."""
    from websockets.typing import Subprotocol

    from plivo_nb.connections import websocket

    began = time.monotonic()
    try:
        async with asyncio.timeout(_SERVER_TIMEOUT_S):
            socket = await (
                await websocket(server, ca_file=ca_file, subprotocols=[Subprotocol("sip")], close_timeout=0.5)
            )
    except TimeoutError:
        raise OSError(f"{server} did not answer within {_SERVER_TIMEOUT_S:g} s.") from None
    took_ms = 1000 * (time.monotonic() - began)
    with suppress(TimeoutError):
        await asyncio.wait_for(socket.close(), 1)
    if socket.subprotocol != "sip":
        raise OSError(f"{server} answers, but does not speak SIP over WebSocket (RFC 7118).")
    return f"{server} speaks SIP over WebSocket (connected in {took_ms:.0f} ms)."


async def _log_in(client: Client, name: str, password: str) -> str:
    began = time.monotonic()
    await client.login(name, password)
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


async def _call(client: Client, number: str, call_s: float) -> str:
    from plivo_nb.data import speech_path
    from plivo_nb.errors import MediaError

    call = await client.call(number)
    meter = _PeakMeter()
    call.add_sink(meter)
    call.play(speech_path(), loop=True)
    began = time.monotonic()
    scored = call.samples.dropna(subset=["mos"])
    while True:
        passed_s = time.monotonic() - began
        complete = meter.peak > _AUDIBLE and len(scored)
        if passed_s >= (call_s if complete else max(call_s, _FIRST_SOUND_S)) or call.phase != "answered":
            break
        await asyncio.sleep(_POLL_INTERVAL_S)
        scored = call.samples.dropna(subset=["mos"])
    await call.hangup()
    if meter.peak <= _AUDIBLE:
        raise MediaError(f"The call to {number} was answered, but no sound came back: is UDP blocked?")
    if not len(scored):
        raise MediaError("Sound came back, but no RTCP report: is a firewall filtering UDP?")
    return _rated(number, scored)


def _rated(number: str, scored: pd.DataFrame) -> str:
    """What the samples of the call say.

    Raises:
        _Restricted: a figure is beyond its limit.
    """
    worst = {name: float(scored[name].quantile(0.9)) for name in ("rtt_ms", "jitter_in_ms")}
    mos, loss = float(scored["mos"].mean()), float(scored["loss_in"].mean())
    codec = str(scored["codec"].iloc[-1])
    detail = (
        f"{number} answered and was heard: {codec}, MOS {mos:.2f}, loss {100 * loss:.1f} %, round trip "
        f"{worst['rtt_ms']:.0f} ms, jitter {worst['jitter_in_ms']:.0f} ms."
    )
    if mos < limits.MOS_LIMIT or loss > limits.loss_limit(codec):
        raise _Restricted(detail, "The network loses packets: use a wire instead of Wi-Fi; close downloads.")
    if worst["rtt_ms"] > limits.RTT_LIMIT_MS:
        raise _Restricted(detail, "The way is long: choose a server region that is nearer, or leave the VPN.")
    if worst["jitter_in_ms"] > limits.JITTER_LIMIT_MS:
        raise _Restricted(detail, "Packets come unevenly: try a wire instead of Wi-Fi, and close downloads.")
    return detail
