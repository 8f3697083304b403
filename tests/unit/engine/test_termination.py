"""The handler of SIGTERM is there while there are clients, and leaves the former one as it was."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import pytest

from plivo_nb.engine.termination import Termination, _is_ours


@pytest.fixture
def former() -> Any:
    before = signal.getsignal(signal.SIGTERM)

    def handler(number: int, frame: object) -> None:
        """The user's own."""

    signal.signal(signal.SIGTERM, handler)
    yield handler
    signal.signal(signal.SIGTERM, before)


def test_the_former_handler_returns_with_the_last_engine(former: Any) -> None:
    termination: Any = Termination()
    termination.watch("one")
    termination.watch("two")
    assert signal.getsignal(signal.SIGTERM) == termination._on_signal
    termination.forget("one")
    assert signal.getsignal(signal.SIGTERM) == termination._on_signal
    termination.forget("two")
    termination.forget("two")
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_handler_that_the_user_set_afterwards_stays(former: Any) -> None:
    termination: Any = Termination()
    termination.watch("one")
    signal.signal(signal.SIGTERM, former)
    termination.forget("one")
    assert signal.getsignal(signal.SIGTERM) is former


def test_an_ignored_signal_stays_ignored(former: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    termination: Any = Termination()
    termination.watch("one")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_other_threads_and_forked_children_leave_it_alone(former: Any) -> None:
    termination: Any = Termination()
    thread = threading.Thread(target=termination.watch, args=("one",))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is former
    termination.watch("two")
    termination.after_fork_in_child()
    assert signal.getsignal(signal.SIGTERM) is former


def test_frames_of_the_package_are_known() -> None:
    assert not _is_ours(None)
    assert not _is_ours(sys._getframe())
