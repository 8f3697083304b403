"""Every fault in every state of a phone: what happens, seconds until service, what is lost, what is told.

    cd tests && python -m bench.fault_matrix [--faults "socket 1006" SIGTERM ...] [--at-once 2]

Each fault has a process and a lab of its own. Six clients in that process, one in each state, meet the fault
at the same moment. Service means: registered, sound arrives if the call goes on, and a new call is placed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from aiohttp import web

from plivo_nb import Call, Client, Lab, PlivoError, Tone
from plivo_nb.events import EVENT_NAMES
from plivo_nb.testing import FakeSound

STATES = ("idle", "ringing out", "ringing in", "in call", "hanging up", "held")
SERVICE_WITHIN_S = 60.0
PROCESS_WITHIN_S = 240.0
_STEADY_S = 0.5
_POLL_S = 0.05
_PROBE_ENDS = "onCallFailed Busy"  # of the call that shows that there is service
_JUMP_S = 86_400


@dataclass
class Row:
    """A cell of the matrix. `service_s`: None if service did not come back within a minute."""

    fault: str
    state: str
    call: str
    service_s: float | None
    lost: str
    told: list[str]


@dataclass
class Phone:
    """A client in one of the states, and what it told."""

    state: str
    user: str
    client: Client
    call: Call | None = None
    told: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)

    def listen(self) -> None:
        for name in EVENT_NAMES:
            self.client.on(name, lambda *arguments, name=name: self._tell(name, arguments))

    def _tell(self, name: str, arguments: tuple[Any, ...]) -> None:
        words = " ".join(filter(None, map(_shown, arguments)))
        self.told.append(f"{name} {words[:70]}".strip())
        if name in ("onCallFailed", "onCallTerminated", "onIncomingCallCanceled"):
            self.endings.append(self.told[-1])


def _shown(argument: Any) -> str:
    """An event's argument in a word or two; the call is known."""
    if not isinstance(argument, dict):
        return argument if isinstance(argument, str) else ""
    return " ".join(
        str(argument[key]) for key in ("type", "state", "eventCode", "error", "change") if key in argument
    )


@dataclass
class Rig:
    """A lab and its phones. `clean_up` ends what a fault has begun."""

    lab: Lab
    phones: list[Phone]
    sound: FakeSound
    warnings: list[str]
    clean_up: contextlib.AsyncExitStack


async def until(condition: Callable[[], Any], timeout_s: float = 20.0, steady_s: float = 0.0) -> bool:
    """Wait until the condition holds for `steady_s`; False if it does not in time."""
    end, since = time.monotonic() + timeout_s, None
    while (now := time.monotonic()) < end:
        value = condition()
        if value:
            since = now if since is None else since
            if now - since >= steady_s:
                return True
        else:
            since = None
        await asyncio.sleep(_POLL_S)
    return False


async def packets(call: Call) -> int:
    stats = await call.stats()
    return next((int(s["packetsReceived"]) for s in stats.values() if s["type"] == "inbound-rtp"), 0)


async def more_packets(call: Call, timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    before = await packets(call)
    while call.phase == "answered" and time.monotonic() < end:
        if await packets(call) > before + 10:
            return True
        await asyncio.sleep(_POLL_S)
    return False


# ---------------------------------------------------------------- states


async def enter(lab: Lab, phone: Phone) -> None:
    """Bring a phone into its state."""
    client = phone.client
    await client.login(phone.user, lab.password(phone.user))
    match phone.state:
        case "ringing out":
            ringing = client.wait_for("onCallRemoteRinging", timeout=20)
            phone.call = client.call("no-answer").call
            await ringing
        case "ringing in":
            await lab.call(phone.user)
            assert await until(lambda: client.incoming_calls)
            phone.call = client.incoming_calls[0]
        case "in call" | "hanging up" | "held":
            phone.call = await client.call("holds" if phone.state == "held" else "echo")
            phone.call.play(Tone(440))
            if phone.state == "held":
                trace = client.sip_trace
                while not ((trace["direction"] == "in") & trace["start"].str.startswith("INVITE")).any():
                    await asyncio.sleep(_POLL_S)
                    trace = client.sip_trace
            else:
                assert await more_packets(phone.call, 20)


@contextlib.asynccontextmanager
async def prepared(options: dict[str, Any]) -> AsyncIterator[Rig]:
    """A lab, and a phone in each state."""
    async with contextlib.AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab([state.replace(" ", "-") for state in STATES], servers=2))
        warnings: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("plivo_nb").addHandler(handler)
        sound = FakeSound()
        phones = []
        for state in STATES:
            client = await stack.enter_async_context(lab.client(sound=sound, preDetectOwa=True, **options))
            phones.append(Phone(state, state.replace(" ", "-"), client))
        await asyncio.gather(*[enter(lab, phone) for phone in phones])
        for phone in phones:
            phone.listen()
        warnings.clear()
        clean_up = await stack.enter_async_context(contextlib.AsyncExitStack())
        yield Rig(lab, phones, sound, warnings, clean_up)


