"""Calls over a grid of networks: each number of the frames against what the network really did.

    cd tests && python -m bench.analyst_grid [--short]

Loss 0, 1, 5, 10, 20 %, random and in bursts; 20, 150, 400 ms one way; jitter 0, 20, 40 ms; Opus and PCMU; and
networks that die, both ways and each way. Many calls run side by side in one lab, each over its own network.
A call's samples are compared with the log of the lab's relay and with tshark on the call's capture, its
mediaMetrics and CALL_STATS with those that its samples demand by the documented rules
(`simulation.rules_recomputed`). It takes ten minutes; `--short`, where each two values of different knobs
meet once, one minute. Run it alone on the machine: a program beside it delays packets, and that is jitter.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from simulation import rules_recomputed
from simulation.relay_truth import PacketLog, Wireshark, round_trips_ms, seconds
from simulation.statistics_service import Collector

from plivo_nb import Call, Client, Lab, Tone

LOSSES, BURSTS, DELAYS_MS, JITTERS_MS = (0.0, 0.01, 0.05, 0.1, 0.2), (1, 4), (20, 150, 400), (0, 20, 40)
CODECS = ("OPUS", "PCMU")
OUTAGES = ("both", "to_callee", "to_caller")
#: Largest differences allowed, alone on the machine: loss in points, jitter and round-trip time in ms.
LIMITS = {"loss": 0.1, "jitter": 0.5, "rtt": 3.0}
GOOD_S, BAD_S, AFTER_S = 2.5, 18.0, 7.5
AT_ONCE = 16

Event = tuple[int, str, str, bool, float]


@dataclass(frozen=True)
class Condition:
    """The network of one call, the same both ways.

    Args:
        codec: that is offered.
        loss: 0..1.
        burst: mean length of a loss, packets; 1 is random.
        delay_ms: one way.
        jitter_ms: half width of the uniform variation of the delay.
        outage: the direction that dies in the middle, or ``""``.
    """

    codec: str
    loss: float = 0.0
    burst: int = 1
    delay_ms: float = 20.0
    jitter_ms: float = 0.0
    outage: str = ""

    def __str__(self) -> str:
        if self.outage:
            return f"{self.codec} outage {self.outage}"
        bursts = f" in bursts of {self.burst}" if self.burst > 1 else ""
        return (
            f"{self.codec} loss {self.loss:.0%}{bursts}, {self.delay_ms:g} ms, jitter {self.jitter_ms:g} ms"
        )


def outages() -> list[Condition]:
    """A network that dies, each direction and both, with each codec."""
    return [Condition(codec, outage=outage) for codec in CODECS for outage in OUTAGES]


def grid() -> list[Condition]:
    """Every combination."""
    knobs = itertools.product(CODECS, LOSSES, BURSTS, DELAYS_MS, JITTERS_MS)
    return [Condition(*row) for row in knobs if row[1] or row[2] == 1] + outages()


def pairwise() -> list[Condition]:
    """So few that each two values of different knobs meet in one of them, and the outages."""
    rows = [(c.codec, c.loss, c.burst, c.delay_ms, c.jitter_ms) for c in grid() if not c.outage]
    missing = {pair for row in rows for pair in _pairs(row)}
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(missing & _pairs(row)))
        missing -= _pairs(best)
        chosen.append(Condition(*best))
    return chosen + outages()


def _pairs(row: Sequence[Any]) -> set[Any]:
    return set(itertools.combinations(enumerate(row), 2))


# ---------------------------------------------------------------- calls


@dataclass(frozen=True)
class Observed:
    """One call: what the product says, and what happened.

    Attributes:
        bad_s: from when to when the network was bad, UTC seconds.
        hung_up_s: when we hung up; the sample after that is no longer of an answered call.
        log: the relay's log of all calls.
    """

    condition: Condition
    call_uuid: str
    samples: pd.DataFrame
    media_metrics: pd.DataFrame
    statistics: list[dict[str, Any]]
    bad_s: tuple[float, float]
    hung_up_s: float
    log: pd.DataFrame
    capture: Path


async def observe(conditions: Sequence[Condition], folder: Path, seed: int = 11) -> list[Observed]:
    """Make a call for each condition, all at the same time.

    Args:
        conditions: at most `AT_ONCE`, or the calls disturb each other.
        folder: for the captures.
        seed: of the network.
    """
    users = [f"analyst{number}" for number in range(len(conditions))]
    collector = Collector()
    await collector.start()
    try:
        async with Lab(accounts=users, seed=seed) as lab, contextlib.AsyncExitStack() as stack:
            work = []
            for number, (user, condition) in enumerate(zip(users, conditions, strict=True)):
                client = lab.client(codecs=[condition.codec], **collector.options)
                stack.push_async_callback(client.close)
                await client.login(user, lab.password(user))
                work.append(_one_call(lab, client, condition, folder / f"{number}.pcapng"))
            calls = await asyncio.gather(*work)
            log, sent = await lab.network.log(), collector.of("CALL_STATS")
            return [
                Observed(
                    condition=condition,
                    call_uuid=str(call.call_uuid),
                    samples=call.samples,
                    media_metrics=call.media_metrics,
                    statistics=[message for message in sent if message["xcallUUID"] == call.call_uuid],
                    bad_s=bad_s,
                    hung_up_s=hung_up_s,
                    log=log,
                    capture=path,
                )
                for condition, (call, bad_s, hung_up_s, path) in zip(conditions, calls, strict=True)
            ]
    finally:
        await collector.stop()


async def _one_call(
    lab: Lab, client: Client, condition: Condition, path: Path
) -> tuple[Call, tuple[float, float], float, Path]:
    """A call whose network is good, then as the condition says, then good until every loss is reported."""
    call = await client.call("tone-1000")
    call.play(Tone(440.0))
    await call.capture(path)
    await asyncio.sleep(GOOD_S)
    await lab.network.set(
        call_uuid=call.call_uuid,
        loss=condition.loss,
        burst_packets=condition.burst,
        delay_ms=condition.delay_ms,
        jitter_ms=condition.jitter_ms,
    )
    began = time.time()
    if condition.outage:
        await asyncio.sleep(BAD_S / 3)
        began = time.time()
        await lab.network.set(call_uuid=call.call_uuid, black_hole=True, direction=condition.outage)
        await asyncio.sleep(BAD_S / 2)
    else:
        await asyncio.sleep(BAD_S)
    ended = time.time()
    # shorter delays without a change of order: reports would count overtaken packets as lost for a while
    await lab.network.set(
        call_uuid=call.call_uuid,
        loss=0.0,
        burst_packets=1,
        delay_ms=0,
        jitter_ms=0,
        reorder=False,
        black_hole=False,
    )
    await asyncio.sleep(AFTER_S)
    await call.stop_capture()
    hung_up = time.time()
    await call.hangup()
    await call.wait_ended()
    return call, (began, ended), hung_up, path


# ---------------------------------------------------------------- comparison


@cache
def _decoded(path: Path, codec: str) -> Wireshark:
    return Wireshark(path, codec)


def decode(calls: Sequence[Observed]) -> None:
    """Have tshark read all captures, on all cores; what follows does not wait for it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda call: _decoded(call.capture, call.condition.codec), calls))


