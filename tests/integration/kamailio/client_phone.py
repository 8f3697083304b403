"""`plivo_nb.Client`s of the tests: logged in to Kamailio, with every event kept."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from hearing import Ear
from kamailio_rig import password

from plivo_nb import Client
from plivo_nb.events import EVENT_NAMES
from plivo_nb.media.audio.sources import Tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plivo_nb.call import Call


class Person:
    """A client, its name, and what happened to it: `events` holds (name, arguments) in order."""

    def __init__(self, url: str | list[str], user: str, **options: Any) -> None:
        self.user = user
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        self._cursor = 0
        self._happened = asyncio.Event()
        self.client = Client(
            registrationDomainSocket=[url] if isinstance(url, str) else url,
            loopbackCandidates=True,
            enableTracking=False,
            sound="none",
            **options,
        )
        for event in EVENT_NAMES:
            self.client.on(event, self._keeper(event))

    def _keeper(self, event: str) -> Any:
        def keep(*arguments: Any) -> None:
            self.events.append((event, arguments))
            self._happened.set()

        return keep

    async def login(self) -> None:
        await self.client.login(self.user, password(self.user))

    async def expect(self, *wanted: str, timeout_s: float = 8.0) -> tuple[Any, ...]:
        """The arguments of the next event of one of these names; what lies before it is passed over."""

        async def find() -> tuple[Any, ...]:
            while True:
                while self._cursor < len(self.events):
                    event, arguments = self.events[self._cursor]
                    self._cursor += 1
                    if event in wanted:
                        return arguments
                self._happened.clear()
                await self._happened.wait()

        try:
            async with asyncio.timeout(timeout_s):
                return await find()
        except TimeoutError:
            raise AssertionError(
                f"{self.user} had no {wanted} in {timeout_s} s, only {self.events}"
            ) from None

    def last_call_id(self) -> str:
        """The Call-ID of the last INVITE sent or received."""
        trace = self.client.sip_trace
        return str(trace[trace.cseq.str.endswith("INVITE")].call.iloc[-1])

    def names(self) -> list[str]:
        """The names of the events so far."""
        return [event for event, _ in self.events]


@contextlib.asynccontextmanager
async def people(*specs: tuple[str, str], **options: Any) -> AsyncIterator[list[Person]]:
    """Logged-in clients, one for each (url, user)."""
    made = [Person(url, user, **options) for url, user in specs]
    try:
        await asyncio.gather(*(person.login() for person in made))
        yield made
    finally:
        await asyncio.gather(*(person.client.close() for person in made))


async def talk(caller: Person, callee: Person, target: str | None = None) -> tuple[Call, Call]:
    """Call and answer; gives the answered calls of both ends."""
    calling = caller.client.call(target or callee.user)
    await callee.expect("onIncomingCall")
    there = await callee.client.answer()
    here = await calling
    return here, there


async def hear_each_other(here: Call, there: Call) -> tuple[Ear, Ear]:
    """Play a tone of its own at each end, and wait until each hears the other's."""
    ear_here, ear_there = Ear(), Ear()
    here.play(Tone(440))
    there.play(Tone(660))
    here.add_sink(ear_here)
    there.add_sink(ear_there)
    await asyncio.gather(ear_here.hears(660), ear_there.hears(440))
    return ear_here, ear_there
