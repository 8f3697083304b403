"""What a robot does with a call, by the number that was called.

    echo, echo-delay        send back what is heard, at once or a second later
    tone-1000, speech, music-on-hold, silence
    busy, reject            486; 603 by the switch, as a network does
    no-answer, ring-N       never answers (408 after 60 s); answers after N seconds
    early-media             is heard before it answers (183), then answers after 2 s
    dtmf                    gives digits back: as tones to be heard, and as DTMF
    dtmf-rfc4733            the same; offers telephone-event, so that digits come in the RTP
    holds                   echo that puts the caller on hold after 1 s, and goes on after 3 s
    hangs-up-after-N        answers, hangs up after N seconds
    one-way                 answers; nothing of its media arrives
    forked                  rings at two places, the second answers
    headers                 answers with the X-PH headers that came, and calls back with them

A role says what the robot does itself, and what the switch does for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.lab.robots.sounds import DtmfTones, MusicOnHold, Sine

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client

MAX_SECONDS = 3600
ECHO_DELAY_S = 1.0
EARLY_MEDIA_S = 2.0
HOLDS_AFTER_S = 1.0
RESUMES_AFTER_S = 3.0
_FORK_ANSWERS_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that the switch itself turns down."""

    status: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One call to a robot.

    Args:
        number: what was called.
        caller: who calls, the user name.
        call_uuid: the call's.
        headers: the X-PH headers that came with it.
        place: which of several robots this is, when the call was forked.
        happened: tells the lab's log: (what, who, detail, call_uuid).
        set_network: sets knobs for one call.
        ring_back: calls a user back with headers.
    """

    number: str
    caller: str
    call_uuid: str
    headers: Mapping[str, str]
    place: int
    happened: Callable[[str, str, str, str | None], None]
    set_network: Callable[..., Any]
    ring_back: Callable[[str, Mapping[str, str]], Awaitable[None]] | None


Talk = Callable[["Client", "Call", Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Role:
    """What is done with a call.

    Args:
        go_on: what is done once it is answered (from then on it only waits for the end).
        answer_after_s: how long it rings; None: for ever.
        rejects: it is turned down at once.
        hang_up_after_s: when it ends the call itself.
        forks: at how many places it rings.
        early_media_s: how long it is heard before the switch passes its answer on.
        return_headers: the switch gives the caller's X-PH headers back with the ringing and the answer.
        plan: what the switch offers anew in its name: (seconds after the answer, what).
        telephone_event: it has telephone-event from the first offer on.
        only_answers: it makes no sense in a call that the robot makes itself.
    """

    go_on: Talk
    answer_after_s: float | None = 0.0
    rejects: bool = False
    hang_up_after_s: float | None = None
    forks: int = 1
    early_media_s: float = 0.0
    return_headers: bool = False
    plan: tuple[tuple[float, str], ...] = ()
    telephone_event: bool = False
    only_answers: bool = False

    @property
    def can_call(self) -> bool:
        """Whether a robot can also make a call in this role."""
        answers_plainly = self.answer_after_s == 0 and not self.rejects and self.forks == 1
        return answers_plainly and not (self.plan or self.early_media_s or self.only_answers)

    async def behave(self, client: Client, call: Call, visit: Visit) -> None:
        """Play the role with a call that rings at `client`."""
        if self.rejects:
            await client.reject()
            return
        if self.answer_after_s is None:
            return
        wait = self.answer_after_s + (_FORK_ANSWERS_AFTER_S if self.forks > 1 else 0.0)
        if self.forks > 1 and visit.place == 0:
            return
        await asyncio.sleep(wait)
        if call.phase != "ringing":
            return
        operation = client.answer(call.call_uuid)
        await self.go_on(client, call, visit)
        await operation
        if self.hang_up_after_s is not None:
            await asyncio.sleep(self.hang_up_after_s)
            await call.hangup()


# ---------------------------------------------------------------- what is done in a call


async def _echo(client: Client, call: Call, visit: Visit) -> None:
    call.echo()


async def _echo_later(client: Client, call: Call, visit: Visit) -> None:
    call.echo(ECHO_DELAY_S)


async def _tone(client: Client, call: Call, visit: Visit) -> None:
    call.play(Sine(1000.0))


async def _speak(client: Client, call: Call, visit: Visit) -> None:
    from plivo_nb.data import speech_path

    call.play(speech_path(), loop=True)


async def _music(client: Client, call: Call, visit: Visit) -> None:
    call.play(MusicOnHold())


async def _be_silent(client: Client, call: Call, visit: Visit) -> None:
    return


async def _lose_media(client: Client, call: Call, visit: Visit) -> None:
    call.play(Sine(1000.0))
    visit.set_network(direction="to_caller", call_uuid=visit.call_uuid, loss=1.0)


async def _repeat_digits(client: Client, call: Call, visit: Visit) -> None:
    tones = DtmfTones()
    call.play(tones)
    tasks: set[asyncio.Task[None]] = set()

    async def give_back(digit: str) -> None:
        await call.send_dtmf(digit)

    def heard(event: Mapping[str, Any]) -> None:
        digit = str(event["tone"])
        visit.happened("dtmf", visit.caller, digit, visit.call_uuid)
        tones.add(digit)
        task = asyncio.get_running_loop().create_task(give_back(digit), name="lab robot gives a digit back")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)

    client.on("onDtmfReceived", heard)

    async def forget() -> None:
        await call.ended
        client.off("onDtmfReceived", heard)

    task = asyncio.get_running_loop().create_task(forget(), name="lab robot forgets digits")
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _call_back(client: Client, call: Call, visit: Visit) -> None:
    async def ring() -> None:
        await call.ended
        await asyncio.sleep(0.2)
        if visit.ring_back is not None:
            await visit.ring_back(visit.caller, visit.headers)

    _background.add(task := asyncio.get_running_loop().create_task(ring(), name="lab robot calls back"))
    task.add_done_callback(_background.discard)


_background: set[asyncio.Task[None]] = set()

_ROLES: dict[str, Role | Refusal] = {
    "echo": Role(_echo),
    "echo-delay": Role(_echo_later),
    "tone-1000": Role(_tone),
    "speech": Role(_speak),
    "music-on-hold": Role(_music),
    "silence": Role(_be_silent),
    "busy": Role(_be_silent, rejects=True),
    "reject": Refusal(603, "Decline"),
    "no-answer": Role(_be_silent, answer_after_s=None),
    "early-media": Role(_tone, early_media_s=EARLY_MEDIA_S),
    "dtmf": Role(_repeat_digits),
    "dtmf-rfc4733": Role(_repeat_digits, plan=((0.3, "telephone-event"),), telephone_event=True),
    "holds": Role(_echo, plan=((HOLDS_AFTER_S, "hold"), (RESUMES_AFTER_S, "resume"))),
    "one-way": Role(_lose_media, only_answers=True),
    "forked": Role(_tone, forks=2),
    "headers": Role(_call_back, return_headers=True, only_answers=True),
}
DESCRIPTIONS: dict[str, str] = {
    "echo": "sends back what it hears",
    "echo-delay": "sends it back a second later",
    "tone-1000": "a sine of 1000 Hz",
    "speech": "the spoken sample, over and over",
    "music-on-hold": "four broken chords, over and over",
    "silence": "answers and sends silence",
    "busy": "486 Busy Here",
    "reject": "603 Decline",
    "no-answer": "rings until it is given up; 408 after 60 s",
    "ring-10": "answers after 10 s; any number of seconds",
    "early-media": "is heard before it answers (183), answers after 2 s",
    "dtmf": "gives digits back, as tones and as DTMF",
    "dtmf-rfc4733": "the same, with digits in the RTP (telephone-event)",
    "hangs-up-after-5": "hangs up after 5 s; any number of seconds",
    "one-way": "answers; nothing of its media arrives",
    "forked": "rings at two places, the second answers",
    "headers": "gives X-PH headers back: with the answer, and in a call of its own",
    "holds": "echo that puts the caller on hold after 1 s and goes on after 3 s",
}
_COUNTED = re.compile(r"(ring|hangs-up-after)-(\d{1,4})")
NUMBERS: tuple[str, ...] = tuple(DESCRIPTIONS)


def role_of(number: str) -> Role | Refusal | None:
    """The role of a number, None when no robot has it. ``ring-N`` and ``hangs-up-after-N`` take any N."""
    counted = _COUNTED.fullmatch(number)
    if counted is None:
        return _ROLES.get(number)
    seconds = int(counted[2])
    if seconds > MAX_SECONDS:
        return None
    if counted[1] == "ring":
        return Role(_tone, answer_after_s=seconds)
    return Role(_tone, hang_up_after_s=seconds)
