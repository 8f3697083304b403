"""lab.robots.worker: commands and answers, without a process and a switch."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from waiting import until

from plivo_nb.lab.robots.worker import Worker

HELLO = {"urls": ["ws://127.0.0.1:9"], "ca_file": None, "numbers": [2, 3]}
CLAIM = {"caller": "ann", "call_uuid": "u", "headers": {}}


async def asked(do: str, **arguments: Any) -> dict[str, Any]:
    """The answer to one command."""
    sent: list[dict[str, Any]] = []
    worker = Worker(HELLO, sent.append)
    worker.take({"id": 7, "do": do, "arguments": arguments})
    await until(lambda: any("id" in message for message in sent))
    await worker.close()
    (answer,) = (message for message in sent if "id" in message)
    assert answer["id"] == 7
    return answer


async def test_a_claim_crosses_as_plain_values() -> None:
    answer = await asked("claim", number="reject", **CLAIM)
    assert answer["result"]["refusal"] == {"status": 603, "reason": "Decline"}
    assert answer["result"]["users"] == []


async def test_what_goes_wrong_is_answered_in_a_sentence() -> None:
    assert (await asked("explode"))["error"] == "The robots have no command 'explode'."
    assert "No robot is in a call" in (await asked("kill_one"))["error"]
    assert "1 to 200 calls" in (await asked("call", user="ann", n=0))["error"]
    assert (await asked("claim", number="echo"))["error"].startswith("TypeError: ")


async def test_the_lab_hears_of_robots_when_they_have_changed() -> None:
    sent: list[dict[str, Any]] = []
    worker = Worker(HELLO, sent.append)
    robots: list[dict[str, Any]] = []
    worker.robots.snapshot = lambda: list(robots)  # type: ignore[method-assign]

    async def no_robots() -> None:
        """Not what is tested here: they need a switch."""

    worker.robots.warm_up = no_robots  # type: ignore[method-assign]
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(lambda: len(sent) == 1)
    robots.append({"robot": "robot-2", "idle": True})
    worker._changed.set()
    await until(lambda: len(sent) == 2)
    worker._changed.set()
    robots[0] = {"robot": "robot-2", "idle": False}  # also where nobody says so
    await until(lambda: len(sent) == 3, 5)
    assert [message["arguments"] for message in sent] == [
        ([],), ([{"robot": "robot-2", "idle": True}],), ([{"robot": "robot-2", "idle": False}],),
    ]  # fmt: skip
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await worker.close()
