"""What a robot does with a call, by the number that was called: see the table `ROBOTS`.

A role says what the robot does itself, and what the switch does on its behalf.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.lab.robots.sounds import DtmfTones, MusicOnHold, Sine

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client

RobotNumber = Literal[
    "echo",
    "echo-delay",
    "tone-1000",
    "speech",
    "music-on-hold",
    "silence",
    "busy",
    "reject",
    "no-answer",
    "ring-10",
    "early-media",
    "dtmf",
    "dtmf-rfc4733",
    "hangs-up-after-5",
    "one-way",
    "forked",
    "headers",
    "holds",
]

MAX_SECONDS = 3600
ECHO_DELAY_S = 1.0
EARLY_MEDIA_S = 2.0
HOLDS_AFTER_S = 1.0
RESUMES_AFTER_S = 3.0
_FORK_ANSWERS_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rejection by the switch itself."""

    status: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One call to a robot.

    Args:
        number: the number that was called.
        caller: the user name of the caller.
        call_uuid: the call UUID.
        headers: the X-PH headers of the INVITE.
        place: the index of this robot, if the call was forked to several.
        happened: adds to the lab's events: (what, who, detail, call_uuid).
        set_network: sets knobs, as `Network.set` does.
        ring_back: calls a user with headers.
    """

    number: str
    caller: str
    call_uuid: str
    headers: Mapping[str, str]
    place: int
    happened: Callable[[str, str, str, str | None], object]
    set_network: Callable[..., object]
    ring_back: Callable[[str, Mapping[str, str]], Awaitable[None]] | None


Talk = Callable[["Client", "Call", Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Role:
    """What a robot does with a call.

    Args:
        go_on: what it does when it answers; afterwards it waits for the end of the call.
        answer_after_s: how long it rings, in seconds; None = it never answers.
        rejects: it rejects the call.
        hang_up_after_s: how long after the answer it hangs up, in seconds; None = never.
        forks: the number of robots that ring.
        early_media_s: how long the switch holds the answer back and sends early media, in seconds.
        return_headers: the switch adds the caller's X-PH headers to the ringing and the answer.
        plan: re-INVITEs that the switch sends on its behalf: (seconds after the answer, what).
        telephone_event: the switch adds telephone-event to the first offer.
        only_answers: the role cannot be used in a call that the robot makes itself.
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
        """Whether a robot can make a call in this role."""
        answers_plainly = self.answer_after_s == 0 and not self.rejects and self.forks == 1
        return answers_plainly and not (self.plan or self.early_media_s or self.only_answers)

    async def behave(self, client: Client, call: Call, visit: Visit) -> None:
        """Handle a call that rings at `client`."""
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


# ---------------------------------------------------------------- actions in a call


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

    async def send_back(digit: str) -> None:
        await call.send_dtmf(digit)

    def heard(event: Mapping[str, Any]) -> None:
        digit = str(event["tone"])
        visit.happened("dtmf", visit.caller, digit, visit.call_uuid)
        tones.add(digit)
        task = asyncio.get_running_loop().create_task(send_back(digit), name="lab robot sends a digit back")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)

    client.on("onDtmfReceived", heard)

    async def unsubscribe() -> None:
        await call.ended
        client.off("onDtmfReceived", heard)

    task = asyncio.get_running_loop().create_task(unsubscribe(), name="lab robot ignores digits")
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

# The robots: number, description, role. `ring-N` and `hangs-up-after-N` stand for any number of seconds.
ROBOTS: dict[RobotNumber, tuple[str, Role | Refusal]] = {
    "echo": ("sends back the audio that it receives", Role(_echo)),
    "echo-delay": (f"sends the audio back {ECHO_DELAY_S:g} s later", Role(_echo_later)),
    "tone-1000": ("plays a sine of 1000 Hz", Role(_tone)),
    "speech": ("plays the speech sample in a loop", Role(_speak)),
    "music-on-hold": ("plays music in a loop", Role(_music)),
    "silence": ("answers and sends silence", Role(_be_silent)),
    "busy": ("rejects the call: 486 Busy Here", Role(_be_silent, rejects=True)),
    "reject": ("the switch rejects the call: 603 Decline", Refusal(603, "Decline")),
    "no-answer": ("rings and never answers; 408 after 60 s", Role(_be_silent, answer_after_s=None)),
    "ring-10": ("answers after 10 s; works with any number of seconds", Role(_tone, answer_after_s=10)),
    "early-media": (
        f"sends early media (183), answers after {EARLY_MEDIA_S:g} s",
        Role(_tone, early_media_s=EARLY_MEDIA_S),
    ),
    "dtmf": ("repeats each digit, as a tone and as DTMF", Role(_repeat_digits)),
    "dtmf-rfc4733": (
        "the same, and offers telephone-event: digits in RTP",
        Role(_repeat_digits, plan=((0.3, "telephone-event"),), telephone_event=True),
    ),
    "hangs-up-after-5": (
        "hangs up after 5 s; works with any number of seconds",
        Role(_tone, hang_up_after_s=5),
    ),
    "one-way": ("answers; its media do not arrive", Role(_lose_media, only_answers=True)),
    "forked": ("rings at two places, the second answers", Role(_tone, forks=2)),
    "headers": (
        "returns the X-PH headers with the answer and in a call back",
        Role(_call_back, return_headers=True, only_answers=True),
    ),
    "holds": (
        f"echo; puts the caller on hold after {HOLDS_AFTER_S:g} s, resumes after {RESUMES_AFTER_S:g} s",
        Role(_echo, plan=((HOLDS_AFTER_S, "hold"), (RESUMES_AFTER_S, "resume"))),
    ),
}
_ROLES: dict[str, Role | Refusal] = {number: role for number, (_, role) in ROBOTS.items()}
_COUNTED = re.compile(r"(ring|hangs-up-after)-(\d{1,4})")


def role_of(number: str) -> Role | Refusal | None:
    """Return the role of a number; None if there is no such robot.

    Example:
        >>> role_of("ring-7").answer_after_s
        7
    """
    counted = _COUNTED.fullmatch(number)
    if counted is None:
        return _ROLES.get(number)
    seconds = int(counted[2])
    if seconds > MAX_SECONDS:
        return None
    if counted[1] == "ring":
        return Role(_tone, answer_after_s=seconds)
    return Role(_tone, hang_up_after_s=seconds)
