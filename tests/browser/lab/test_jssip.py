"""JsSIP, which Plivo's Browser SDK is built on, in Chromium at the lab: it registers and calls robots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright
from waiting import until

from plivo_nb import Lab, Tone

HERE = Path(__file__).parents[1] / "jssip"
OWN_HZ = 900
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
]
VISIBLE = "--disable-features=WebRtcHideLocalIpsWithMdns"
CREDENTIALS = """[peer.session.connection.localDescription, peer.session.connection.remoteDescription]
    .map((description) => description.sdp.match(/a=ice-ufrag:(.*)/)[1].trim())"""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[str]:
    """A server of an empty page on this machine: the lab refuses pages from elsewhere."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class Phone:
    """JsSIP in a page, as bob."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def do(self, expression: str, *arguments: Any) -> Any:
        return await self.page.evaluate(f"(args) => {expression}", list(arguments))

    async def expect(self, name: str, timeout_s: float = 10.0) -> Any:
        log: list[list[Any]] = []

        async def found() -> list[list[Any]]:
            log[:] = await self.do("peer.log")
            return [entry for entry in log if entry[0] == name]

        return (await until(found, timeout_s, lambda: log, 0.05))[0][1]

    async def hears(self, frequency_hz: float, timeout_s: float = 10.0) -> None:
        heard: dict[str, float] = {}

        async def is_heard() -> bool:
            heard.update(await self.do("peer.heard()"))
            return heard["level"] > -60 and abs(heard["frequency"] - frequency_hz) < 0.02 * frequency_hz

        await until(is_heard, timeout_s, lambda: heard, 0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """``hidden``: as in a page without a microphone, host addresses are names that nobody can resolve."""
    arguments = [*CHROMIUM, VISIBLE] if request.param == "visible" else CHROMIUM
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        await browser.close()


visible = pytest.mark.parametrize("browser", ["visible"], indirect=True)
also_hidden = pytest.mark.parametrize("browser", ["visible", "hidden"], indirect=True)


@pytest_asyncio.fixture(loop_scope="module")
async def phone(browser: Browser, lab: Lab, jssip: Path, origin: str) -> AsyncIterator[Phone]:
    """Registered."""
    page = await browser.new_page()
    await page.goto(origin)
    phone = Phone(page)
    await page.add_script_tag(path=jssip)
    await page.add_script_tag(path=HERE / "peer.js")
    await phone.do("peer.register(...args)", lab.url, "bob", lab.password("bob"), OWN_HZ)
    await phone.expect("registered")
    yield phone
    await phone.do("peer.close()")
    await page.close()


@visible
async def test_a_page_without_an_origin_is_refused(browser: Browser, lab: Lab) -> None:
    page = await browser.new_page()
    assert await page.evaluate("origin") == "null"  # that of about:blank
    opened = """url => new Promise((resolve) => { const socket = new WebSocket(url, "sip");
        socket.onopen = () => resolve(true); socket.onerror = () => resolve(false); })"""
    assert not await page.evaluate(opened, lab.url)
    await page.close()


@also_hidden
async def test_it_hears_itself_from_the_echo_robot_over_a_bad_network(phone: Phone, lab: Lab) -> None:
    await phone.do("peer.call(...args)", "echo")
    await phone.expect("confirmed")
    await phone.hears(OWN_HZ)
    await lab.network.set(loss=0.1, delay_ms=50)

    async def dropped() -> bool:
        counters = (await lab.network.counters())["calls"][-1]
        assert (counters["caller"], counters["callee"]) == ("bob", "echo")
        return bool(counters["to_callee"]["rtp_dropped"] > 2)

    await until(dropped)
    await lab.network.clear()
    await phone.hears(OWN_HZ)
    await phone.do("peer.session.terminate()")
    await phone.expect("ended")


@visible
async def test_it_is_put_on_hold_and_taken_back(phone: Phone) -> None:
    await phone.do("peer.call(...args)", "holds")
    await phone.expect("confirmed")
    await phone.expect("hold")
    await phone.expect("unhold")
    await phone.hears(OWN_HZ)
    await phone.do("peer.session.terminate()")


@visible
async def test_its_ice_restart_goes_through_the_same_relay(phone: Phone) -> None:
    await phone.do("peer.call(...args)", "echo")
    await phone.expect("confirmed")
    await phone.hears(OWN_HZ)
    before = await phone.do(CREDENTIALS)
    assert await phone.do("peer.session.renegotiate({rtcOfferConstraints: {iceRestart: true}})")

    async def both_sides_have_new_credentials() -> bool:
        after = await phone.do(CREDENTIALS)
        return bool(after[0] != before[0] and after[1] != before[1])

    await until(both_sides_have_new_credentials)
    await asyncio.sleep(1)  # what was under way in the old way has come by now
    await phone.hears(OWN_HZ)
    await phone.do("peer.session.terminate()")


@also_hidden
async def test_a_notebook_calls_it(phone: Phone, lab: Lab) -> None:
    await phone.do("peer.autoAnswer = true")
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        call = await client.call("bob")
        assert (await phone.expect("incoming"))["uuid"] == call.call_uuid
        call.play(Tone(600))
        await phone.hears(600)
        await call.hangup()
    assert str(await phone.expect("ended")).startswith("remote")
