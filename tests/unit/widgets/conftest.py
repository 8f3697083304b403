"""A stand-in for the client, for events that a real one does not produce on demand; it uses the real Emitter.

The real client, engine, lab and browser are used in tests/integration/widgets and tests/browser/widgets.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from call_world import ACCOUNTS, MemoryEngine
from waiting import until

from plivo_nb.client import Client
from plivo_nb.engine.audio.devices import AudioDevices
from plivo_nb.errors import InvalidState
from plivo_nb.events import CallInfo, Emitter
from plivo_nb.operation import Operation
from plivo_nb.options import changed_options, read_options
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.phone import Phone

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.call import Call
    from plivo_nb.engine.log import Entry


class StandInCall:
    """A call as the widgets see it."""

    def __init__(self, peer: str, direction: Any = "OUTGOING", uuid: str = "uuid-1") -> None:
        self.peer, self.direction, self.uuid = peer, direction, uuid
        self.timings: dict[str, float] = {}
        self.state: Any = "ringing"
        self.rows = 0
        self.codec = "OPUS"
        self.source: Any = None
        self.sends_microphone = False
        self.levels_dbfs = (-100.0, -100.0)
        self.last_sample: dict[str, Any] | None = None
        self.columns: dict[str, Any] = {}  # instead of the ones in `samples`
        self.closed = asyncio.Event()
        self.phase_word = "calling"
        self.on_hold = False
        self.cause: str | None = None
        self.mean_mos = math.nan
        self.originator = "local"
        self.headers: dict[str, str] = {}
        self.caller_name = ""

    @property
    def phase(self) -> str:
        return "answered" if self.state == "answered" else self.phase_word

    @property
    def summary(self) -> dict[str, Any] | None:
        """Of a call that has ended and that had one sample for each second."""
        times = self.timings
        talked_s = times["ended"] - times["answered"] if {"ended", "answered"} <= times.keys() else math.nan
        if "ended" not in times:
            return None
        row = {"direction": self.direction, "state": self.state, "time": 1_764_000_000.0}
        return {**row, "duration_s": talked_s, "mos_mean": self.mean_mos}

    @property
    def ended(self) -> Any:
        """Awaiting it waits until the last sample is there."""
        return self.closed.wait()

    @property
    def call_uuid(self) -> str:
        return self.uuid

    @property
    def info(self) -> CallInfo:
        src, dest = ("sip:alice@phone.plivo.com", self.peer)
        if self.direction == "INCOMING":
            src, dest = dest, src
        originator = self.originator if "ended" in self.timings else None
        return CallInfo(self.uuid, self.direction, src, dest, self.state, self.headers, originator=originator)

    @property
    def samples(self) -> pd.DataFrame:
        count = np.arange(self.rows, dtype=float)
        index = pd.to_datetime(count, unit="s", origin="2026-11-23", utc=True)
        frame = pd.DataFrame(
            {
                "codec": pd.Categorical([self.codec] * self.rows),
                "rtt_ms": 60.0 + count,
                "jitter_in_ms": 5.0 + count,
                "jitter_out_ms": np.where(count % 2, np.nan, 7.0),
                "loss_in": 0.0,
                "loss_out": np.where(count % 2, np.nan, 0.05),
                "mos": 4.2 - count / 100,
                "mos_in": 4.2 - count / 100,
                "mos_out": 4.2,
                "bitrate_in_kbps": 31.6,
                "loop_lag_ms": 1.0,
                "rtt_age_s": 0.4,
                "report_age_s": 3.2,
                "direction": "sendrecv",
                "muted": False,
                **self.columns,
            },
            index=index,
        )
        frame.index.name = "time"
        return frame

    @property
    def media_metrics(self) -> pd.DataFrame:
        return pd.DataFrame({"type": [], "active": [], "stream": []}, pd.DatetimeIndex([], tz="UTC"))

    def _samples_since(self, row: int, names: Any) -> tuple[int, dict[str, Any]]:
        new = self.samples.iloc[row:]
        arrays = {"time": new.index.tz_convert(None).to_numpy()}
        missing = pd.Series(np.full(len(new), np.nan))
        return self.rows, {
            name: new.get(name, missing).to_numpy() for name in names if name != "time"
        } | arrays


class StandInAudio(AudioDevices):
    """Without devices; tests may say otherwise."""

    mode: Any = "none"
    ring_tone: Any = True


class StandInClient(Emitter):
    """Succeeds at once, and records each request in `asked`."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.asked: list[tuple[Any, ...]] = []
        self.threads: list[asyncio.AbstractEventLoop] = []
        wanted: Any = {
            "sound": "none",
            "permOnClick": True,
            "registrationDomainSocket": ["wss://phone.example.org/ws"],
        }
        self.options = read_options(None, wanted)
        engine: Any = SimpleNamespace(loop=self.loop)
        self.audio = StandInAudio(engine, self.options, self.emit, lambda what: None)
        self.last_uuid: str | None = None
        self.username: str | None = "alice"
        self.is_logged_in = self.is_connected = True
        self.reconnect_in_s: float | None = None
        self.connection: Any = None
        self.muted = False
        self.current_call: StandInCall | None = None
        self.incoming_calls: list[StandInCall] = []
        self.closers: list[Callable[[], Any]] = []
        self.broken: Exception | None = None
        self.entries: list[Entry] = []

    def at_close(self, callback: Callable[[], Any]) -> Callable[[], None]:
        self.closers.append(callback)
        return lambda: self.closers.remove(callback)

    async def close(self) -> None:
        for closer in list(self.closers):
            result = closer()
            if result is not None:
                await result

    def get_last_call_uuid(self) -> str | None:
        return self.last_uuid

    def _log_since(self, number: int) -> tuple[int, list[Entry]]:
        return len(self.entries), self.entries[number:]

    def get_peer_connection(self) -> dict[str, Any]:
        return {"status": "success", "pc": self.connection}

    def listeners(self) -> int:
        return sum(len(entries) for entries in self._subscriptions.values())

    def _ask(self, *what: Any) -> Operation[Any]:
        error = self.broken

        async def work() -> Any:
            if error is not None:
                raise error

        def begin() -> tuple[Any, None]:
            self.asked.append(what)
            self.threads.append(asyncio.get_running_loop())
            return work(), None

        return Operation.start(self.loop, str(what[0]), begin)

    def change_options(self, **keywords: Any) -> None:
        self.options = changed_options(self.options, keywords)
        if keywords:
            self.asked.append(("change_options", keywords))

    def login(self, username: str, password: str) -> Operation[Any]:
        operation = self._ask("login", username, password)
        if self.broken is None:
            self.username, self.is_logged_in, self.is_connected = username, True, True
        return operation

    def logout(self) -> Operation[Any]:
        self.username, self.is_logged_in, self.is_connected = None, False, False
        return self._ask("logout")

    def call(self, number: str) -> Operation[Any]:
        if self.current_call is not None:
            self.broken = InvalidState("call: there is a call already; hangup first.")
        return self._ask("call", number)

    def hangup(self) -> Operation[Any]:
        return self._ask("hangup")

    def answer(self, uuid: str | None = None) -> Operation[Any]:
        return self._ask("answer", uuid)

    def reject(self, uuid: str | None = None) -> Operation[Any]:
        return self._ask("reject", uuid)

    def ignore(self, uuid: str | None = None) -> Operation[Any]:
        return self._ask("ignore", uuid)

    def send_dtmf(self, digits: str) -> Operation[Any]:
        return self._ask("send_dtmf", digits)

    def send_quality_feedback(self, uuid: str, score: int, comment: str) -> Operation[Any]:
        return self._ask("feedback", uuid, score, comment)

    def mute(self) -> bool:
        self.threads.append(asyncio.get_running_loop())
        self.muted = True
        return True

    def unmute(self) -> bool:
        self.muted = False
        return True

    # what the far end does

    def answered(self, call: StandInCall | None = None) -> StandInCall:
        call = self.current_call = call or StandInCall("echo")
        self.emit("onCalling")
        self.emit("onCallRemoteRinging", call.info)
        call.state = "answered"
        call.timings["answered"] = time.monotonic()
        self.last_uuid = call.uuid
        self.emit("onCallAnswered", call.info)
        return call

    def ended(self) -> None:
        call, self.current_call = self.current_call, None
        assert call is not None
        call.state = "ended"
        call.timings["ended"] = time.monotonic()
        self.emit("onCallTerminated", call.info)
        call.closed.set()

    def rings(self, call: StandInCall) -> None:
        self.incoming_calls.append(call)
        self.emit("onIncomingCall", call.peer, {}, call.info)