def differences(call: Observed) -> dict[str, float]:
    """Largest differences of one call: loss in points of percent, jitter and round-trip time in ms.

    Jitter and round-trip time move with each packet. What tshark says of the capture is compared by the 95th
    percentile of the differences: packets that waited for this process while it stood still do not count in
    its jitter, whereas tshark counts them. What the relay's log says is compared by the median: the log has
    the delay that a packet should get, and each process on the way adds a little.
    """
    wire = _decoded(call.capture, call.condition.codec)
    to_callee = PacketLog(call.log, call.call_uuid, "to_callee")
    to_caller = PacketLog(call.log, call.call_uuid, "to_caller")
    frame = call.samples
    ends_s = seconds(frame.index)
    loss_in = _weighted(frame["loss_in"], frame["packets_expected_in"])
    loss_out = _weighted(frame["loss_out"], frame["packets_expected_out"])
    sent = int(frame["packets_expected_out"].sum())
    received, stream = to_caller.loss(until_s=ends_s[-1]), wire.streams["received"]
    seen = int((to_caller.seen_s <= ends_s[-1]).sum())
    by_reports = _by_reports(call, wire, to_callee, ends_s)
    trips = _round_trips(frame, ends_s, round_trips_ms(to_callee, to_caller))
    bad = frame[(ends_s > call.bad_s[0] + 3) & (ends_s < call.bad_s[1])]
    set_ms = 2 * call.condition.delay_ms
    steady = not call.condition.jitter_ms and not call.condition.outage
    return {
        "loss_in": 100 * abs(loss_in - received),
        "loss_in_tshark": 100 * abs(loss_in - stream.lost / seen),
        "loss_out": 100 * abs(loss_out - to_callee.loss(packets=sent)),
        "loss_out_tshark": 100 * abs(loss_out - wire.reports["lost"].iloc[-1] / sent),
        **by_reports,
        "jitter_mean_tshark": abs(float(wire.jitter_ms().mean()) - stream.mean_jitter_ms),
        "rtt": float(np.median(trips)),
        "rtt_set": abs(float(bad["rtt_ms"].median()) - set_ms) if steady else 0.0,
    }


