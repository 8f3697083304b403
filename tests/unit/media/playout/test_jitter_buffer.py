"""The jitter buffer and its delay: any order of packets in, one clock out."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.media.playout.jitter_buffer import Entry, JitterBuffer, Next, Step

RATE = 8000
FRAME = 160


def entry(
    number: int, arrival_s: float | None = None, samples: int = FRAME, timestamp: int | None = None
) -> Entry:
    at = number * 0.02 if arrival_s is None else arrival_s
    return Entry(number, number * FRAME if timestamp is None else timestamp, b"p", samples, at)


def buffer(minimum_s: float = 0.02, maximum_s: float = 0.2) -> JitterBuffer:
    return JitterBuffer(RATE, minimum_s, maximum_s)


def play(
    jitter: JitterBuffer,
    arrivals: dict[int, list[Entry]],
    ticks: int,
    start: int = 0,
    offset_s: float = 0.005,
) -> list[tuple[Step, int]]:
    """Insert the entries of each tick, take a step each; give the steps with what they played."""
    steps = []
    for tick in range(start, start + ticks):
        for one in arrivals.get(tick, []):
            jitter.insert(one)
        jitter.tick(tick * 0.02 + offset_s)
        jitter.correction()
        answer = jitter.next()
        played = answer.entry.sequence if answer.entry is not None and answer.step is Step.PACKET else -1
        steps.append((answer.step, played))
    return steps


def step_at(jitter: JitterBuffer, now: float) -> Next:
    jitter.tick(now)
    return jitter.next()


def test_packets_come_out_in_order_after_the_target_delay() -> None:
    jitter = buffer()
    steps = play(jitter, {n: [entry(n)] for n in range(20)}, 20)
    assert [step for step, _ in steps[:2]] == [Step.IDLE] * 2
    assert [number for _, number in steps[2:]] == list(range(18))


def test_one_lost_packet_costs_one_step_and_the_delay_is_what_it_was() -> None:
    jitter = buffer()
    arrivals = {n: [entry(n)] for n in range(60) if n != 30}
    steps = play(jitter, arrivals, 30)
    before = jitter.delay_s
    steps += play(jitter, arrivals, 30, start=30)
    assert [number for _, number in steps].count(-1) == 2 + 1
    (missing,) = [i for i, (step, _) in enumerate(steps) if step is Step.LOST]
    assert steps[missing - 1] == (Step.PACKET, 29)
    assert steps[missing + 1] == (Step.PACKET, 31)
    assert jitter.delay_s == pytest.approx(before)
    assert (jitter.late, jitter.dropped) == (0, 0)


def test_the_packet_after_a_lost_one_is_given_for_its_redundancy() -> None:
    jitter = buffer(minimum_s=0.06)
    for n in (0, 1, 4, 5, 6):
        jitter.insert(entry(n))
    answers = [step_at(jitter, 0.2 + 0.02 * i) for i in range(6)]
    assert [a.step for a in answers] == [
        Step.PACKET,
        Step.PACKET,
        Step.LOST,
        Step.LOST,
        Step.PACKET,
        Step.PACKET,
    ]
    assert answers[2].entry is None  # two are missing: the first of them is in no packet that came
    assert answers[3].entry is not None
    assert answers[3].entry.sequence == 4


def test_reordered_packets_are_put_in_order() -> None:
    jitter = buffer(minimum_s=0.06)
    order = [1, 0, 3, 2, 5, 4, 7, 6]
    for i, n in enumerate(order):
        jitter.insert(entry(n, i * 0.02))
    steps = play(jitter, {}, 8, start=9)
    assert [number for _, number in steps] == list(range(8))


def test_late_is_counted_apart_from_lost() -> None:
    jitter = buffer()
    arrivals = {n: [entry(n)] for n in range(40) if n not in (20, 25)}
    arrivals[35].append(entry(20, 0.7))
    steps = play(jitter, arrivals, 40)
    assert sum(step is Step.LOST for step, _ in steps) == 2
    assert jitter.late == 1


def test_ticks_that_come_late_are_not_taken_for_a_longer_delay() -> None:
    """A busy machine's tick is up to 60 ms late now and then: nothing is corrected, nothing is missed."""
    jitter = buffer()
    generator = random.Random(8)
    for n in range(500):
        jitter.insert(entry(n))
        jitter.tick(n * 0.02 + 0.001 + (generator.uniform(0.02, 0.06) if generator.random() < 0.05 else 0.0))
        assert jitter.correction() == 0
        assert jitter.next().step is (Step.PACKET if n >= 2 else Step.IDLE)
    assert 0.035 < jitter.delay_s < 0.06


def test_the_target_grows_at_once_with_jitter_and_shrinks_in_calm() -> None:
    jitter = buffer()
    generator = random.Random(1)
    now = 0.0
    for n in range(100):
        jitter.insert(entry(n, n * 0.02 + generator.uniform(0, 0.08)))
    assert jitter.target_s == pytest.approx(0.1)
    for n in range(100, 400):
        now = n * 0.02
        jitter.insert(entry(n, now))
    assert jitter.target_s == pytest.approx(0.02)


def test_a_path_that_became_longer_is_followed() -> None:
    """150 ms more delay for good: packets are late at first, then played again, without a restart."""
    jitter = buffer()
    arrivals: dict[int, list[Entry]] = {}
    for n in range(300):
        at = n if n < 100 else n + 7.5
        arrivals.setdefault(int(at), []).append(entry(n, at * 0.02))
    steps = play(jitter, arrivals, 300)
    assert all(step is Step.PACKET for step, _ in steps[150:280])
    assert jitter.late < 15


