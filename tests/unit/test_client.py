"""Callbacks have types: mypy tells a wrong one, and nothing of a right one."""

import pathlib
import re
import subprocess
import sys

from plivo_nb.events import EVENT_NAMES, Emitter, EventStream

RIGHT = """
from plivo_nb import CallInfo, Client
from plivo_nb.events import EVENT_NAMES, MediaMetric


def use(client: Client) -> None:
    client.on("onLogin", lambda: None)

    @client.on("onCallFailed")
    def failed(cause: str, info: CallInfo) -> None: ...

    @client.once("mediaMetrics")
    def metric(metric: MediaMetric) -> None: ...

    async def answered(info: CallInfo) -> None: ...

    client.on("onCallAnswered", answered)
    for name in EVENT_NAMES:
        client.on(name, print)
    client.sendDtmf("1")
    client.send_dtmf("1")
    client.getCallUUID()
"""
WRONG = """
from plivo_nb import CallInfo, Client


def use(client: Client) -> None:
    async def answered(info: CallInfo) -> None: ...

    def number(one: int) -> None: ...

    client.on("onLogin", answered)
    client.on("onCallAnswered", number)
    client.on("onCallAnswerd", answered)
    client.sendDtmf(1)
"""


def test_a_wrong_callback_is_told_by_the_type_checker(tmp_path: pathlib.Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path)], capture_output=True, text=True, timeout=140
    )
    errors = re.findall(r"(\w+)\.py:(\d+): error", done.stdout)
    assert errors == [("wrong", str(line)) for line in (10, 11, 12, 13)], done.stdout


async def test_a_slow_reader_of_events_loses_the_oldest_and_is_told() -> None:
    emitter = Emitter()
    stream = EventStream(emitter, limit=3)
    for number in range(5):
        emitter.emit("onLoginFailed", str(number))
    assert [(await anext(stream)).value for _ in range(3)] == ["2", "3", "4"]
    assert stream.missed == 2
    emitter.emit("onLogin")
    emitter.emit("onIncomingCall", "a@b", {}, None)
    assert (await anext(stream)).value is None
    assert (await anext(stream)).value == ("a@b", {}, None)
    await stream.aclose()
    emitter.emit("onLogin")
    assert [event async for event in stream] == []
    assert len(EVENT_NAMES) == 17
