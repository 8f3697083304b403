"""Who may do what in a lab that a class shares. Sans-I/O: commands, results and events go in.

The teacher started the lab and may do everything. A student may make calls, and see and ask for what concerns
the student's own account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How many robots may call a student at a time who asks for them.
MOST_CALLS = 3


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who is connected to a lab's control channel.

    Attributes:
        user: the account of a student; None: the teacher.
    """

    user: str | None = None

    @property
    def is_teacher(self) -> bool:
        """Whether this is the teacher."""
        return self.user is None


TEACHER = Member()

_WHAT = {
    "network.set": "change the network",
    "network.clear": "change the network",
    "network.play": "play a scenario",
    "network.stop": "stop a scenario",
    "network.log": "see everybody's packets",
}
_OF_STUDENTS = frozenset({"status", "network.settings", "network.history", "network.counters", "call"})


def check(member: Member, command: str, arguments: Mapping[str, Any], calling: int = 0) -> None:
    """Check that a member may run a command.

    Args:
        member: who wants it.
        command: its name.
        arguments: what is given with it.
        calling: how many robots call this member already, or are in a call so begun.

    Raises:
        LabError: only the teacher may.

    Example:
        >>> check(Member("s07"), "network.set", {"loss": 0.5})
        Traceback (most recent call last):
        plivo_nb.errors.LabError: Only the teacher may change the network; you joined as s07.
    """
    if member.is_teacher:
        return
    if command not in _OF_STUDENTS:
        what = _WHAT.get(command, "cause faults" if command.startswith("fault.") else f"use {command}")
        raise LabError(f"Only the teacher may {what}; you joined as {member.user}.")
    if command == "call":
        if arguments.get("user") != member.user:
            raise LabError(f"Robots call only you, {member.user}; the teacher can have them call others.")
        count = arguments.get("n", 1)
        if not isinstance(count, int) or count + calling > MOST_CALLS:
            raise LabError(f"At most {MOST_CALLS} robots call you at a time; the teacher can have more.")


def visible(member: Member, command: str, result: Any) -> Any:
    """What a member gets of the result of a command: of calls and registrations the member's own."""
    if member.is_teacher:
        return result
    if command == "network.history":
        return [entry for entry in result if concerns(member, "network", entry)]
    if command == "network.counters":
        return {"calls": [call for call in result["calls"] if _takes_part(member, call)]}
    if command == "status":
        own = [entry for entry in result["registrations"] if entry["user"] == member.user]
        calls = [call for call in result["calls"] if _takes_part(member, call)]
        kept = ("url", "network", "scenario", "robots")
        return {name: result[name] for name in kept} | {"registrations": own, "calls": calls}
    return result


def concerns(member: Member, event: str, data: Any) -> bool:
    """Whether an event is published to a member."""
    if member.is_teacher or not isinstance(data, dict):
        return True
    if event == "network":
        return data.get("user") in (None, member.user) and data.get("call_uuid") is None
    if event == "collected":
        return data.get("user") == member.user
    return data.get("who") == member.user


def _takes_part(member: Member, call: Mapping[str, Any]) -> bool:
    return member.user in (call["caller"], call["callee"])
