"""The states of a call, as a table that one can read."""

from __future__ import annotations

from typing import Literal

Phase = Literal["new", "preparing", "calling", "ringing", "answering", "answered", "ignored", "over"]

# (phase, trigger): next phase. Outgoing calls go through preparing and calling, incoming through answering.
TRANSITIONS: dict[tuple[Phase, str], Phase] = {
    ("new", "dial"): "preparing",
    ("preparing", "invite sent"): "calling",
    ("calling", "progress"): "ringing",
    ("ringing", "progress"): "ringing",
    ("calling", "answered"): "answered",
    ("ringing", "answered"): "answered",
    ("new", "offered"): "ringing",
    ("ringing", "answer"): "answering",
    ("answering", "confirmed"): "answered",
    ("ringing", "ignore"): "ignored",
}
