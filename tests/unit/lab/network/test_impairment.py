"""The fate of packets: every knob alone, its statistics with a seed, and the same seed again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.lab.network.impairment import Impairment, Path, kind_of

PACKETS = 20_000
INTERVAL_S = 0.02


def run(path: Path, packets: int = PACKETS, size: int = 100) -> list[list[float]]:
    """Send a packet each 20 ms; gives, for each, the times at which it is forwarded."""
    return [path.schedule("rtp", size, index * INTERVAL_S)[0] for index in range(packets)]


def delays_ms(fates: list[list[float]]) -> list[float]:
    return [(due[0] - index * INTERVAL_S) * 1000 for index, due in enumerate(fates) if due]


def test_a_clean_path_forwards_everything_at_once() -> None:
    path = Path(Impairment(), 1)
    assert run(path, 100) == [[index * INTERVAL_S] for index in range(100)]
    assert path.counters.rtp_seen == 100
    assert path.counters.rtp_dropped == 0


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.3, 1.0])
def test_random_loss_is_what_was_set(loss: float) -> None:
    path = Path(Impairment(loss=loss), 1)
    run(path)
    assert path.counters.rtp_dropped / PACKETS == pytest.approx(loss, abs=0.005)
    assert path.counters.dropped_lost == path.counters.rtp_dropped


def test_bursts_have_the_loss_and_the_length_that_were_set() -> None:
    path = Path(Impairment(loss=0.1, burst_packets=5), 1)
    lost = [not due for due in run(path)]
    runs = [len(list(group)) for is_lost, group in itertools.groupby(lost) if is_lost]
    assert sum(lost) / PACKETS == pytest.approx(0.1, abs=0.015)
    assert sum(runs) / len(runs) == pytest.approx(5, rel=0.1)


def test_bursts_may_let_some_packets_through() -> None:
    path = Path(Impairment(loss=0.1, burst_packets=10, burst_loss=0.5), 1)
    run(path)
    assert path.counters.rtp_dropped / PACKETS == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("loss", [0.9, 1.0])
def test_so_much_loss_in_bursts_is_still_that_much(loss: float) -> None:
    path = Path(Impairment(loss=loss, burst_packets=2), 1)
    run(path)
    assert path.counters.rtp_dropped / PACKETS == pytest.approx(loss, abs=0.02)


def test_the_same_seed_drops_the_same_packets_whatever_else_is_set() -> None:
    def lost(seed: int, **knobs: Any) -> list[int]:
        return [
            index for index, due in enumerate(run(Path(Impairment(loss=0.1, **knobs), seed), 500)) if not due
        ]

    assert lost(7) == lost(7, delay_ms=100, jitter_ms=20, duplicate=0.5)
    assert lost(7) != lost(8)


def test_other_packets_do_not_disturb_the_fates_of_rtp() -> None:
    alone, mixed = Path(Impairment(loss=0.2), 3), Path(Impairment(loss=0.2), 3)
    fates = [bool(due) for due in run(alone, 300)]
    seen = []
    for index in range(300):
        mixed.schedule("other", 80, index * INTERVAL_S)
        mixed.schedule("rtcp", 80, index * INTERVAL_S)
        seen.append(bool(mixed.schedule("rtp", 100, index * INTERVAL_S)[0]))
    assert seen == fates


def test_loss_leaves_stun_and_dtls_alone() -> None:
    path = Path(Impairment(loss=1.0, duplicate=1.0), 1)
    assert path.schedule("other", 100, 0.0) == ([0.0], "forwarded")
    assert path.schedule("rtcp", 100, 0.0) == ([], "lost")


def test_delay_and_black_hole_are_for_every_packet() -> None:
    path = Path(Impairment(delay_ms=120), 1)
    for kind in ("rtp", "rtcp", "other"):
        assert path.schedule(kind, 100, 1.0)[0] == [pytest.approx(1.12)]
    path.impairment = Impairment(black_hole=True)
    for kind in ("rtp", "rtcp", "other"):
        assert path.schedule(kind, 100, 1.0) == ([], "black-hole")


def test_uniform_jitter_stays_within_its_half_width() -> None:
    delays = delays_ms(run(Path(Impairment(delay_ms=100, jitter_ms=40), 1)))
    assert 60 <= min(delays) < 61
    assert 139 < max(delays) <= 140
    assert sum(delays) / len(delays) == pytest.approx(100, abs=1)


def test_normal_jitter_has_the_deviation_that_was_set() -> None:
    delays = delays_ms(run(Path(Impairment(delay_ms=200, jitter_ms=20, jitter_shape="normal"), 1)))
    mean = sum(delays) / len(delays)
    deviation = (sum((delay - mean) ** 2 for delay in delays) / len(delays)) ** 0.5
    assert mean == pytest.approx(200, abs=1)
    assert deviation == pytest.approx(20, abs=1)


@pytest.mark.parametrize("reorder", [True, False])
def test_order_is_kept_only_where_it_is_asked_for(reorder: bool) -> None:
    fates = run(Path(Impairment(delay_ms=100, jitter_ms=40, reorder=reorder), 1), 2000)
    times = [due[0] for due in fates]
    assert (times != sorted(times)) is reorder


def test_duplicates_are_sent_twice() -> None:
    path = Path(Impairment(duplicate=0.25), 1)
    fates = run(path)
    assert sum(len(due) == 2 for due in fates) / PACKETS == pytest.approx(0.25, abs=0.01)
    assert path.counters.duplicated == sum(len(due) == 2 for due in fates)


def test_a_bottleneck_takes_its_time_and_drops_what_its_queue_cannot_hold() -> None:
    # 100 + 28 bytes each 20 ms are 51.2 kbit/s; half of that passes.
    path = Path(Impairment(rate_kbps=25.6, queue_ms=200), 1)
    fates = run(path, 5000)
    assert fates[0] == [pytest.approx(0.04)]
    assert path.counters.dropped_queue_full / 5000 == pytest.approx(0.5, abs=0.01)
    assert max(delays_ms(fates)) <= 200 + 40 + 0.001
    wide = Path(Impairment(rate_kbps=512), 1)
    assert max(delays_ms(run(wide, 100))) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"loss": 1.1}, "loss"),
        ({"loss": float("nan")}, "loss"),
        ({"loss": "much"}, "loss"),
        ({"loss": True}, "loss"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"jitter_shape": "square"}, "jitter_shape"),
        ({"rate_kbps": 0}, "rate_kbps"),
        ({"burst_packets": 0.5}, "burst_packets"),
        ({"burst_packets": 4, "burst_loss": 0.1, "loss": 0.2}, "burst_loss"),
        ({"black_hole": 1}, "black_hole"),
    ],
)
def test_wrong_values_are_named(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Impairment(**knobs)


def test_packets_are_told_apart_by_their_first_bytes() -> None:
    assert kind_of(bytes([0x80, 111])) == "rtp"
    assert kind_of(bytes([0x90, 0x80 | 111])) == "rtp"
    assert kind_of(bytes([0x80, 200])) == "rtcp"
    assert kind_of(bytes([0x81, 201])) == "rtcp"
    assert kind_of(b"\x00\x01") == "other"
    assert kind_of(bytes([22, 254])) == "other"
    assert kind_of(b"\x80") == "other"
    assert kind_of(b"") == "other"


@given(
    loss=st.floats(0, 1),
    burst=st.floats(1, 50),
    delay=st.floats(0, 500),
    jitter=st.floats(0, 500),
    rate=st.none() | st.floats(1, 1000),
    reorder=st.booleans(),
    duplicate=st.floats(0, 1),
    kinds=st.lists(st.sampled_from(["rtp", "rtcp", "other"]), max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_every_packet_is_forwarded_or_counted_as_dropped(
    loss: float,
    burst: float,
    delay: float,
    jitter: float,
    rate: float | None,
    reorder: bool,
    duplicate: float,
    kinds: list[Any],
) -> None:
    knobs = Impairment(
        loss=loss,
        burst_packets=burst,
        delay_ms=delay,
        jitter_ms=jitter,
        rate_kbps=rate,
        reorder=reorder,
        duplicate=duplicate,
    )
    path = Path(knobs, 1)
    for index, kind in enumerate(kinds):
        now = index * INTERVAL_S
        due_times, _ = path.schedule(kind, 100, now)
        assert all(due >= now for due in due_times)
        for _ in due_times:
            path.forwarded(kind, 100)
    counted = path.counters
    for kind in ("rtp", "rtcp", "other"):
        assert getattr(counted, f"{kind}_seen") == kinds.count(kind)
    forwarded = counted.rtp_forwarded + counted.rtcp_forwarded + counted.other_forwarded
    dropped = counted.rtp_dropped + counted.rtcp_dropped + counted.other_dropped
    assert len(kinds) + counted.duplicated == forwarded + dropped
    assert dropped == counted.dropped_lost + counted.dropped_queue_full