@pytest.fixture
async def client():
    yield StandInClient()
    await asyncio.sleep(0.01)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")]
    assert left == []


@pytest.fixture
def stand_in_call() -> type[StandInCall]:
    """To make ringing calls: ``client.rings(stand_in_call("bob", "INCOMING", "uuid-bob"))``."""
    return StandInCall


@pytest.fixture
def shown() -> list[str]:
    """What a part shows in the phone's status line."""
    return []


@pytest.fixture
async def loop_tasks(client: StandInClient, shown: list[str]):
    """For a part of the phone that is tested alone."""
    tasks = LoopTasks(client.loop, shown.append, "test")
    yield tasks
    tasks.close()


@pytest.fixture
async def phone(client: StandInClient):
    phone = Phone(client)  # type: ignore[arg-type]
    yield phone
    phone.close()


@pytest.fixture
async def dashboard(client: StandInClient):
    dashboard = Dashboard(client, interval_s=0.05)  # type: ignore[arg-type]
    yield dashboard
    await dashboard.close()


@pytest.fixture
def widget_count() -> Callable[[], int]:
    """How many widget models live in this process."""
    from ipywidgets.widgets import widget

    return lambda: len(widget._instances)


@pytest.fixture
async def in_memory():
    """Real clients that call each other over a SIP switch in memory: ``await in_memory("alice")``."""
    engine = MemoryEngine(seed=1)
    async with contextlib.AsyncExitStack() as clients:

        async def make(name: str, **options: Any) -> Client:
            settings: Any = {"sound": "none", "enableTracking": False, "debug": "OFF", **options}
            client = await clients.enter_async_context(Client(engine=engine, **settings))
            await client.login(name, ACCOUNTS[name])
            return client

        yield make
    await engine.close()


@pytest.fixture
async def talk():
    """Call from one client to another one and answer: ``call, theirs = await talk(alice, bob)``."""

    async def call(caller: Client, callee: Client) -> tuple[Call, Call]:
        operation = caller.call(str(callee.username))
        await until(lambda: callee.incoming_calls)
        theirs = await callee.answer()
        return await operation, theirs

    return call


@pytest.fixture
def make_call() -> type[StandInCall]:
    return StandInCall
