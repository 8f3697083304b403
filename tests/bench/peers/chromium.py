"""Headless Chromium, with JsSIP for the rows of set-up; the calls are between parties of one page."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from bench.peers import environment, speech
from bench.peers.dropper import Dropper

RATE = 48_000
SETTLING_S = 8.0  # until the jitter buffers no longer wait for what was late while the calls were made
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]  # fmt: skip


@contextlib.contextmanager
def page(jssip: Path | None = None) -> Iterator[Page]:
    """A page with the bench's script, and with JsSIP."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=environment.CHROMIUM, args=ARGUMENTS)
        one = browser.new_page()
        if jssip is not None:
            one.add_script_tag(path=jssip)
        one.add_script_tag(path=Path(__file__).with_name("page.js"))
        yield one
        browser.close()


def connect(page: Page, number: int, codec: str, line: Dropper | None = None) -> None:
    """Make the call `number` of the page; without a line, the listener sends back what it hears."""

    def through(party: str, sdp: str) -> str:
        return line.reroute(party, sdp) if line else sdp

    page.evaluate("args => { lines.push(new Line(...args)); }", [codec, line is not None])
    offer = page.evaluate("n => lines[n].offer()", number)
    answer = page.evaluate("([n, sdp]) => lines[n].answer(sdp)", [number, through("speaker", offer)])
    page.evaluate("([n, sdp]) => lines[n].accept(sdp)", [number, through("listener", answer)])


def _text(pcm: speech.Pcm) -> str:
    return base64.b64encode(pcm.tobytes()).decode()


def loss(codec: str, shares: list[float], seed: int, said: str, folder: str) -> dict[str, Any]:
    """Calls at the same time, one for each share of loss: what was not played, files of what was heard.

    Everything in the page has 48 kHz; `said` has it too, whatever the codec.
    """
    pcm = speech.read(Path(said))
    lines = [Dropper(seed) for _ in shares]
    found: dict[str, Any] = {}
    with page() as one:
        for n, line in enumerate(lines):
            connect(one, n, codec, line)
        one.evaluate("text => lines.forEach((line) => line.load(text))", _text(pcm))
        time.sleep(SETTLING_S)
        before = one.evaluate("() => Promise.all(lines.map((line) => line.counts()))")
        for share, line in zip(shares, lines, strict=True):
            line.loss = share
        one.evaluate("() => lines.forEach((line) => line.sayLoaded())")
        time.sleep(len(pcm) / RATE + 0.5)
        after = one.evaluate("() => Promise.all(lines.map((line) => line.counts()))")
        for n, share in enumerate(shares):
            concealed, all_ = (now - then for now, then in zip(after[n], before[n], strict=True))
            rate, text = one.evaluate("n => lines[n].heard()", n)
            file = Path(folder, f"chromium-{codec}-{share}.wav")
            speech.write(file, np.frombuffer(base64.b64decode(text), np.int16), rate)
            found[str(share)] = {"unplayed": concealed / all_, "heard": str(file)}
    for line in lines:
        line.close()
    return found


def echo(codec: str, seconds: float) -> dict[str, float]:
    """Mouth to ear through a far end that sends what it hears by way of its audio context, ms."""
    with page() as one:
        connect(one, 0, codec)
        time.sleep(3)
        text = _text(speech.bursts(RATE, seconds))
        onsets = one.evaluate("([text, seconds]) => lines[0].echo(text, seconds)", [text, seconds])
    delays = speech.delays_ms(*onsets)
    return {"delay_ms": float(np.median(delays)), "bursts": len(delays)}


def setup(url: str, count: int, user: str) -> dict[str, list[float]]:
    """Times of logins and calls through a server, ms."""
    found: dict[str, list[float]] = {"login": [], "ringing": [], "rtp": []}
    with page(environment.jssip()) as one:
        for n in range(count):
            times = one.evaluate("args => setUp(...args)", [url, f"{user}a{n}", f"{user}b{n}"])
            for name, value in times.items():
                found[name].append(value)
    return found