def own_delay_ms(calls: Sequence[Observed]) -> float:
    """Median round-trip time before the network was made bad: what this machine adds by itself."""
    parts = [
        call.samples["rtt_ms"][seconds(call.samples.index) < call.bad_s[0]]
        for call in calls
        if not call.condition.outage
    ]
    return float(pd.concat(parts).median())


def _weighted(shares: pd.Series, weights: pd.Series) -> float:
    known = shares.notna() & (weights > 0)
    return float((shares * weights)[known].sum() / weights[known].sum())


def _percentile(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def _by_reports(
    call: Observed, wire: Wireshark, to_callee: PacketLog, ends_s: np.ndarray
) -> dict[str, float]:
    frame = call.samples
    after, arrivals = wire.jitter_ms(), wire.received["at"].to_numpy()
    inwards = []
    for end_s, shown in zip(ends_s, frame["jitter_in_ms"], strict=True):
        at = int(np.searchsorted(arrivals, end_s, side="right")) - 1
        near = [i for i in (at - 1, at, at + 1) if 0 <= i < len(after) and abs(arrivals[i] - end_s) < 0.005]
        near = near if at < 0 else [*near, at]
        if near and at > 10:
            inwards.append(min(abs(after[i] - shown) for i in near))
    reported, logged, trips = [], [], []
    told = to_callee.jitter_ms_after()
    first = wire.sent["sequence"].iloc[0] - int(np.argmin(abs(to_callee.seen_s - wire.sent["at"].iloc[0])))
    by_report = wire.reports.to_numpy()  # at, lost, highest, jitter, LSR, DLSR, round trip
    is_new = frame["report_age_s"] < frame["interval_s"]
    for end_s, age_s, shown, rtt in zip(
        ends_s[is_new],
        *(frame[is_new][name] for name in ("report_age_s", "jitter_out_ms", "rtt_ms")),
        strict=True,
    ):
        at, lost, highest, jitter_ms, _, _, rtt_ms = min(
            by_report, key=lambda row: abs(row[0] - (end_s - age_s))
        )
        if abs(at - (end_s - age_s)) > 0.005:
            continue  # before the capture
        reported.append(abs(shown - jitter_ms))
        if rtt_ms == rtt_ms:
            trips.append(abs(rtt - rtt_ms))
        arrived = int(highest - first + 1 - lost)
        if 0 < arrived <= len(told):
            logged.append(abs(shown - told[arrived - 1]))
    assert len(inwards) > 10
    assert len(reported) > 8
    return {
        "jitter_in_tshark": _percentile(inwards),
        "jitter_out_tshark": _percentile(reported),
        "rtt_tshark": _percentile(trips),
        "jitter_out": float(np.median(logged)),
    }


def _round_trips(frame: pd.DataFrame, ends_s: np.ndarray, expected: pd.Series) -> list[float]:
    is_new = (frame["rtt_age_s"] < frame["interval_s"]) & frame["rtt_ms"].notna()
    found = []
    times = expected.index.to_numpy()
    for end_s, age_s, shown in zip(
        ends_s[is_new], frame["rtt_age_s"][is_new], frame["rtt_ms"][is_new], strict=True
    ):
        nearest = int(np.argmin(abs(times - (end_s - age_s))))
        if abs(times[nearest] - (end_s - age_s)) < 0.2:
            found.append(abs(shown - expected.iloc[nearest]))
    assert len(found) > 8
    return found


def faults(call: Observed) -> list[str]:
    """Where scores, mediaMetrics, CALL_STATS or the look of an outage are not what the samples demand."""
    samples = [
        {**row, "at": at}
        for row, at in zip(call.samples.to_dict("records"), seconds(call.samples.index), strict=True)
    ]
    return [
        f"{call.condition}: {fault}"
        for fault in (
            *_wrong_scores(samples),
            *_wrong_events(call, samples),
            *_wrong_statistics(call, samples),
            *_wrong_outage(call),
        )
    ]


def _wrong_scores(samples: list[dict[str, Any]]) -> list[str]:
    found = []
    for number, row in enumerate(samples):
        scores = {
            f"mos_{way}": rules_recomputed.mos(
                row["rtt_ms"], row[f"jitter_{way}_ms"], row[f"loss_{way}"], row["codec"]
            )
            for way in ("in", "out")
        }
        known = [score for score in scores.values() if not math.isnan(score)]
        scores["mos"] = min(known, default=math.nan)
        found += [
            f"sample {number}: {name} is {row[name]}, should be {score}"
            for name, score in scores.items()
            if not (abs(row[name] - score) < 0.0011 or (math.isnan(score) and math.isnan(row[name])))
        ]
    return found


def _wrong_events(call: Observed, samples: list[dict[str, Any]]) -> list[str]:
    answered = [row for row in samples if row["at"] < call.hung_up_s]
    demanded = [(*event[:4], round(event[4], 3)) for event in rules_recomputed.v2_1(answered)]
    frame = call.media_metrics
    ends_s = np.array([row["at"] for row in samples])
    measured = frame[frame["type"] != "ice_connection"]
    fired = [
        (
            int(np.searchsorted(ends_s, at_s)) - 1,
            row.type,
            row.stream,
            bool(row.active),
            round(float(row.value), 3),
        )
        for at_s, row in zip(seconds(measured.index), measured.itertuples(), strict=True)
    ]
    found = (
        []
        if sorted(fired) == sorted(demanded)
        else [f"mediaMetrics {sorted(fired)}, should be {sorted(demanded)}"]
    )
    ice = [bool(row.active) for row in frame[frame["type"] == "ice_connection"].itertuples()]
    # while packets of the far end arrive, ICE is not disconnected
    if ice != ([True, False] if call.condition.outage in ("both", "to_caller") else []):
        found.append(f"ice_connection events {ice}")
    return found


def _wrong_statistics(call: Observed, samples: list[dict[str, Any]]) -> list[str]:
    ends_s = np.array([row["at"] for row in samples])
    begins, found = {0}, []
    for message in call.statistics:
        stamp_s = message["timeStamp"] / 1000
        said = {key: message["local"].get(key) for key in ("rtt", "jitter", "fractionLoss", "mos")}
        said |= {f"{key}_in": message["remote"].get(key) for key in ("jitter", "fractionLoss")}
        last = int(np.searchsorted(ends_s, stamp_s))
        ends = {last, last - 1, last - 2}  # samples on their way to this process when the message was made
        demanded = [
            (end, rules_recomputed.call_statistics(samples[begin:end]))
            for begin in begins
            for end in ends
            if end > begin
        ]
        begins = {end for end, wanted in demanded if _same(said, wanted)}
        if not begins:
            found.append(f"CALL_STATS {said}, should be one of {[wanted for _, wanted in demanded]}")
            begins = ends
    if len(call.statistics) < 4:
        found.append(f"{len(call.statistics)} CALL_STATS")
    return found


def _same(said: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(
        (said[key] is None and value is None)
        or (said[key] is not None and value is not None and abs(said[key] - value) < 0.0011)
        for key, value in wanted.items()
    )


def _wrong_outage(call: Observed) -> list[str]:
    """Each sample without a packet has loss 1 and MOS 1; while what is sent is lost, the same of that."""
    frame, ends_s = call.samples, seconds(call.samples.index)
    arrivals = _decoded(call.capture, call.condition.codec).received["at"].to_numpy()
    counts = np.diff(np.searchsorted(arrivals, ends_s, side="right"))
    later, found = frame.iloc[1:], []
    full = (later["interval_s"] > 0.9).to_numpy() & (ends_s[1:] > arrivals[0] + 1)
    silent = later[(counts == 0) & full]
    if not (silent["loss_in"].eq(1) & silent["mos_in"].eq(1) & silent["mos"].eq(1)).all():
        found.append(f"without a packet: {silent[['loss_in', 'mos_in', 'mos']].to_dict('list')}")
    if later[(counts > 0) & full]["loss_in"].eq(1).any():
        found.append("loss_in 1 with packets")
    if bool(len(silent)) != (call.condition.outage in ("both", "to_caller")):
        found.append(f"{len(silent)} samples without a packet")
    dead = frame[(ends_s > call.bad_s[0] + 3.2) & (ends_s < call.bad_s[1])]
    if call.condition.outage == "to_callee" and not (dead["loss_out"].eq(1) & dead["mos"].eq(1)).all():
        found.append(f"nothing arrives there: {dead[['loss_out', 'mos']].to_dict('list')}")
    if call.condition.outage in ("both", "to_caller"):
        blind = frame[(ends_s > call.bad_s[0] + 5.2) & (ends_s < call.bad_s[1])]
        if not (blind["loss_out"].isna() & blind["rtt_ms"].isna() & blind["mos"].eq(1)).all():
            found.append(f"no report comes: {blind[['loss_out', 'rtt_ms', 'mos']].to_dict('list')}")
    return found


# ---------------------------------------------------------------- the table


def measure(conditions: Sequence[Condition]) -> tuple[pd.DataFrame, list[str]]:
    """The differences of each condition, and all faults."""
    rows: dict[str, dict[str, float]] = {}
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for at in range(0, len(conditions), AT_ONCE):
            batch = conditions[at : at + AT_ONCE]
            calls = asyncio.run(observe(batch, Path(tempfile.mkdtemp(dir=folder))))
            decode(calls)
            for call in calls:
                rows[str(call.condition)] = differences(call)
                found += faults(call)
    return pd.DataFrame(rows).T, found


def limit_of(column: str) -> float:
    """The largest difference allowed in this column of `measure`."""
    return LIMITS[column.split("_")[0]]


def main() -> None:
    """Print the table, the largest differences and the faults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="each pair of values once")
    conditions = pairwise() if parser.parse_args().short else grid()
    table, found = measure(conditions)
    print(table.round(3).to_string())
    limits = pd.Series({column: limit_of(column) for column in table})
    print(
        pd.DataFrame({"median": table.median(), "largest": table.max(), "limit": limits}).round(3).to_string()
    )
    print(
        f"{len(table)} calls; over a limit: {int((table > limits).any(axis=1).sum())}; faults: {len(found)}"
    )
    print("\n".join(found))


if __name__ == "__main__":
    main()
