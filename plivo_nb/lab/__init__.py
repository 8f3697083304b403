"""The lab: an embedded Plivo in a process of its own, for learning and testing. By default it serves
127.0.0.1 only.

    process.py     Lab: starts the process and is what a notebook holds
    remote.py      lab.network and lab.faults: the notebook's side of both
    control.py     commands and events between the two processes, protected by a token
    child.py       the process as its parent sees it        __main__.py    the process's start and end
    service.py     what runs in the process                 config.py      its settings
    load.py        whether it can carry more calls
    membership.py  what teacher and students of a class may do              class_file.py  how they join
    listening.py   where its servers listen, and TLS    local_only.py  which requests they take
    faults.py      the state of the faults                  fault_commands.py   the commands that change it
    collector.py   the statistics service
    sip/           the SIP switch: registrar, proxy, WebSocket server
    network/       the media path: relay, impairment, knobs, scenarios
    robots/        clients that can be called: roles and sounds; in worker processes for many calls

The switch, all that it uses, and network/impairment.py are sans-I/O: messages or packets and the time go in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_nb.lab.process import Lab as Lab

__all__ = ["Lab"]


def __getattr__(name: str) -> object:  # late, so that a limit in config.py can be read without websockets
    if name == "Lab":
        from plivo_nb.lab.process import Lab

        globals()["Lab"] = Lab
        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
