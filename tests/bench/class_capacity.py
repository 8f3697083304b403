"""How many calls the lab carries: CPU of the lab's and the clients' processes, and the calls' quality.

    cd tests && python -m bench.class_capacity [calls ...] [--codec OPUS|PCMU] [--seconds 15] [--workers 2]

The lab is a process of its own, its robots have worker processes, and all clients are in this process, a call
each to the robot `echo`, sending speech. For each number of calls are printed: the CPU time that each process
takes, and what other programs take, in seconds a second; the 5th percentile of the MOS, the greatest loss,
late ticks of the clients' I/O plane (share of all), how late the clients' loop was, whether Opus was encoded
with less effort, and whether the lab said that it is overloaded.
Aim: 40 calls with Opus with a 5th percentile of the MOS above 4.2. Exit code 1 when it is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import time

import pandas as pd
import psutil

from plivo_nb import CallFailed, Lab, speech_path

AIM_CALLS, AIM_MOS = 40, 4.2
AT_ONCE = 4


def cpu_s(process: psutil.Process) -> float:
    """CPU time of a process so far, s."""
    times = process.cpu_times()
    return float(times.user + times.system)


def busy_s() -> float:
    """CPU time of all processes of the machine so far, s."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


async def measure(count: int, codec: str, seconds: float, workers: int) -> dict[str, object]:
    """Make so many calls at the same time and measure."""
    async with Lab(count, seed=3, workers=workers) as lab, contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(lab.client(codecs=[codec], enableTracking=False, keepAudio=0))
            for _ in range(count)
        ]
        room, refused = asyncio.Semaphore(AT_ONCE), list[str]()
        calls = []

        async def begin(client: object, user: str) -> None:
            async with room:
                await client.login(user, lab.password(user))  # type: ignore[attr-defined]
                try:
                    call = await client.call("echo")  # type: ignore[attr-defined]
                except CallFailed as error:
                    refused.append(f"{error.call_info.code} {error.cause}")
                    return
                call.play(speech_path(), loop=True)
                calls.append(call)

        await asyncio.gather(
            *(begin(client, user) for client, user in zip(clients, lab.accounts, strict=True))
        )
        await asyncio.sleep(3)
        processes = {"lab": psutil.Process(lab.pid), "clients": psutil.Process()}
        robots = enumerate(processes["lab"].children(), 1)
        processes |= {f"worker {number}": process for number, process in robots}
        before = {name: cpu_s(process) for name, process in processes.items()}
        all_before = busy_s()
        began, since = time.monotonic(), pd.Timestamp.now("UTC")
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        used = {name: cpu_s(process) - before[name] for name, process in processes.items()}
        used["others"] = busy_s() - all_before - sum(used.values())
        samples = pd.concat([call.samples for call in calls])
        samples = samples[samples.index > since]
        said = "overloaded" in set(lab.events["what"])
        effort = any("less effort" in text for text in clients[0].log["text"])
        for call in calls:
            call.hangup()
        for call in calls:
            await call.ended
        return {
            "calls": len(calls), "refused": ", ".join(refused) or "none",
            **{f"{name}, CPU s/s": round(spent / took, 2) for name, spent in used.items()},
            "mos_p5": round(samples["mos"].quantile(0.05), 2),
            "loss_in max, %": round(100 * samples["loss_in"].max(), 1),
            "late ticks, %": round(100 * samples["late_ticks"].sum() / (50 * samples["interval_s"].sum()), 1),
            "loop lag p95, ms": round(samples["loop_lag_ms"].quantile(0.95)),
            "less effort": effort,
            "overloaded": said,
        }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("calls", nargs="*", type=int, default=[10, 20, AIM_CALLS])
    parser.add_argument("--codec", default="OPUS")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    logging.getLogger("plivo_nb").setLevel(logging.ERROR)
    rows = [
        asyncio.run(measure(count, options.codec, options.seconds, options.workers))
        for count in options.calls
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    last = rows[-1]
    met = last["calls"] == AIM_CALLS and float(str(last["mos_p5"])) > AIM_MOS
    print("met" if met else "MISSED", f"(aim: {AIM_CALLS} calls, mos_p5 above {AIM_MOS})")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
