"""The causes of bad calls that a diagnosis names: what each means, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "outage",
    "one_way_audio",
    "device_lost",
    "microphone_silent",
    "muted",
    "far_end_silent",
    "busy_kernel",
    "overloaded",
    "server_away",
    "choppy",
    "robotic",
    "lag",
    "slow_set_up",
    "codec_fall_back",
]
Direction = Literal["in", "out", ""]

NETWORK_REMEDY = "Use a cable instead of Wi-Fi, and pause downloads, uploads and VPN."
DISTANCE_REMEDY = "Turn a VPN off, or choose a nearer region (option clientRegion)."
FIREWALL_REMEDY = "allow UDP in the firewall, or set a TURN server (option iceServers)."
FAR_END_REMEDY = "Ask whether the far end is muted or speaks into another microphone."
MICROPHONE_REMEDY = "Choose another microphone or source, and check its volume."
DEVICE_REMEDY = "Plug the microphone in or choose another one, and allow its use."


@dataclass(frozen=True, slots=True)
class CauseWords:
    """What is said of a cause.

    Attributes:
        what: what happened, as a sentence without its full stop.
        remedy: what helps, in one or two sentences.
    """

    what: str
    remedy: str


_THEIR_NETWORK = "The far end's network may be the cause. "

#: The words by cause and direction: in is what is received, out what is sent.
CAUSE_WORDS: dict[tuple[Cause, Direction], CauseWords] = {
    ("outage", ""): CauseWords(
        "The media connection was interrupted",
        "Check this machine's network; " + NETWORK_REMEDY[0].lower() + NETWORK_REMEDY[1:],
    ),
    ("outage", "in"): CauseWords(
        "For a while nothing arrived from the far end", "Check the networks of both sides. " + NETWORK_REMEDY
    ),
    ("outage", "out"): CauseWords(
        "For a while nothing arrived at the far end", "Check the networks of both sides. " + NETWORK_REMEDY
    ),
    ("one_way_audio", "in"): CauseWords(
        "No packets arrive from the far end",
        "A firewall or NAT stops them: " + FIREWALL_REMEDY,
    ),
    ("one_way_audio", "out"): CauseWords(
        "No packets arrive at the far end",
        "A firewall or NAT stops them: " + FIREWALL_REMEDY,
    ),
    ("device_lost", "out"): CauseWords("The microphone was lost during the call", DEVICE_REMEDY),
    ("microphone_silent", "out"): CauseWords("The microphone or source is silent", MICROPHONE_REMEDY),
    ("muted", "out"): CauseWords("This end was muted", "Unmute: call.unmute(), or the button of the phone."),
    ("far_end_silent", "in"): CauseWords("Packets arrive, but the far end is silent", FAR_END_REMEDY),
    ("busy_kernel", ""): CauseWords(
        "The kernel was busy, and events and controls were late",
        "Run long computations in a thread or another process (asyncio.to_thread), and await asyncio.sleep() "
        "instead of time.sleep().",
    ),
    ("overloaded", ""): CauseWords(
        "This process could not keep up with its calls: sound was played and sent late",
        "Make fewer calls at the same time, spread them over several processes, or end other programs.",
    ),
    ("server_away", ""): CauseWords(
        "The signalling server was away",
        "The client connects again by itself; if this happens often, check the network, proxy and firewall "
        "for WebSockets that are cut.",
    ),
    ("choppy", "in"): CauseWords("Packets are lost on the way to this end: sound is choppy", NETWORK_REMEDY),
    ("choppy", "out"): CauseWords(
        "Packets are lost on the way to the far end: sound is choppy there",
        NETWORK_REMEDY + " " + _THEIR_NETWORK.strip(),
    ),
    ("robotic", "in"): CauseWords(
        "Packets arrive unevenly: sound is stretched, cut or robotic", NETWORK_REMEDY
    ),
    ("robotic", "out"): CauseWords(
        "Packets arrive unevenly at the far end: sound is robotic there",
        NETWORK_REMEDY + " " + _THEIR_NETWORK.strip(),
    ),
    ("lag", ""): CauseWords("Answers come late", DISTANCE_REMEDY),
    ("slow_set_up", ""): CauseWords("The call was set up slowly", "See the step that took long."),
    ("codec_fall_back", ""): CauseWords(
        "The call used another codec than the preferred one",
        "Nothing is wrong if the far end is a telephone. Otherwise allow the preferred codec there.",
    ),
}

#: The steps of a slow set-up: what took long, and what helps.
SET_UP_WORDS: dict[str, CauseWords] = {
    "socket_ms": CauseWords(
        "The signalling connection took long to open",
        "Check proxy, VPN and DNS, or choose a nearer region (option clientRegion).",
    ),
    "register_ms": CauseWords(
        "The server took long to authenticate the account",
        "Log in before the first call and stay logged in; if it stays slow, the server or the way to it is.",
    ),
    "post_dial_delay_ms": CauseWords(
        "It took long until the far end rang",
        "The server or the far end's network is slow: try another number, and compare with other calls.",
    ),
    "ice_ms": CauseWords(
        "Finding a way for the media took long", "If UDP is slow or blocked, " + FIREWALL_REMEDY
    ),
    "dtls_ms": CauseWords(
        "The exchange of media keys took long", "The network delays or loses packets. " + NETWORK_REMEDY
    ),
    "media_setup_ms": CauseWords(
        "The first sound came long after the answer", "If UDP is slow or blocked, " + FIREWALL_REMEDY
    ),
}


def words_of(cause: Cause, direction: Direction = "") -> CauseWords:
    """The words of a cause.

    Args:
        cause: such as ``choppy``.
        direction: ``in``, ``out``, or ``""`` for both or neither.

    Example:
        >>> words_of("choppy", "in").what
        'Packets are lost on the way to this end: sound is choppy'
    """
    return CAUSE_WORDS[cause, direction]
