"""The priority of threads that carry sound."""

import os
import sys
import threading

import pytest

from plivo_nb import thread_priority
from plivo_nb.thread_priority import raise_priority


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_only_the_calling_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "setpriority", lambda *arguments: asked.append(arguments))
    ids: list[int] = []

    def run() -> None:
        ids.append(threading.get_native_id())
        raise_priority()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert asked == [(os.PRIO_PROCESS, ids[0], -10)]


def test_a_refusal_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: int) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    raise_priority()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_priority.sys, "platform", "darwin")
    monkeypatch.setattr(os, "setpriority", lambda *arguments: pytest.fail("asked"), raising=False)
    raise_priority()
