"""The lab's page ``/metrics``: registrations, calls, requests and packets in Prometheus' text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from plivo_nb._version import __version__
from plivo_nb.lab.network.knobs import DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STATES = ("connecting", "ringing", "answered")


class LabCollector:
    """Gives the lab's metrics to a Prometheus registry.

    Args:
        registrations: how many accounts' phones are registered.
        calls: the states of the calls.
        requests: SIP requests received since the server's start, by method.
        events: what happened since the lab's start, by name.
        packets: what `plivo_nb.lab.network.network.Network.counters` gives.
    """

    def __init__(
        self,
        *,
        registrations: int,
        calls: list[str],
        requests: Mapping[str, int],
        events: Mapping[str, int],
        packets: Mapping[str, Any],
    ) -> None:
        self._registrations = registrations
        self._calls = calls
        self._requests = requests
        self._events = events
        self._packets = packets

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield InfoMetricFamily("plivo_nb_lab", "The package", {"version": __version__})
        yield GaugeMetricFamily("plivo_nb_lab_registrations", "Registered phones", self._registrations)
        calls = GaugeMetricFamily("plivo_nb_lab_calls", "Calls that are not over", labels=("state",))
        for state in _STATES:
            calls.add_metric((state,), self._calls.count(state))
        yield calls
        yield _counter("plivo_nb_lab_sip_requests", "SIP requests received", "method", self._requests)
        yield _counter("plivo_nb_lab_events", "What happened", "event", self._events)
        relayed = GaugeMetricFamily(
            "plivo_nb_lab_rtp_packets",
            "RTP packets of the calls that the network knows at present",
            labels=("direction", "fate"),
        )
        for direction in DIRECTIONS:
            for fate in ("forwarded", "dropped"):
                relayed.add_metric((direction, fate), self._packets[direction][f"rtp_{fate}"])
        yield relayed


def exposition(collector: LabCollector) -> str:
    """The metrics as a text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry).decode()


def _counter(name: str, about: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=(label,))
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family
