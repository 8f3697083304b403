"""Calls for hours, with faults: what grows?

    cd tests && python -m bench.soak [--hours 1 | --seconds 120] [--clients 3]

Clients call the lab's echo again and again; sockets are dropped, the statistics service goes away,
registrations are refused. After each round, when no call is left, the process is measured: resident memory,
tasks, threads, sockets and other descriptors. The last line is the growth of memory per call in the second
half.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from plivo_nb import CallFailed, Client, InvalidState, Lab, PlivoError, Tone

_ROUNDS = 5  # at least, so that each fault is there
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """The process when it is at rest."""

    calls: int
    resident_kb: float
    tasks: int
    threads: int
    sockets: int
    descriptors: int

    def __str__(self) -> str:
        return (
            f"{self.calls:6} calls {self.resident_kb / 1024:8.1f} MB {self.tasks:4} tasks "
            f"{self.threads:3} threads {self.sockets:3} sockets {self.descriptors:3} descriptors"
        )


def measure(calls: int) -> Measured:
    gc.collect()
    links = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
        except FileNotFoundError:
            continue  # the one that listed the folder
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1024
    sockets = sum(link.startswith("socket:") for link in links)
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    return Measured(calls, resident, tasks, threads, sockets, len(links))


class Soak:
    """Rounds of calls. `measured` has an entry for each round."""

    def __init__(self, clients: int = 3, calls_a_round: int = 4) -> None:
        self._users = [f"user-{number}" for number in range(clients)]
        self._calls_a_round = calls_a_round
        self.calls = 0
        self.failed = 0
        self.measured: list[Measured] = []

    async def run(self, seconds: float, say: bool = False) -> None:
        end = time.monotonic() + seconds
        async with Lab(self._users) as lab:
            clients = [lab.client(keepAudio=1) for _ in self._users]
            try:
                for client, user in zip(clients, self._users, strict=True):
                    await client.login(user, lab.password(user))
                for number in itertools.count():
                    await self._round(lab, clients, number)
                    self.measured.append(await self._at_rest(lab))
                    if say:
                        print(self.measured[-1], flush=True)
                    if time.monotonic() > end and number >= _ROUNDS:
                        break
            finally:
                await asyncio.gather(*[client.close() for client in clients])

    async def _round(self, lab: Lab, clients: list[Client], number: int) -> None:
        async def one(client: Client) -> None:
            for _ in range(self._calls_a_round):
                await self._call(client)

        callers = [asyncio.ensure_future(one(client)) for client in clients]
        await asyncio.sleep(0.3)
        await self._fault(lab, number)
        await asyncio.gather(*callers)

    async def _call(self, client: Client) -> None:
        try:
            call = await client.call("echo")
            call.play(Tone(440))
            await asyncio.sleep(0.3)
            await call.hangup()
        except (CallFailed, InvalidState):  # a fault came in between
            self.failed += 1
            await asyncio.sleep(0.5)
        self.calls += 1

    async def _fault(self, lab: Lab, number: int) -> None:
        match number % 5:
            case 0:
                await lab.faults.drop_socket(self._users[0], 1006)
            case 1:
                await lab.faults.statistics_away(True)
            case 2:
                await lab.faults.statistics_away(False)
            case 3:
                await lab.faults.refuse_registration(503, retry_after_s=1, times=1)
                await lab.faults.drop_socket(self._users[-1], 1012)
            case 4:
                await lab.faults.send_raw(self._users[0], "SIP/2.0 200 OK\r\nVia: ,\r\n\r\n")

    async def _at_rest(self, lab: Lab) -> Measured:
        """When neither the lab nor this process works on a call any more."""
        end = time.monotonic() + 20
        while (await lab.status())["calls"] and time.monotonic() < end:
            await asyncio.sleep(0.1)
        least = measure(self.calls)
        for _ in range(20):  # sockets close and tasks end within a second or two
            await asyncio.sleep(0.1)
            now = measure(self.calls)
            least = min(least, now, key=lambda m: (m.tasks, m.threads, m.descriptors))
        return least

    def growth_kb_a_call(self, first: int, last: int = -1) -> float:
        """Growth of resident memory per call between two rounds."""
        a, b = self.measured[first], self.measured[last]
        return (b.resident_kb - a.resident_kb) / max(1, b.calls - a.calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    soak = Soak(given.clients)
    try:
        asyncio.run(soak.run(given.hours * 3600 if given.hours else given.seconds, say=True))
    except PlivoError as error:
        raise SystemExit(f"The soak stopped: {error}") from None
    middle = len(soak.measured) // 2
    before, after = soak.growth_kb_a_call(0, middle), soak.growth_kb_a_call(middle)
    print(f"{soak.failed} of {soak.calls} calls failed because of faults")
    print(f"growth per call: {before:.1f} kB, then {after:.1f} kB")
    if given.json is not None:
        rounds = [asdict(measured) for measured in soak.measured]
        given.json.write_text(json.dumps({"failed": soak.failed, "after_kb": after, "rounds": rounds}))


if __name__ == "__main__":
    main()
