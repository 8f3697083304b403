"""The ring buffer: order, bounds, and two threads."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.ring_buffer import RingBuffer


def test_what_does_not_fit_is_not_taken() -> None:
    ring = RingBuffer(10)
    assert ring.write(np.arange(8, dtype=np.int16)) == 8
    assert ring.write(np.arange(8, 16, dtype=np.int16)) == 2
    assert (len(ring), ring.free) == (10, 0)
    assert ring.read(100).tolist() == list(range(10))
    assert len(ring) == 0


def test_clearing_drops_what_waits() -> None:
    ring = RingBuffer(10)
    ring.write(np.ones(7, np.int16))
    ring.clear()
    assert (len(ring), ring.free) == (0, 10)
    assert ring.read(1).tolist() == []


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=50))
def test_it_is_a_bounded_first_in_first_out_queue(capacity: int, steps: list[tuple[bool, int]]) -> None:
    ring, model, number = RingBuffer(capacity), [], 0
    for writes, count in steps:
        if writes:
            taken = ring.write(np.arange(number, number + count, dtype=np.int16))
            assert taken == min(count, capacity - len(model))
            model += range(number, number + taken)
            number += taken
        else:
            assert ring.read(count).tolist() == model[:count]
            del model[:count]
        assert len(ring) == len(model)


def test_samples_read_are_not_changed_by_later_writes() -> None:
    ring = RingBuffer(4)
    ring.write(np.array([1, 2, 3, 4], np.int16))
    first = ring.read(4)
    ring.write(np.array([5, 6, 7, 8], np.int16))
    assert first.tolist() == [1, 2, 3, 4]


def test_one_thread_writes_while_another_reads() -> None:
    ring, count = RingBuffer(997), 30_000

    def write() -> None:
        sent = 0
        while sent < count:
            sent += ring.write(np.arange(sent, min(count, sent + 160), dtype=np.int16))

    writer = threading.Thread(target=write)
    writer.start()
    got: list[int] = []
    while len(got) < count:
        got += ring.read(211).tolist()
    writer.join()
    assert got == list(range(count))
