"""Changed inputs to everything that other parties send: nothing undocumented is raised, in bounded time.

Each target runs for FUZZ_SECONDS (2 by default) with the same inputs in each run, as far as the time allows;
FUZZ_SEED chooses others. `bench/fuzz_atheris.py` runs the same targets guided by coverage.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Iterator

import pytest
from fuzz_targets import MAX_BYTES, TARGETS, Target
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH = settings(
    max_examples=50,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # reducing what is slow takes minutes
)
#: Under coverage, Python code takes several times as long.
MEASURED = 4 if sys.gettrace() is not None else 1

PIECES = [
    *(
        b"",
        b"\0",
        b"\xff",
        b" ",
        b"\t",
        b"\r\n",
        b"\r\n ",
        b"\n",
        b",",
        b";",
        b":",
        b"=",
        b'"',
        b"<",
        b">",
        b"\\",
    ),
    *(
        b"-1",
        b"0",
        b"99999999999",
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"%00",
        b"%",
    ),
    *(
        "²".encode(),
        "١".encode(),
        "\u2028".encode(),
        b"\xed\xa0\x80",
        b"*",
        b"{via}",
        b"{call}",
        b"sip:",
        b"tel:+",
    ),
]
REPEATED = [
    b" ",
    b"\t",
    b"9",
    b",",
    b":",
    b'"',
    b"\\",
    b"<",
    b"[",
    b'{"a":',
    b"\r\n ",
    b"a=x\r\n",
    b";a=b",
    b"\xff",
]


@st.composite
def changed(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with up to six changes: bytes replaced, cut, moved, or something repeated up to the limit."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 0, 1, 2, 4, 20, 200])))
        data = data[:at] + draw(_inserted(data)) + data[end:]
    return data[:MAX_BYTES]


def _inserted(data: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.sampled_from(PIECES),
        st.binary(max_size=8),
        st.builds(lambda piece, n: piece * n, st.sampled_from(REPEATED), st.sampled_from([10, 1000, 60_000])),
        st.builds(lambda a, b: data[min(a, b) : max(a, b)], *[st.integers(0, len(data))] * 2),
    )


def took(target: Target, data: bytes) -> float:
    clock = time.thread_time if target.on_cpu else time.monotonic
    begin = clock()
    target.run(data)
    return clock() - begin


class Check:
    """Runs inputs until the time is over; from the first fault on, all of them, so that it is found again."""

    def __init__(self, target: Target, seconds: float = SECONDS) -> None:
        self.target = target
        self.end = time.monotonic() + seconds
        self.failed = False

    @property
    def over(self) -> bool:
        return time.monotonic() > self.end and not self.failed

    def __call__(self, data: bytes) -> None:
        if self.over:
            return
        try:
            self._run(data)
        except BaseException:
            self.failed = True
            raise

    def _run(self, data: bytes) -> None:
        limit_s = self.target.limit_s * MEASURED
        if took(self.target, data) < limit_s:
            return
        # Was it the collector, or another process? Then it is not slow each time.
        least = min(took(self.target, data) for _ in range(4))
        assert least < limit_s, f"{least:.2f} s for {len(data)} bytes: {data[:200]!r}"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Refusals are logged: millions of lines."""
    logging.disable(logging.WARNING)
    gc.freeze()  # what the tests before have left would be scanned again and again
    yield
    gc.unfreeze()
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of the input that fails
@pytest.mark.parametrize("name", TARGETS)
def test_changed_input_raises_nothing_and_takes_bounded_time(name: str) -> None:
    check = Check(TARGETS[name])
    for data in check.target.seeds:
        check(data)
    number = FIRST_SEED
    while not check.over:
        batch = given(data=changed(check.target.seeds))(lambda data: check(data))  # noqa: PLW0108  # hypothesis wants a function
        seed(number)(BATCH(batch))()
        number += 1


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_not_refused_at_the_first_byte(name: str) -> None:
    """A target whose seeds are all nonsense would test nothing."""
    seeds = TARGETS[name].seeds
    assert all(0 < len(data) < MAX_BYTES for data in seeds)
    assert len(set(seeds)) == len(seeds)
