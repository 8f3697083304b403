"""Each type of mediaMetrics is raised and cleared in calls over the lab, with a bad and a good network.

Rules count samples, not seconds: a sample each 0.2 s makes the same rule quick.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import pytest
import pytest_asyncio
from waiting import until

from plivo_nb import Client, Lab, Tone
from plivo_nb.quality.rules import V2_1

pytestmark = pytest.mark.asyncio(loop_scope="session")

Event = dict[str, object]
QUICK = {"sampleInterval": 0.2}


class Zeros:
    """A microphone that is open and gives only zeros."""

    def open(self, rate: int) -> None: ...
    def read(self, samples: int) -> np.ndarray:
        return np.zeros(samples, np.int16)

    def close(self) -> None: ...


class Dead:
    """A microphone that gives no samples, as one that another program uses."""

    def open(self, rate: int) -> None: ...
    def read(self, samples: int) -> None:
        return None

    def close(self) -> None: ...


class Told:
    """The mediaMetrics events of a client."""

    def __init__(self, client: Client) -> None:
        self.events: list[Event] = []
        client.on("mediaMetrics", self.events.append)

    def of(self, type_: str, stream: str = "") -> list[Event]:
        return [event for event in self.events if event["type"] == type_ and stream in ("", event["stream"])]

    async def raised(self, type_: str, stream: str = "") -> Event:
        await until(
            lambda: any(event["active"] for event in self.of(type_, stream)), describe=lambda: self.events
        )
        return next(event for event in self.of(type_, stream) if event["active"])

    async def cleared(self, type_: str, stream: str = "") -> Event:
        await until(
            lambda: self.of(type_, stream) and not self.of(type_, stream)[-1]["active"],
            describe=lambda: self.events,
        )
        return self.of(type_, stream)[-1]


@pytest_asyncio.fixture(loop_scope="session")
async def network(lab: Lab) -> AsyncIterator[object]:
    yield lab.network
    await lab.network.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def quick(lab: Lab, clients: Callable[..., Client]) -> Client:
    client = clients(**QUICK)
    await client.login("alice", lab.password("alice"))
    return client


@pytest.fixture
def dead_stun_server() -> Iterator[str]:
    """A port that receives requests and never answers."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"stun:127.0.0.1:{deaf.getsockname()[1]}"


@pytest.mark.spec("6 high_jitter", "6 high_rtt", "6 high_packetloss", "6 low_mos", "4 mediaMetrics")
async def test_a_bad_network_raises_jitter_rtt_loss_and_mos_and_a_good_one_clears_them(
    quick: Client, network
) -> None:
    told = Told(quick)
    call = await quick.call("echo")
    call.play(Tone(440.0))
    await asyncio.sleep(1.0)
    assert told.events == []
    await network.set(delay_ms=260, jitter_ms=200, loss=0.35, seed=3)
    directions = [("high_jitter", "local"), ("high_jitter", "remote")]
    directions += [("high_packetloss", "local"), ("high_packetloss", "remote")]
    every = [*directions, ("high_rtt", "None"), ("low_mos", "None")]
    raised = {key: await told.raised(*key) for key in every}
    await network.clear()
    cleared = {key: await told.cleared(*key) for key in every}

    limits = {"high_jitter": 30, "high_packetloss": 0.10, "high_rtt": 400}
    for (type_, stream), event in raised.items():
        assert (event["group"], event["level"], event["active"]) == ("network", "warning", True)
        over = event["value"] < 3 if type_ == "low_mos" else event["value"] > limits[type_]
        assert over, event
        cleared_over = cleared[type_, stream]["value"]
        assert cleared_over >= 3 if type_ == "low_mos" else cleared_over <= limits[type_]
    assert 400 < raised["high_rtt", "None"]["value"] < 1500, "260 ms each way"
    assert {event["desc"] for event in raised.values()} == {
        rule.desc for rule in V2_1 if rule.type in ("high_jitter", "high_rtt", "high_packetloss", "low_mos")
    }
    frame = call.media_metrics
    assert len(frame) == len(told.events)
    assert set(frame["type"]) == {"high_jitter", "high_rtt", "high_packetloss", "low_mos"}
    assert frame["active"].sum() * 2 == len(frame), "what was raised was cleared, once each time"
    await call.hangup()


