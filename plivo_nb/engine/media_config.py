"""From a client's options to the configuration of its media sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.plane import wire

if TYPE_CHECKING:
    from plivo_nb.options import Options


def session_config(options: Options) -> wire.SessionConfig:
    """What the plane needs to know of the options; durations in seconds, jitter bounds in ms."""
    return wire.SessionConfig(
        codecs=options.codecs,
        ice_servers=tuple(
            wire.IceServer(
                urls=(server["urls"],) if isinstance(server["urls"], str) else tuple(server["urls"]),
                username=server.get("username"),
                credential=server.get("credential"),
            )
            for server in options.ice_servers
        ),
        ice_gathering_timeout_s=options.ice_gathering_timeout,
        loopback_candidates=options.loopback_candidates,
        dscp=options.dscp,
        jitter_min_ms=options.jitter_min_ms,
        jitter_max_ms=options.jitter_max_ms,
        sample_interval_s=options.sample_interval,
        max_average_bitrate_bps=options.max_average_bitrate,
    )