# ---------------------------------------------------------------- faults


def _drop(code: int) -> Callable[[Rig], Awaitable[None]]:
    async def inject(rig: Rig) -> None:
        await asyncio.gather(*[rig.lab.faults.drop_socket(phone.user, code) for phone in rig.phones])

    return inject


async def _restart(rig: Rig) -> None:
    await rig.lab.faults.restart(away_s=1.0)


async def _silent(rig: Rig) -> None:
    await rig.lab.faults.silent()
    await asyncio.sleep(6)
    await rig.lab.faults.silent(False)


async def _refused(rig: Rig) -> None:
    await rig.lab.faults.refuse_registration(503, retry_after_s=2, times=len(rig.phones))
    await _drop(1012)(rig)


def _black_out(seconds: float) -> Callable[[Rig], Awaitable[None]]:
    async def inject(rig: Rig) -> None:
        await rig.lab.network.set(black_hole=True)
        await rig.lab.faults.silent()
        await asyncio.sleep(seconds)
        await rig.lab.faults.silent(False)
        await rig.lab.network.clear()

    return inject


async def _new_address(rig: Rig) -> None:
    """The media sockets send and receive nothing any more, and the signalling sockets are cut."""
    plane = rig.phones[0].client._engine._plane
    assert plane is not None
    assert plane._executor is not None
    for session in plane._executor.sessions.values():
        if session.transport._current is None:
            continue  # it has no sockets yet
        for protocol in session.transport._current._protocols:
            protocol.sock = None
            protocol.transport.sendto = lambda data, address: None
            protocol.datagram_received = lambda data, address: None
    await _drop(1006)(rig)


async def _sleep(rig: Rig) -> None:
    time.sleep(10)  # the fault: a cell that blocks the loop


async def _busy(rig: Rig) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        sum(range(10_000))


async def _device_removed(rig: Rig) -> None:
    rig.sound.unplug(next(device for device in rig.sound.devices() if device.kind == "audioinput"))


async def _statistics_away(rig: Rig) -> None:
    await rig.lab.faults.statistics_away()


async def _disk_full(rig: Rig) -> None:
    folder = rig.clean_up.enter_context(tempfile.TemporaryDirectory())
    for number, phone in enumerate(rig.phones):
        if phone.call is not None and phone.call.phase == "answered":
            path = Path(folder, f"{number}.wav")
            path.symlink_to("/dev/full")
            phone.call.record(path)
    await asyncio.sleep(2)


async def _clock_jump(rig: Rig) -> None:
    """The system's clock is a day ahead for the rest of the run."""
    now, now_ns = time.time, time.time_ns

    def later() -> float:
        return now() + _JUMP_S

    def later_ns() -> int:
        return now_ns() + _JUMP_S * 10**9

    rig.clean_up.enter_context(mock.patch("time.time", later))
    rig.clean_up.enter_context(mock.patch("time.time_ns", later_ns))
    await asyncio.sleep(2)


def _in_plane(function: Callable[..., Any], *arguments: Any) -> Callable[[Rig], Awaitable[None]]:
    async def inject(rig: Rig) -> None:
        plane = rig.phones[0].client._engine._plane
        assert plane is not None
        assert plane._loop is not None
        plane._loop.call_soon_threadsafe(function, *arguments)
        await asyncio.sleep(0.2)

    return inject


def _die() -> None:
    raise SystemExit("ended by the fault matrix")


async def _nothing(rig: Rig) -> None:
    """The statistics service is bad from the beginning."""
    await asyncio.sleep(3)