def test_a_path_much_longer_than_the_buffer_is_followed_by_starting_anew() -> None:
    jitter = buffer()
    arrivals: dict[int, list[Entry]] = {}
    for n in range(300):
        at = n if n < 100 else n + 50
        arrivals.setdefault(at, []).append(entry(n, at * 0.02))
    steps = play(jitter, arrivals, 300)
    assert all(step is Step.PACKET for step, _ in steps[180:])


def test_a_clock_that_jumps_is_followed() -> None:
    jitter = buffer()
    arrivals = {n: [entry(n)] for n in range(100)}
    for n in range(100, 200):
        arrivals[n] = [entry(n, timestamp=n * FRAME + 100 * RATE)]
    steps = play(jitter, arrivals, 200)
    assert sum(step is Step.PACKET for step, _ in steps[100:]) > 95


def test_what_piled_up_while_nobody_played_is_dropped_not_played_late() -> None:
    jitter = buffer()
    play(jitter, {n: [entry(n)] for n in range(50)}, 50)
    for n in range(50, 300):  # 5 s of packets, all at once
        jitter.insert(entry(n, 6.0), timed=False)
    jitter.tick(6.005)
    jitter.correction()
    assert jitter.delay_s < 0.05
    assert jitter.dropped > 240
    assert jitter.next().step is Step.PACKET


def test_gaps_of_dtx_and_dtmf_are_not_losses() -> None:
    jitter = buffer()
    arrivals = {n: [entry(n)] for n in range(10)}
    for n in range(20, 30):  # ten frames not sent: the sequence goes on, the time jumps
        arrivals[n] = [Entry(n - 10, n * FRAME, b"p", FRAME, n * 0.02)]
    steps = [step for step, _ in play(jitter, arrivals, 30)]
    assert Step.LOST not in steps[:30]
    assert steps.count(Step.GAP) + steps.count(Step.EMPTY) == 10


def test_sequence_numbers_of_dtmf_are_not_missed() -> None:
    jitter = buffer(minimum_s=0.1)
    for n in range(5):
        jitter.insert(entry(n, 0.0))
    step_at(jitter, 0.2)
    for n in range(5, 10):
        jitter.skip_sequence(n)
    jitter.insert(entry(10, 0.0))
    steps = [step_at(jitter, 0.22 + 0.02 * i).step for i in range(10)]
    assert steps == [Step.PACKET] * 4 + [Step.GAP] * 5 + [Step.PACKET]


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
def test_packets_of_every_length_fill_the_time(milliseconds: int) -> None:
    samples = 8 * milliseconds
    jitter = buffer()
    played = 0
    number = 0
    for tick in range(300):
        now = tick * 0.02
        while (number + 1) * milliseconds <= tick * 20:
            jitter.insert(Entry(number, number * samples, b"p", samples, now))
            number += 1
        jitter.tick(now + 0.005, played - (tick - 1) * FRAME)
        while played < tick * FRAME:
            answer = jitter.next()
            assert answer.step in ((Step.IDLE, Step.PACKET) if tick < 12 else (Step.PACKET,))
            played += answer.samples


def test_a_lost_long_packet_is_one_step() -> None:
    jitter = buffer(minimum_s=0.2)
    for n in (0, 2, 3):
        jitter.insert(Entry(n, n * 480, b"p", 480, 0.0))
    answers = [step_at(jitter, 1.0) for _ in range(4)]
    assert [(a.step, a.samples) for a in answers[:3]] == [
        (Step.PACKET, 480),
        (Step.LOST, 480),
        (Step.PACKET, 480),
    ]


packets = st.lists(
    st.tuples(
        st.integers(-50, 200),  # sequence number
        st.integers(-20_000, 100_000) | st.integers(-100, 100).map(lambda n: n * FRAME),
        st.sampled_from([1, 80, 160, 320, 480]),
        st.booleans(),
        st.integers(0, 3),  # ticks until the next one
    ),
    max_size=80,
)


@given(packets)
@settings(max_examples=120, deadline=None)
def test_no_arrival_upsets_it_and_every_step_has_a_length(
    arrivals: list[tuple[int, int, int, bool, int]],
) -> None:
    jitter = buffer()
    tick = 0
    for number, timestamp, samples, timed, ticks in arrivals:
        jitter.insert(Entry(number, timestamp, b"p", samples, tick * 0.02), timed)
        if number % 7 == 0:
            jitter.skip_sequence(number)
        for _ in range(ticks):
            tick += 1
            jitter.tick(tick * 0.02)
            jitter.correction()
            answer = jitter.next()
            assert 0 < answer.samples <= 480
            assert (answer.entry is not None) or answer.step is not Step.PACKET
    assert len(jitter) <= 512


def test_a_packet_without_audio_that_comes_late_does_not_hide_a_lost_one() -> None:
    jitter = buffer()
    play(jitter, {n: [entry(n)] for n in range(20) if n != 10}, 22)
    jitter.skip_sequence(10)
    steps = play(jitter, {n: [entry(n)] for n in range(20, 30) if n != 22}, 8, start=22)
    assert Step.LOST in [step for step, _ in steps] or Step.EMPTY in [step for step, _ in steps]
    assert Step.GAP not in [step for step, _ in steps]
