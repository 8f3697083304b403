"""mypy accepts right scripts of users, and reports the line of each misspelling in a wrong one."""

import pathlib

from user_scripts import check_types

RIGHT = """
from plivo_nb import CallInfo, Client, Lab, Plivo, app
from plivo_nb.client import FeedbackComment
from plivo_nb.events import EVENT_NAMES, ConnectionChange, DtmfReceived, EventName, MediaMetric
from plivo_nb.options import PlivoOptions
from plivo_nb.quality.rules import V2_1, Rule
from plivo_nb.testing import FakeServer, FakeSound

options: PlivoOptions = {
    "debug": "INFO",
    "permOnClick": True,
    "audioConstraints": {"sampleRate": 16_000, "echoCancellation": {"ideal": True}},
    "clientRegion": "europe",
    "iceServers": [{"urls": "stun:stun.example.com"}],
}
Plivo(options).client
Plivo({"codecs": ["PCMU"], "rules": "sdk-2.2", "sound": FakeSound()})
Client(perm_on_click=True, clientRegion=None, rules=V2_1, sound="none", codecs=["OPUS", "PCMU"])
quiet = Rule(
    type="quiet", group="audio", desc="x", stream="remote", column="level_in_dbfs", over="<", limit=-40
)
Client(rules=[*V2_1, quiet])
app("bob", enableTracking=False)
app("bob", lab=Lab(), layout="full")
app("user", password="secret", sound="device")
app("user", password="secret", server=["wss://one.example.com", "wss://two.example.com"])
app(server="plivo", layout="compact")


async def use(client: Client, lab: Lab, server: FakeServer) -> None:
    lab.client(permOnClick=True, sample_interval=0.5)
    Client(lab.options(strict=True))
    Client(**lab.options(sound="none"))
    server.client(**server.options(strict=True))
    client.on("onLogin", lambda: None)

    @client.on("onCallFailed")
    def failed(cause: str, info: CallInfo) -> None: ...

    @client.once("mediaMetrics")
    def metric(metric: MediaMetric) -> None: ...

    @client.on("onIncomingCall")
    async def incoming(caller: str, headers: object, info: CallInfo) -> None: ...

    async def answered(info: CallInfo) -> None: ...

    client.on("onCallAnswered", answered)
    client.off("onCallAnswered", answered)
    name: EventName
    for name in EVENT_NAMES:
        client.on(name, print)
    cause, info = await client.wait_for("onCallFailed", timeout=5)
    cause.upper(), info.callUUID
    change: ConnectionChange = await client.wait_for("onConnectionChange")
    await client.wait_for("onLogin", 5)
    async for event in client.events():
        if event.name == "onLogin":
            break
    comment: FeedbackComment = "bad-audio"
    await client.send_quality_feedback("uuid", 5, comment)
    await client.sendQualityFeedback("uuid", 5, "one-way-audio")
    client.setDebug("ALL")
    await client.sendDtmf("1")
    await client.send_dtmf("123#")
    client.getCallUUID()


def tone(event: DtmfReceived) -> bool:
    return event["tone"] == "#"
"""
WRONG = """
from plivo_nb import CallInfo, Client, Lab, Plivo, app
from plivo_nb.events import DtmfReceived
from plivo_nb.options import PlivoOptions
from plivo_nb.testing import FakeServer

Plivo({"permOnclick": True})  # wrong
Plivo({"debug": "LOUD"})  # wrong
Plivo(enable_traking=True)  # wrong
Client(perm_on_clik=True)  # wrong
Client(permOnClik=True)  # wrong
Client(clientRegion="mars")  # wrong
Client(rules="v2.2")  # wrong
Client(codecs=["G729"])  # wrong
Client(codecs="OPUS")  # wrong
Client(sound="speakers")  # wrong
Client(audio_constraints={"depth": 1})  # wrong
Client(iceServers=[{"url": "stun:x"}])  # wrong
app("bob", enableTraking=False)  # wrong
app("bob", layout="wide")  # wrong
app(password="secret")  # wrong
app("user", password="secret", lab=Lab())  # wrong
app(server=5060)  # wrong
options: PlivoOptions = {"clientRegion": "europe", "allowMultipleIncoming": True}  # wrong


async def use(client: Client, lab: Lab, server: FakeServer) -> None:
    lab.client(perm_on_clik=True)  # wrong
    lab.options(sound="speakers")  # wrong
    server.client(debug="LOUD")  # wrong

    async def answered(info: CallInfo) -> None: ...

    def number(one: int) -> None: ...

    client.on("onLogin", answered)  # wrong
    client.on("onCallAnswered", number)  # wrong
    client.once("onCallFailed", answered)  # wrong
    client.on("onCallAnswerd", answered)  # wrong
    client.once("onCallAnswerd", answered)  # wrong
    client.off("onCallAnswerd")  # wrong
    await client.wait_for("onCallAnswerd")  # wrong
    info: CallInfo = await client.wait_for("onCallFailed")  # wrong

    @client.on("onCallFailed")  # wrong
    def failed(info: CallInfo) -> None: ...

    async for event in client.events():
        print(event.name == "onLogn")  # wrong
    await client.send_quality_feedback("uuid", 5, "bad audio")  # wrong
    await client.sendQualityFeedback("uuid", "5", "bad-audio")  # wrong
    client.set_debug("VERBOSE")  # wrong
    client.setDebug("VERBOSE")  # wrong
    client.sendDtmf(1)  # wrong
    client.sendDTMF("1")  # wrong


def tone(event: DtmfReceived) -> bool:
    return event["tone"] == "#1"  # wrong
"""


def test_mypy_accepts_the_right_script_and_reports_each_wrong_line(tmp_path: pathlib.Path) -> None:
    check_types(RIGHT, WRONG, tmp_path)
