"""What a teacher sees of a class: a row for each student, from what the lab reports. No widgets, no I/O."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.phone_view import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT_POINTS = 60  # of the MOS of a call: five minutes of reports, one each 5 s
LOSS_OVER = 5  # updates, one each second: so many of the last ones give the loss
_ANSWERED = "answered"


@dataclass(slots=True)
class _Student:
    """What is known of one student.

    Attributes:
        online: whether the student's phone is registered.
        call_uuid: of the call of now, or of the last one.
        state: of the call of now; "" while there is none.
        peer: the other party of that call.
        seconds: since its beginning.
        why: why the last call ended.
        mos: of that call, by reports.
        rtt_ms: of the last report.
        packets: RTP packets of the call that the lab has seen and dropped to and from the student, by
            updates: (seen to, dropped to, seen from, dropped from).
    """

    online: bool = False
    call_uuid: str = ""
    state: str = ""
    peer: str = ""
    seconds: float = math.nan
    why: str = ""
    mos: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_POINTS))
    rtt_ms: float = math.nan
    packets: deque[tuple[int, int, int, int]] = field(default_factory=lambda: deque(maxlen=LOSS_OVER + 1))


class ClassRecord:
    """The students of a class and their calls.

    MOS and round trip are those that a student's client reports to the lab's statistics service. The loss is
    counted by the lab, through which all packets pass: what it dropped in the last seconds. Who calls whom,
    and how a call ended, is what the lab's server knows.

    Args:
        users: the students' accounts, in the order of the rows.

    Example:
        >>> record = ClassRecord(["ann"])
        >>> call = {"call_uuid": "u-1", "caller": "ann", "callee": "echo", "state": "answered", "seconds": 61}
        >>> record.update({"registrations": [{"user": "ann"}], "calls": [call]})
        >>> [(row["user"], row["with"], row["state"], row["length"]) for row in record.rows()]
        [('ann', 'echo', 'in call', '1:01')]
    """

    def __init__(self, users: Sequence[str]) -> None:
        self._students = {user: _Student() for user in users}
        self._reasons: dict[str, str] = {}  # why calls ended, by UUID: the event may come before the status

    def take(self, name: str, entry: Mapping[str, Any]) -> None:
        """Take an entry of `Lab.events` ("event") or `Lab.collected` ("collected")."""
        if name == "collected" and entry.get("msg") == "CALL_STATS":
            self._take_report(entry)
        elif name == "event" and entry.get("what") == "call-ended":
            self._end(str(entry.get("call_uuid")), str(entry.get("detail") or "ended"))

    def _take_report(self, entry: Mapping[str, Any]) -> None:
        student = self._students.get(str(entry.get("user")))
        local = entry.get("local")
        if student is None or not isinstance(local, dict):
            return
        uuid = str(entry.get("xcallUUID") or entry.get("callUUID") or "")
        if uuid != student.call_uuid:
            _begin(student, uuid)
        student.mos.append(_number(local.get("mos")))
        student.rtt_ms = _number(local.get("rtt"))

    def _end(self, uuid: str, why: str) -> None:
        self._reasons[uuid] = why
        while len(self._reasons) > 4 * len(self._students) + 4:
            del self._reasons[next(iter(self._reasons))]
        for student in self._students.values():
            if student.call_uuid == uuid:
                student.state, student.why = "", why

    def update(self, status: Mapping[str, Any]) -> None:
        """Take what `Lab.status` gives: registrations and calls of now."""
        online = {entry["user"] for entry in status["registrations"]}
        calls: dict[str, tuple[Mapping[str, Any], str, tuple[str, str]]] = {}
        for call in status["calls"]:
            calls[call["caller"]] = (call, call["callee"], ("to_caller", "to_callee"))
            calls[call["callee"]] = (call, call["caller"], ("to_callee", "to_caller"))
        for user, student in self._students.items():
            student.online = user in online
            found = calls.get(user)
            if found is None:
                if student.state:
                    student.state, student.why = "", self._reasons.get(student.call_uuid, "ended")
                continue
            call, peer, directions = found
            if call["call_uuid"] != student.call_uuid:
                _begin(student, call["call_uuid"])
            student.peer, student.state, student.seconds = peer, call["state"], call["seconds"]
            passed = call.get("rtp", {})
            if all(direction in passed for direction in directions):
                to, from_ = (passed[direction] for direction in directions)
                student.packets.append((to["seen"], to["dropped"], from_["seen"], from_["dropped"]))

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each student: what the page displays, as text and numbers that JSON has.

        Keys: user, state (in call, calling, ready, away), with, length, mos (text), verdict (word), series
        (MOS, None where unknown) and rtt, by the student's client; loss_to and loss_from the student, counted
        by the lab; why.
        """
        return [_row(user, student) for user, student in self._students.items()]


def _begin(student: _Student, uuid: str) -> None:
    student.call_uuid, student.peer, student.seconds, student.why = uuid, "", math.nan, ""
    student.mos.clear()
    student.rtt_ms = math.nan
    student.packets.clear()


def _row(user: str, student: _Student) -> dict[str, Any]:
    in_call = bool(student.state)
    state = "ready" if student.online else "away"
    if in_call:
        state = "in call" if student.state == _ANSWERED else "calling"
    mos = student.mos[-1] if student.mos else math.nan
    known = not math.isnan(mos)
    return {
        "user": user,
        "state": state,
        "with": student.peer,
        "length": clock(student.seconds) if in_call else "",
        "mos": f"{mos:.1f}" if known else "",
        "verdict": verdict(mos).word if known else "",
        "series": [None if math.isnan(value) else round(value, 2) for value in student.mos],
        "rtt": _whole(student.rtt_ms),
        "loss_to": _percent(_loss(student.packets, 0)),
        "loss_from": _percent(_loss(student.packets, 2)),
        "why": student.why,
    }


def _loss(packets: deque[tuple[int, int, int, int]], at: int) -> float:
    """Share dropped between the first and the last update, by the counters `at` and `at` + 1."""
    if not packets:
        return math.nan
    seen, dropped = (packets[-1][place] - packets[0][place] for place in (at, at + 1))
    return dropped / seen if seen else math.nan


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def _whole(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f} ms"
