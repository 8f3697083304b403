"""JsSIP in Chromium as the other party, through Kamailio, both directions, sound checked by its pitch."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from client_phone import Person, people
from hearing import Ear
from kamailio_rig import FLAVOURS, Kamailio, expected_uuid, password
from playwright.async_api import Browser, Page, async_playwright
from waiting import stays, until

from plivo_nb import CallFailed
from plivo_nb.media.audio.sources import Tone

if TYPE_CHECKING:
    from plivo_nb.call import Call

HERE = Path(__file__).parents[1] / "jssip"
OURS_HZ, THEIRS_HZ = 600, 900
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # no microphone is asked for, so hosts would be hidden
    "--allow-loopback-in-peer-connection",
]
_numbers = itertools.count(1)
pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser for all
Meet = Callable[..., contextlib.AbstractAsyncContextManager[tuple[Person, "Peer"]]]


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    server = Kamailio(tmp_path_factory.mktemp("kamailio"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Peer:
    """JsSIP in a page, driven through `peer` of peer.js."""

    def __init__(self, page: Page, user: str) -> None:
        self.page = page
        self.user = user
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    async def do(self, expression: str, *arguments: Any) -> Any:
        return await self.page.evaluate(f"(args) => {expression}", list(arguments))

    async def register(self, url: str) -> None:
        await self.do("peer.register(...args)", url, self.user, password(self.user), THEIRS_HZ)
        await self.expect("registered")

    async def expect(self, name: str, count: int = 1, timeout_s: float = 8.0) -> Any:
        """The detail of the event `name`, the `count`th of its kind."""
        log: list[list[Any]] = []

        async def details() -> list[Any]:
            log[:] = await self.do("peer.log")
            found = [detail for event, detail in log if event == name]
            return found if len(found) >= count else []

        missing = f"no {name} ({count}) from JsSIP, only"
        found = await until(details, timeout_s, lambda: (missing, log, self.problems), interval_s=0.05)
        return found[count - 1]

    async def hears(self, frequency_hz: float, timeout_s: float = 8.0) -> None:
        """Wait until the page receives that tone (within 2 %)."""
        heard: dict[str, float] = {}

        async def tone() -> bool:
            heard.update(await self.do("peer.heard()"))
            return heard["level"] > -60 and abs(heard["frequency"] - frequency_hz) < 0.02 * frequency_hz

        await until(tone, timeout_s, lambda: f"{heard} instead of {frequency_hz} Hz", interval_s=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        await browser.close()


@pytest.fixture
def meet(kamailio: Kamailio, jssip: Path, chromium: Browser) -> Meet:
    @contextlib.asynccontextmanager
    async def meeting(flavour: str = "plain") -> AsyncIterator[tuple[Person, Peer]]:
        """A client of ours and JsSIP in a page, both registered."""
        number = next(_numbers)
        async with people((kamailio.url(flavour), f"nora{number}")) as [ours]:
            page = await chromium.new_page()
            peer = Peer(page, f"jessie{number}")
            await page.add_script_tag(path=jssip)
            await page.add_script_tag(path=HERE / "peer.js")
            # JsSIP prefers auth-int, which Kamailio 5.6 cannot verify: not on the strict flavour.
            await peer.register(kamailio.url("bare" if flavour == "bare" else "plain"))
            yield ours, peer
            await page.close()
            assert peer.problems == []

    return meeting


async def sound_both_ways(call: Call, peer: Peer) -> Ear:
    ear = Ear()
    call.add_sink(ear)
    call.play(Tone(OURS_HZ))
    await asyncio.gather(ear.hears(THEIRS_HZ), peer.hears(OURS_HZ))
    return ear


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_we_call_jssip(kamailio: Kamailio, meet: Meet, flavour: str) -> None:
    async with meet(flavour) as (ours, peer):
        calling = ours.client.call(peer.user, {"X-PH-Test": "from-a-notebook"})
        incoming = await peer.expect("incoming")
        assert incoming["from"] == ours.user
        assert incoming["header"] == "from-a-notebook"
        await ours.expect("onCallRemoteRinging")
        await peer.do("peer.answer()")
        call = await calling
        call_id = ours.last_call_id()
        assert incoming["uuid"] == (None if flavour == "bare" else expected_uuid(call_id))
        await sound_both_ways(call, peer)
        await call.hangup()
        assert (await peer.expect("ended")).startswith("remote")


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_jssip_calls_us(kamailio: Kamailio, meet: Meet, flavour: str) -> None:
    async with meet(flavour) as (ours, peer):
        await peer.do("peer.call(...args)", ours.user, ["X-PH-Test: from-a-page"])
        caller, headers, _ = await ours.expect("onIncomingCall")
        assert caller == f"{peer.user}@phone.plivo.com"
        assert {key.lower(): value for key, value in headers.items()} == {"x-ph-test": "from-a-page"}
        call = await ours.client.answer()
        await peer.expect("confirmed")
        await sound_both_ways(call, peer)
        await peer.do("peer.session.terminate()")
        [info] = await ours.expect("onCallTerminated")
        assert info.originator == "remote"


async def test_jssip_holds_and_takes_the_call_back(meet: Meet) -> None:
    async with meet() as (ours, peer):
        await peer.do("peer.call(...args)", ours.user)
        await ours.expect("onIncomingCall")
        call = await ours.client.answer()
        ear = await sound_both_ways(call, peer)
        assert await peer.do("peer.session.hold()")
        await peer.expect("hold")
        await until(lambda: ear.peak(0.2) < 0.01, describe=lambda: ear.peak(0.2))
        ear.forget()
        await stays(
            lambda: ear.frequency_hz is None, 1.0
        )  # nothing, or silence, comes from a peer that holds
        assert await peer.do("peer.session.unhold()")
        await peer.expect("unhold")
        await asyncio.gather(ear.hears(THEIRS_HZ), peer.hears(OURS_HZ))
        await call.hangup()
        await peer.expect("ended")


@pytest.mark.parametrize("caller", ["ours", "jssip"])
async def test_jssip_restarts_ice(meet: Meet, caller: str) -> None:
    """A browser that changed its network does this: both sides get new ICE credentials, the sound goes on."""
    credentials = """[peer.session.connection.localDescription, peer.session.connection.remoteDescription]
        .map((description) => description.sdp.match(/a=ice-ufrag:(.*)/)[1].trim())"""
    async with meet() as (ours, peer):
        if caller == "ours":
            await peer.do("peer.autoAnswer = true")
            call = await ours.client.call(peer.user)
        else:
            await peer.do("peer.call(...args)", ours.user)
            await ours.expect("onIncomingCall")
            call = await ours.client.answer()
        ear = await sound_both_ways(call, peer)
        before = await peer.do(credentials)
        assert await peer.do("peer.session.renegotiate({rtcOfferConstraints: {iceRestart: true}})")

        async def new_credentials() -> bool:
            after = await peer.do(credentials)
            used = (await call.stats())["transport"]["iceLocalUsernameFragment"]
            return bool(after[0] != before[0] and after[1] != before[1] and used == after[1])

        await until(new_credentials, 10, lambda: f"the credentials before, {before}", interval_s=0.05)
        ear.forget()
        await asyncio.gather(ear.hears(THEIRS_HZ), peer.hears(OURS_HZ))
        await call.hangup()
        await peer.expect("ended")


async def test_digits_both_ways(meet: Meet) -> None:
    async with meet() as (ours, peer):
        await peer.do("peer.call(...args)", ours.user)
        await ours.expect("onIncomingCall")
        call = await ours.client.answer()
        await sound_both_ways(call, peer)
        await peer.do("peer.session.sendDTMF('5#', {transportType: 'INFO'})")
        assert [(await ours.expect("onDtmfReceived"))[0]["tone"] for _ in "5#"] == ["5", "#"]
        await peer.do("peer.session.sendDTMF('7*', {transportType: 'RFC2833'})")
        assert [(await ours.expect("onDtmfReceived"))[0]["tone"] for _ in "7*"] == ["7", "*"]
        await peer.do("peer.session.terminate()")
        await ours.expect("onCallTerminated")


async def test_we_send_digits_to_jssip(meet: Meet) -> None:
    async with meet() as (ours, peer):
        await peer.do("peer.autoAnswer = true")
        call = await ours.client.call(peer.user)
        await call.send_dtmf("42#")
        assert [await peer.expect("dtmf", count=n) for n in (1, 2, 3)] == [
            "remote: 4",
            "remote: 2",
            "remote: #",
        ]
        await call.hangup()


async def test_reject_cancel_and_busy(meet: Meet) -> None:
    async with meet() as (ours, peer):
        calling = ours.client.call(peer.user)
        await peer.expect("incoming")
        await peer.do("peer.session.terminate({status_code: 486})")
        with pytest.raises(CallFailed) as caught:
            await calling
        assert caught.value.cause == "Busy"

        calling = ours.client.call(peer.user)
        await peer.expect("incoming", count=2)
        await ours.expect("onCallRemoteRinging")
        await ours.client.hangup()
        assert (await peer.expect("failed", count=2)) == "remote: Canceled"
        await calling.settled()

        await peer.do("peer.call(...args)", ours.user)
        await ours.expect("onIncomingCall")
        await ours.client.reject()
        assert (await peer.expect("failed", count=3)) == "remote: Busy"

        await peer.do("peer.call(...args)", ours.user)
        await ours.expect("onIncomingCall")
        await peer.do("peer.session.terminate()")
        await ours.expect("onIncomingCallCanceled")