@pytest.mark.spec("6 no_audio_received", "6 no_microphone_access")
async def test_silence_and_a_dead_microphone_are_told_apart(quick: Client) -> None:
    told = Told(quick)
    call = await quick.call("echo")
    call.play(Zeros())
    local = await told.raised("no_audio_received", "local")
    remote = await told.raised("no_audio_received", "remote")
    assert (local["group"], local["value"], local["desc"]) == ("audio", -100.0, "local_audio")
    assert (remote["value"] <= -70, remote["desc"]) == (True, "remote_audio")
    assert told.of("no_microphone_access") == []
    call.play(Tone(440.0))
    assert (await told.cleared("no_audio_received", "local"))["value"] > -70
    assert (await told.cleared("no_audio_received", "remote"))["value"] > -70

    call.play(Dead())
    began = time.monotonic()
    dead = await told.raised("no_microphone_access")
    assert time.monotonic() - began > 2.5, "it takes three seconds without a byte"
    assert (dead["group"], dead["value"], dead["desc"]) == ("audio", 0, "no audio sent")
    call.play(Tone(440.0))
    await told.cleared("no_microphone_access")
    await call.hangup()


@pytest.mark.spec("6 no_microphone_access")
async def test_no_microphone_is_told_of_by_nobody_who_is_muted_or_silent_by_choice(
    lab: Lab, quick: Client, clients: Callable[..., Client]
) -> None:
    other = clients(**QUICK)
    await other.login("bob", lab.password("bob"))
    heard = [Told(quick), Told(other)]
    quiet, muted = await asyncio.gather(quick.call("tone-1000"), other.call("tone-1000"))
    quiet.stop_playing()
    muted.play(Dead())
    muted.mute()
    await asyncio.sleep(4.0)
    for told in heard:
        assert told.of("no_microphone_access") == []
    assert heard[1].of("no_audio_received", "local") == []
    await asyncio.gather(quiet.hangup(), muted.hangup())


@pytest.mark.spec("6 ice_connection")
async def test_a_network_that_drops_and_comes_back_is_told_by_its_ice_state(quick: Client, network) -> None:
    told = Told(quick)
    call = await quick.call("echo")
    call.play(Tone(440.0))
    await asyncio.sleep(0.5)
    assert told.of("ice_connection") == [], "the first connect is no change"
    await network.set(black_hole=True)
    gone = await told.raised("ice_connection")
    assert (gone["value"], gone["group"], gone["desc"]) == ("disconnected", "network", "network drop")
    assert (await told.raised("no_audio_received", "remote"))["active"]
    await network.clear()
    back = await told.cleared("ice_connection")
    assert back["value"] == "connected"
    assert [event["active"] for event in told.of("ice_connection")] == [True, False]
    await told.cleared("no_audio_received", "remote")
    await call.hangup()


@pytest.mark.spec("6 ice_timeout", "2 iceGatheringTimeout")
async def test_a_dead_stun_server_is_an_ice_timeout_and_the_call_goes_on(
    lab: Lab, clients: Callable[..., Client], dead_stun_server: str
) -> None:
    client = clients(**QUICK, iceServers=[{"urls": dead_stun_server}])
    told = Told(client)
    await client.login("alice", lab.password("alice"))
    operation = client.call("echo")
    event = await told.raised("ice_timeout")
    assert (event["group"], event["desc"]) == ("network", "Possible NAT/Firewall issue")
    assert 2000 <= event["value"] < 3000, "the time really waited"
    call = await operation
    call.play(Tone(440.0))
    await asyncio.sleep(0.6)
    assert len(told.of("ice_timeout")) == 1
    assert list(call.media_metrics["type"]) == ["ice_timeout"], "it is kept under the call's id"
    await call.hangup()


@pytest.mark.spec("2 enableTracking")
async def test_without_tracking_nothing_is_told(lab: Lab, clients: Callable[..., Client], network) -> None:
    client = clients(**QUICK, enableTracking=False)
    await client.login("alice", lab.password("alice"))
    told = Told(client)
    call = await client.call("echo")
    call.play(Zeros())
    await until(lambda: len(call.samples) >= 5)  # samples are taken all the same
    assert told.events == []
    assert client.media_metrics.empty
    await call.hangup()
