"""What sound costs: CPU of a phone with microphone and speaker, idle and in a call, beside one without.

    cd tests && python -m bench.sound_cost [--seconds 10] [--rounds 3]

Needs PulseAudio, which it starts for itself (null sinks). Figures are shares of one core of this process; the
promise is below 1 % idle, and below 5 % more in a call than without sound.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from simulation.sound_server import SoundServer, sine, sound_server

from plivo_nb import Client, Lab, Tone

IDLE_LIMIT, CALL_LIMIT = 1.0, 5.0


async def share(seconds: float) -> float:
    """Percent of a core that this process uses now."""
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return 100 * (time.process_time() - cpu) / (time.monotonic() - began)


async def phone(lab: Lab, sound: str) -> Client:
    client = lab.client(sound=sound)
    await client.login("alice", lab.password("alice"))
    await client.audio.available_devices()
    await asyncio.sleep(1.0)
    return client


async def measure(server: SoundServer, seconds: float, rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    async with Lab() as lab:
        with server.playing(sine(440, -20)):
            for _ in range(rounds):
                for sound in ("none", "device"):
                    client = await phone(lab, sound)
                    figures.setdefault(f"idle {sound}", []).append(await share(seconds))
                    call = await client.call("echo")
                    if sound == "none":
                        call.play(Tone(440))
                    await asyncio.sleep(2.0)
                    figures.setdefault(f"call {sound}", []).append(await share(seconds))
                    await call.hangup()
                    await client.close()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the median counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(sound_server(Path(folder)))
        figures = asyncio.run(measure(server, options.seconds, options.rounds))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        print(f"{name:12s} {medians[name]:5.2f} % of a core  ({', '.join(f'{v:.2f}' for v in values)})")
    idle, more = medians["idle device"], medians["call device"] - medians["call none"]
    print(f"an idle phone with sound: {idle:.2f} % (limit {IDLE_LIMIT} %)")
    print(f"sound in a call: {more:.2f} % more than without (limit {CALL_LIMIT} %)")
    return 0 if idle < IDLE_LIMIT and more < CALL_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
