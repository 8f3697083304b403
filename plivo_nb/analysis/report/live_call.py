"""What a report says of a call of a client, and of the client's options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from plivo_nb.analysis.report.content import ReportedCall, Row, known_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from plivo_nb.analysis.clip import CallClip
    from plivo_nb.analysis.ladder import Ladder
    from plivo_nb.events import CallInfo
    from plivo_nb.options import Options

#: Options that explain a call, and their units, in the order of the report. Addresses, paths, names of
#: devices and credentials are not among them.
_SHOWN = {
    "codecs": "",
    "max_average_bitrate": "bit/s",
    "jitter_min_ms": "ms",
    "jitter_max_ms": "ms",
    "dscp": "",
    "enable_tracking": "",
    "client_region": "",
    "ice_transport_policy": "",
    "ice_gathering_timeout": "s",
    "loopback_candidates": "",
    "sample_interval": "s",
    "keep_audio": "s",
    "allow_multiple_incoming_calls": "",
    "perm_on_click": "",
    "follow_redirects": "",
    "allow_insecure": "",
}


class LiveCall(Protocol):
    """What is needed of a `plivo_nb.call.Call`."""

    @property
    def client(self) -> Any:
        """Its client: `options` and `username`."""

    @property
    def info(self) -> CallInfo:
        """Its `CallInfo`."""

    @property
    def caller_name(self) -> str:
        """The name that the caller gives."""

    @property
    def samples(self) -> pd.DataFrame:
        """Its samples."""

    @property
    def media_metrics(self) -> pd.DataFrame:
        """Its mediaMetrics events."""

    @property
    def sip_trace(self) -> pd.DataFrame:
        """Its SIP messages."""

    @property
    def timings(self) -> dict[str, float]:
        """When it reached each stage."""

    @property
    def summary(self) -> dict[str, Any] | None:
        """Its row of `Client.calls`."""

    def ladder(self) -> Ladder:
        """Its SIP messages as a ladder."""


def of_call(call: LiveCall, clip: CallClip | None = None) -> ReportedCall:
    """A call of a client for a report, during the call or after it.

    Args:
        call: the call.
        clip: sound of it to add.
    """
    info, options = call.info, call.client.options
    facts = call.summary or {
        "call_uuid": info.callUUID,
        "direction": info.direction,
        "src": info.src,
        "dest": info.dest,
        "state": info.state,
    }
    return ReportedCall(
        name=info.dest if info.direction == "OUTGOING" else info.src,
        samples=call.samples,
        media_metrics=call.media_metrics,
        facts=facts,
        timings=call.timings,
        sip_trace=call.sip_trace,
        ladder=call.ladder(),
        configuration=tuple(configuration_of(options)),
        clip=clip,
        names=known_names(_names_of(call, info, options)),
    )


def _names_of(call: LiveCall, info: CallInfo, options: Options) -> Iterable[Any]:
    yield from (info.src, info.dest, call.caller_name, call.client.username, info.contact)
    yield from info.extraHeaders.values()
    yield from options.registration_domain_socket
    yield from options.realms
    yield from _urls_of(options.ice_servers)


def _urls_of(servers: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for server in servers:
        urls = server["urls"]
        yield from [urls] if isinstance(urls, str) else urls


def configuration_of(options: Options) -> list[Row]:
    """The options of a client that explain its calls, in words.

    Example:
        >>> from plivo_nb.options import Options
        >>> dict(configuration_of(Options()))["jitter_max_ms"]
        '200 ms'
    """
    rows = [(name, _words(getattr(options, name), unit)) for name, unit in _SHOWN.items()]
    rules = options.rules if isinstance(options.rules, str) else "own rules"
    servers = f"{len(options.registration_domain_socket)} signalling, {len(options.ice_servers)} STUN or TURN"
    return [("servers", servers), ("rules", rules), *rows]


def _words(value: Any, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,g} {unit}".strip() if isinstance(value, (int, float)) else str(value)
