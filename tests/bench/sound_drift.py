"""Whether delay builds up in a long call by microphone and speaker.

    cd tests && python -m bench.sound_drift [--minutes 10]

Starts a PulseAudio with null sinks, calls the lab's echo robot, and looks once a second at what waits between
the sound card's clock and the call's. That clocks of sound cards which differ by 400 ppm do no harm either is
proven in simulated time: tests/unit/sound/test_microphone.py, test_speaker.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from simulation.sound_server import SoundServer, level_dbfs, peaks_hz, sine, sound_server

from plivo_nb import Lab

LIMIT_MS = 30.0


async def measure(server: SoundServer, seconds: int) -> bool:
    async with Lab() as lab:
        client = lab.client(sound="device")
        await client.login("alice", lab.password("alice"))
        with server.playing(sine(440, -20)), server.recording() as speaker_sound:
            call = await client.call("echo")
            media: Any = call._session.media
            microphone, speaker = media.microphone, media.sinks[0]
            waits = []
            for second in range(seconds):
                await asyncio.sleep(1.0)
                waits.append((microphone.waiting_s * 1000, speaker.waiting_s * 1000))
                if second % 60 == 59:
                    mean = np.mean(waits[-50:], axis=0)
                    speeds = [round((side.speed - 1) * 1e6) for side in (microphone, speaker)]
                    print(
                        f"minute {second // 60 + 1:2d}: waiting {mean[0]:5.1f} ms in, {mean[1]:5.1f} ms out; "
                        f"corrected by {speeds[0]:+d} and {speeds[1]:+d} ppm; dropped {microphone.dropped} "
                        f"and {speaker.dropped} samples, {speaker.underruns} underruns"
                    )
            heard = speaker_sound.last(2.0)
            await call.hangup()
        await client.close()
    [pitch], level = peaks_hz(heard), level_dbfs(heard)
    tenth = max(10, seconds // 10)
    first, last = np.mean(waits[5:tenth], axis=0), np.mean(waits[-tenth:], axis=0)
    growth = last - first
    print(f"at the end {pitch:.1f} Hz at {level:.1f} dBFS; 440 Hz at -20 dBFS were spoken")
    print(f"what waits grew by {growth[0]:.1f} ms in, {growth[1]:.1f} ms out (limit {LIMIT_MS:.0f} ms)")
    return bool(growth.max() < LIMIT_MS and abs(pitch - 440) < 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(sound_server(Path(folder)))
        held = asyncio.run(measure(server, round(60 * options.minutes)))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
