"""widgets.class_board: the widget and its commands; in a page: tests/browser/widgets/test_class_board.py."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import until

from plivo_nb import ClassBoard, LabError


class FakeLab:
    """A lab of two students that notes what its network is asked for."""

    def __init__(self) -> None:
        self.user: str | None = None
        self.accounts = {"ann": "x", "bob": "y"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.callbacks: list[Callable[..., object]] = []
        self.network = SimpleNamespace(set=self._set, clear=self._clear)
        self.calls: list[dict[str, Any]] = []

    async def _set(self, **knobs: Any) -> None:
        self.asked.append(("set", knobs))

    async def _clear(self, user: str | None = None) -> None:
        self.asked.append(("clear", {"user": user}))

    async def status(self) -> dict[str, Any]:
        return {"registrations": [{"user": "ann"}], "calls": self.calls}

    def on_entry(self, callback: Callable[..., object]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    async def close(self) -> None:
        pass


async def test_the_table_follows_the_lab_and_ends_with_the_board() -> None:
    lab: Any = FakeLab()
    board = ClassBoard(lab)
    await until(lambda: board.rows[0]["state"] == "ready")
    lab.calls = [{"call_uuid": "u", "caller": "ann", "callee": "echo", "state": "answered", "seconds": 3.0}]
    await until(lambda: board.widget.children[1].rows[0]["state"] == "in call", 5)
    assert repr(board) == "<ClassBoard of 2 students>"
    board.close()
    assert lab.callbacks == []
    assert repr(board) == "<ClassBoard, closed>"
    board.close()


async def test_the_form_sets_the_network_of_a_student_or_of_all() -> None:
    lab: Any = FakeLab()
    board = ClassBoard(lab)
    send = board._on_message
    send(None, {"type": "set", "user": "ann", "loss": 0.05, "delay_ms": 120, "jitter_ms": 0}, None)
    await until(lambda: len(lab.asked) == 1)
    assert lab.asked[-1] == ("set", {"user": "ann", "loss": 0.05, "delay_ms": 120.0, "jitter_ms": 0.0})
    send(None, {"type": "set", "user": "", "loss": 7, "delay_ms": "x", "jitter_ms": float("nan")}, None)
    await until(lambda: len(lab.asked) == 2)
    assert lab.asked[-1] == ("set", {"user": None, "loss": 1.0})
    send(None, {"type": "clear", "user": "ann"}, None)
    await until(lambda: len(lab.asked) == 3)
    assert lab.asked[-1] == ("clear", {"user": "ann"})
    send(None, {"type": "set", "user": "mallory", "loss": 1}, None)
    send(None, "nonsense", None)
    send(None, {"type": "clear", "user": None}, None)
    await until(lambda: lab.asked[-1] == ("clear", {"user": None}))
    assert len(lab.asked) == 4
    board.close()


async def test_a_student_gets_a_sentence() -> None:
    lab: Any = FakeLab()
    lab.user = "ann"
    with pytest.raises(LabError, match="Only the teacher sees the whole class; you joined as ann"):
        ClassBoard(lab)