FAULTS: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "socket 1006": _drop(1006),
    "socket 1011": _drop(1011),
    "socket 1012": _drop(1012),
    "server restarted": _restart,
    "silent 6 s": _silent,
    "503 with Retry-After": _refused,
    "black-out 3 s": _black_out(3),
    "black-out 8 s": _black_out(8),
    "black-out 29 s": _black_out(29),
    "black-out 40 s": _black_out(40),
    "new address": _new_address,
    "time.sleep 10 s": _sleep,
    "busy Python 10 s": _busy,
    "device removed": _device_removed,
    "statistics away": _statistics_away,
    "statistics slow": _nothing,
    "statistics garbage": _nothing,
    "disk full": _disk_full,
    "clock jump": _clock_jump,
    "plane dead": _in_plane(_die),
    "plane hung 4 s": _in_plane(time.sleep, 4),
}
#: The process gets these signals: what the server sees of it.
SIGNALS = {"interrupted": signal.SIGINT, "SIGTERM": signal.SIGTERM, "killed": signal.SIGKILL}


@contextlib.asynccontextmanager
async def bad_statistics(fault: str) -> AsyncIterator[dict[str, Any]]:
    """The options for a statistics service that is slow, or answers garbage; none for other faults."""
    if fault not in ("statistics slow", "statistics garbage"):
        yield {}
        return

    async def answer(request: web.Request) -> web.Response:
        if fault == "statistics slow":
            await asyncio.sleep(30)
        return web.Response(body=bytes(range(256)) * 40, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        yield {"statsUrl": f"http://127.0.0.1:{port}/", "insightsUrl": f"ws://127.0.0.1:{port}/"}
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------- what comes of it


async def in_service(rig: Rig, phone: Phone) -> bool:
    """Registered; sound arrives if the call is answered."""
    client, call = phone.client, phone.call
    if not await until(lambda: client.is_connected and client.is_logged_in, SERVICE_WITHIN_S, _STEADY_S):
        return False
    if call is not None and call.phase == "answered" and phone.state != "hanging up":
        return await more_packets(call, SERVICE_WITHIN_S) or call.phase != "answered"
    return True


async def finish(phone: Phone) -> None:
    """End the call that is left, as a user would, and place another."""
    client, call = phone.client, phone.call
    if call is not None and call in client.incoming_calls:
        with contextlib.suppress(PlivoError):  # the server may have forgotten the call
            await client.answer()
    if client.current_call is not None:
        await client.current_call.hangup()
    ended = await client.call("busy").call.ended
    while ended.code == 480:  # the fault met the lab's robot as well, which is still reconnecting
        await asyncio.sleep(_STEADY_S)
        ended = await client.call("busy").call.ended
    assert ended.code == 486, f"the call to busy ended with {ended}"


def outcome(phone: Phone) -> str:
    if phone.call is None:
        return "none"
    if phone.endings:
        return phone.endings[0]
    return "rings" if phone.state.startswith("ringing") else "goes on"


async def observe(rig: Rig, fault: str, phone: Phone, began: float) -> Row:
    serves = await in_service(rig, phone)
    service_s = max(0.0, round(time.monotonic() - began - _STEADY_S, 1)) if serves else None
    lost = "the call" if phone.endings and phone.state != "hanging up" else "nothing"
    return Row(fault, phone.state, outcome(phone), service_s, lost, list(phone.told))


async def check_service(phone: Phone, row: Row) -> None:
    """The row says that service is back: use it."""
    try:
        async with asyncio.timeout(SERVICE_WITHIN_S):
            await finish(phone)
        if phone.state == "ringing in" and any(
            "onCallFailed" in ending and ending != _PROBE_ENDS for ending in phone.endings
        ):
            row.lost = "the call"
    except (PlivoError, TimeoutError, AssertionError) as error:
        row.service_s, row.lost = None, f"service: {type(error).__name__} {error}"


async def run_fault(fault: str) -> list[Row]:
    """The row of each state."""
    async with bad_statistics(fault) as options, prepared(options) as rig:
        began = time.monotonic()
        hanging_up = next(phone for phone in rig.phones if phone.state == "hanging up")
        injecting = asyncio.ensure_future(FAULTS[fault](rig))
        await asyncio.sleep(0)
        assert hanging_up.call is not None
        hanging_up.call.hangup()
        await injecting
        rows = await asyncio.gather(*[observe(rig, fault, phone, began) for phone in rig.phones])
        said = list(dict.fromkeys(rig.warnings))  # by all phones of the process
        rows[0].told += said
        pairs = zip(rig.phones, rows, strict=True)
        await asyncio.gather(
            *[check_service(phone, row) for phone, row in pairs if row.service_s is not None]
        )
        return rows


# ---------------------------------------------------------------- processes


async def phones_only() -> None:
    """The process that gets a signal: phones of a lab that runs elsewhere, told by standard input."""
    given = json.loads(sys.stdin.readline())
    async with contextlib.AsyncExitStack() as stack:
        phones = []
        for state in STATES:
            client = await stack.enter_async_context(Client(**given["options"]))
            phones.append(Phone(state, state.replace(" ", "-"), client))
        lab = Lab([phone.user for phone in phones])  # for the passwords; it is not started
        await asyncio.gather(*[enter(lab, phone) for phone in phones if phone.state != "ringing in"])
        ringing = next(phone for phone in phones if phone.state == "ringing in")
        await ringing.client.login(ringing.user, lab.password(ringing.user))
        print("call", flush=True)
        assert await until(lambda: ringing.client.incoming_calls)
        print("ready", flush=True)
        await asyncio.Event().wait()


async def run_signal(fault: str) -> list[Row]:
    """The same for a signal: how long registrations and calls of the process are left at the server."""
    async with Lab([state.replace(" ", "-") for state in STATES]) as lab:
        child = await asyncio.create_subprocess_exec(
            *command("--phones"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps({"options": lab.options()}).encode() + b"\n")
        assert await child.stdout.readline() == b"call\n"
        await lab.call("ringing-in")
        assert await child.stdout.readline() == b"ready\n"
        began = time.monotonic()
        child.send_signal(SIGNALS[fault])
        left = dict.fromkeys(STATES, 0.0)
        calls = 0.0
        while time.monotonic() - began < SERVICE_WITHIN_S:
            status = await lab.status()
            there = {entry["user"] for entry in status["registrations"]}
            for state in STATES:
                left[state] = time.monotonic() - began if state.replace(" ", "-") in there else left[state]
            calls = time.monotonic() - began if status["calls"] else calls
            if not there and not status["calls"]:
                break
            await asyncio.sleep(_POLL_S)
        _, errors = await child.communicate()
        ended = time.monotonic() - began < SERVICE_WITHIN_S
        told = errors.decode(errors="replace").strip().splitlines()[-1:]
        return [
            Row(
                fault,
                state,
                "none" if state == "idle" else f"gone after {calls:.1f} s",
                round(max(left[state], calls), 1) if ended else None,
                "the process",
                told,
            )
            for state in STATES
        ]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.fault_matrix", *arguments]


def run(faults: Sequence[str], at_once: int = 2) -> list[Row]:
    """Run each fault in a process of its own, so many at once.

    Raises:
        RuntimeError: a fault could not be run; the message has its last output.
    """
    with ThreadPoolExecutor(at_once) as pool:
        return [row for rows in pool.map(_run_apart, faults) for row in rows]


def _run_apart(fault: str) -> list[Row]:
    """In files, not pipes: a process that outlives the child would hold a pipe open."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            child = subprocess.run(
                command("--one", fault),
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                timeout=PROCESS_WITHIN_S,
            )
            problem = f"exit status {child.returncode}" if child.returncode else ""
        except subprocess.TimeoutExpired:
            problem = f"it did not end within {PROCESS_WITHIN_S:g} s"
        out.seek(0)
        errors.seek(0)
        if problem:
            raise RuntimeError(f"{fault}: {problem}\n{errors.read().decode(errors='replace')[-3000:]}")
        return [Row(**values) for values in json.loads(out.read().splitlines()[-1])]


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'fault':21} {'state':12} {'service':>8}  {'lost':12} {'the call':38} told"]
    for row in rows:
        service = "never" if row.service_s is None else f"{row.service_s:.1f} s"
        told = " | ".join(dict.fromkeys(row.told))
        lines.append(f"{row.fault:21} {row.state:12} {service:>8}  {row.lost:12} {row.call:38} {told}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--faults", nargs="+", default=[*FAULTS, *SIGNALS], choices=[*FAULTS, *SIGNALS])
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--phones", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phones:
        # A shell starts its background jobs with SIGINT ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asyncio.run(phones_only())
    elif given.one:
        rows = asyncio.run(run_fault(given.one) if given.one in FAULTS else run_signal(given.one))
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print(table(run(given.faults, given.at_once)))


if __name__ == "__main__":
    main()
