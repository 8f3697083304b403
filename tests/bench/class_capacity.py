"""How many calls the lab carries: CPU of the lab's and the clients' processes, and the calls' quality.

    cd tests && python -m bench.class_capacity [calls ...] [--codec OPUS|PCMU] [--seconds 15] [--workers 2]
                                               [--kernels 1]

The lab is a process of its own, its robots have worker processes, and the clients are in as many other
processes as a class has kernels (`--kernels`), a call each to the robot `echo`, sending speech. For each
number of calls are printed: the CPU time that the lab, its workers and all clients take, and what other
programs take, in seconds a second; the 5th percentile of the MOS, the greatest loss, late ticks of the
clients' I/O planes (share of all), how late the clients' loops were, in how many kernels Opus was encoded
with less effort, and whether the lab said that it is overloaded.
Aim: 40 calls with Opus with a 5th percentile of the MOS above 4.2. Exit code 1 when it is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from plivo_nb import CallFailed, Lab, speech_path

AIM_CALLS, AIM_MOS = 40, 4.2
AT_ONCE = 4
_COLUMNS = ["mos", "loss_in", "late_ticks", "interval_s", "loop_lag_ms"]


def cpu_s(process: psutil.Process) -> float:
    """CPU time of a process so far, s."""
    times = process.cpu_times()
    return float(times.user + times.system)


def busy_s() -> float:
    """CPU time of all processes of the machine so far, s."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


async def be_kernel(options: argparse.Namespace) -> None:
    """One kernel of the class: make the calls, say so, and on request print what the samples say.

    It reads a line from standard input before the measured time and one after it.
    """
    path, users, codec, at_once = options.kernel
    loop = asyncio.get_running_loop()
    teacher = await Lab.join(path)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(teacher.close)
        room, refused = asyncio.Semaphore(int(at_once)), list[str]()
        calls, clients = [], []

        async def begin(user: str) -> None:
            client = await stack.enter_async_context(
                teacher.client(codecs=[codec], enableTracking=False, keepAudio=0)
            )
            clients.append(client)
            async with room:
                await client.login(user, teacher.password(user))
                try:
                    call = await client.call("echo")
                except CallFailed as error:
                    refused.append(f"{error.call_info.code} {error.cause}")
                    return
                call.play(speech_path(), loop=True)
                calls.append(call)

        await asyncio.gather(*(begin(user) for user in users.split(",")))
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        since = pd.Timestamp.now("UTC")
        await loop.run_in_executor(None, sys.stdin.readline)
        samples = pd.concat([call.samples for call in calls])
        samples = samples[samples.index > since][_COLUMNS].reset_index(drop=True)
        effort = any("less effort" in text for text in clients[0].log["text"])
        said = {"calls": len(calls), "refused": refused, "effort": effort}
        print(json.dumps({**said, "samples": samples.to_json(orient="records")}), flush=True)
        for call in calls:
            call.hangup()
        for call in calls:
            await call.ended


@contextlib.asynccontextmanager
async def kernels_of(path: Path, users: list[str], codec: str, count: int) -> Any:
    """Start so many kernels, wait until they have made their calls, and end them."""
    command = [sys.executable, "-m", "bench.class_capacity", "--kernel", str(path)]
    at_once = str(max(1, AT_ONCE // count))
    pipe = asyncio.subprocess.PIPE
    kernels = [
        await asyncio.create_subprocess_exec(
            *command,
            ",".join(users[n::count]),
            codec,
            at_once,
            stdin=pipe,
            stdout=pipe,
            limit=1 << 24,
            cwd=Path(__file__).parents[1],  # where the package of this module is
        )
        for n in range(count)
    ]
    try:
        for kernel in kernels:
            if (await kernel.stdout.readline()).strip() != b"ready":
                raise SystemExit("A kernel could not make its calls; see above.")
        yield kernels
    finally:
        for kernel in kernels:
            if kernel.returncode is None:
                kernel.stdin.close()
                try:
                    await asyncio.wait_for(kernel.wait(), 15)
                except TimeoutError:
                    kernel.kill()


async def measure(count: int, codec: str, seconds: float, workers: int, kernels: int) -> dict[str, object]:
    """Make so many calls at the same time and measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class.json"
        async with Lab(count, seed=3, workers=workers, random_passwords=True) as lab:
            lab.share(path)
            async with kernels_of(path, list(lab.accounts), codec, kernels) as started:
                await asyncio.sleep(3)
                processes = {"lab": [psutil.Process(lab.pid)]}
                robots = enumerate(psutil.Process(lab.pid).children(), 1)
                processes |= {f"worker {number}": [process] for number, process in robots}
                processes["clients"] = [psutil.Process(kernel.pid) for kernel in started]
                before = {name: sum(map(cpu_s, group)) for name, group in processes.items()}
                all_before, began = busy_s(), time.monotonic()
                for kernel in started:
                    kernel.stdin.write(b"\n")
                await asyncio.sleep(seconds)
                took = time.monotonic() - began
                used = {name: sum(map(cpu_s, group)) - before[name] for name, group in processes.items()}
                used["others"] = busy_s() - all_before - sum(used.values())
                for kernel in started:
                    kernel.stdin.write(b"\n")
                told = [json.loads(await kernel.stdout.readline()) for kernel in started]
                overloaded = "overloaded" in set(lab.events["what"])
    samples = pd.concat([pd.read_json(io.StringIO(one["samples"])) for one in told])
    calls = sum(one["calls"] for one in told)
    refused = [reason for one in told for reason in one["refused"]]
    return {
        "calls": calls, "kernels": kernels, "refused": ", ".join(refused) or "none",
        **{f"{name}, CPU s/s": round(spent / took, 2) for name, spent in used.items()},
        "mos_p5": round(samples["mos"].quantile(0.05), 2),
        "loss_in max, %": round(100 * samples["loss_in"].max(), 1),
        "late ticks, %": round(100 * samples["late_ticks"].sum() / (50 * samples["interval_s"].sum()), 1),
        "loop lag p95, ms": round(samples["loop_lag_ms"].quantile(0.95)),
        "less effort": sum(one["effort"] for one in told),
        "overloaded": overloaded,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("calls", nargs="*", type=int, default=[10, 20, AIM_CALLS])
    parser.add_argument("--codec", default="OPUS")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kernels", type=int, default=1)
    parser.add_argument("--kernel", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("plivo_nb").setLevel(logging.ERROR)
    if options.kernel:
        asyncio.run(be_kernel(options))
        return 0
    rows = [
        asyncio.run(measure(count, options.codec, options.seconds, options.workers, options.kernels))
        for count in options.calls
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    last = rows[-1]
    met = last["calls"] == AIM_CALLS and float(str(last["mos_p5"])) > AIM_MOS
    print("met" if met else "MISSED", f"(aim: {AIM_CALLS} calls, mos_p5 above {AIM_MOS})")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
