"""Calls and their quality in Prometheus' text format, so that a dashboard such as Grafana's can draw them.

Names and units are those of https://prometheus.io/docs/practices/naming/: seconds, ratios and counters that
end in ``_total``. No label has a value that grows without bound: no number, name, address or call id.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from plivo_nb._version import __version__
from plivo_nb.analysis.figures import numbers
from plivo_nb.events import CallState

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from plivo_nb.analysis.call_frames import CallFrames

    FloatArray = npt.NDArray[np.float64]

_MOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.25, 4.5)
_DELAY_S = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
_JITTER_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_LOSS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_LAG_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_SET_UP_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_ENDINGS = frozenset(get_args(CallState)) - {"ringing", "answered"}
_DIRECTIONS = {"in": "received", "out": "sent"}


class CallCollector:
    """Gives the families of metrics of some calls to a Prometheus registry.

    Args:
        frames: the calls, those that go on included.
        logged_in: whether the client is logged in.
        ongoing: the number of calls that are not over.
    """

    def __init__(self, frames: CallFrames, *, logged_in: bool, ongoing: int) -> None:
        self._frames = frames
        self._logged_in = logged_in
        self._ongoing = ongoing

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield InfoMetricFamily("plivo_nb", "The package", {"version": __version__})
        yield GaugeMetricFamily("plivo_nb_logged_in", "1 while the client is logged in", self._logged_in)
        yield GaugeMetricFamily("plivo_nb_calls_ongoing", "Calls that are not over", self._ongoing)
        yield from self._of_calls()
        yield from self._of_packets()
        yield from self._of_samples()

    def _of_calls(self) -> Iterator[Metric]:
        calls = self._frames.calls
        over = calls[calls["state"].fillna("").isin(_ENDINGS)]
        ended = CounterMetricFamily(
            "plivo_nb_calls", "Calls that are over", labels=("direction", "state", "cause")
        )
        keys = over[["direction", "state", "cause"]].fillna("").astype("str").to_numpy().tolist()
        for (direction, state, cause), count in Counter(map(tuple, keys)).items():
            ended.add_metric((direction.lower(), state, cause), count)
        yield ended
        warnings = CounterMetricFamily(
            "plivo_nb_media_warnings", "mediaMetrics events that were raised", labels=("type",)
        )
        events = self._frames.media_metrics
        raised = events.loc[events["active"].to_numpy(dtype=bool), "type"].astype("str")
        for type_, count in raised.value_counts(sort=False).items():
            warnings.add_metric((str(type_),), float(count))
        yield warnings
        set_up = HistogramMetricFamily(
            "plivo_nb_call_set_up_seconds", "Time of each stage of the set-up", labels=("stage",)
        )
        for stage in ("post_dial_delay", "answer_delay", "media_setup"):
            _add(set_up, (stage,), numbers(calls, f"{stage}_ms") / 1000, _SET_UP_S)
        yield set_up

    def _of_packets(self) -> Iterator[Metric]:
        """Counters: the losses are those of packets that cannot come any more, which never fall."""
        samples = self._frames.samples
        packets = CounterMetricFamily("plivo_nb_packets", "RTP packets", labels=("direction",))
        lost = CounterMetricFamily(
            "plivo_nb_packets_lost", "RTP packets that did not arrive", labels=("direction",)
        )
        for end, direction in _DIRECTIONS.items():
            packets.add_metric((direction,), float(np.nansum(numbers(samples, f"packets_{end}"))))
            expected = numbers(samples, f"packets_expected_{end}")
            shares = numbers(samples, f"loss_{end}")
            if end == "out":  # held until the next report
                new = numbers(samples, "report_age_s") < numbers(samples, "interval_s")
                shares = np.where(new, shares, np.nan)
            lost.add_metric((direction,), float(np.round(np.nansum(expected * shares))))
        yield packets
        yield lost

    def _of_samples(self) -> Iterator[Metric]:
        samples = self._frames.samples
        yield _histogram("plivo_nb_mos", "MOS of each sample, 1 to 4.5", samples, {(): "mos"}, 1.0, _MOS)
        yield _histogram(
            "plivo_nb_round_trip_seconds", "Round-trip time on the media path", samples, {(): "rtt_ms"},
            1000.0, _DELAY_S,
        )  # fmt: skip
        yield _histogram(
            "plivo_nb_jitter_seconds", "Interarrival jitter (RFC 3550)", samples,
            {(direction,): f"jitter_{end}_ms" for end, direction in _DIRECTIONS.items()}, 1000.0, _JITTER_S,
        )  # fmt: skip
        yield _histogram(
            "plivo_nb_packet_loss_ratio", "Share of the packets that did not arrive, 0 to 1", samples,
            {(direction,): f"loss_{end}" for end, direction in _DIRECTIONS.items()}, 1.0, _LOSS,
        )  # fmt: skip
        yield _histogram(
            "plivo_nb_kernel_lag_seconds", "Longest lag of the kernel's event loop in each sample", samples,
            {(): "loop_lag_ms"}, 1000.0, _LAG_S,
        )  # fmt: skip


def exposition(frames: CallFrames, *, logged_in: bool, ongoing: int) -> str:
    """The metrics of some calls as a text; see `CallCollector` for the arguments.

    Example:
        >>> from plivo_nb.analysis.call_frames import CallFrames
        >>> text = exposition(CallFrames.of(), logged_in=True, ongoing=0)
        >>> [line for line in text.splitlines() if line.startswith("plivo_nb_logged_in")]
        ['plivo_nb_logged_in 1.0']
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CallCollector(frames, logged_in=logged_in, ongoing=ongoing))
    return generate_latest(registry).decode()


def _histogram(
    name: str,
    about: str,
    samples: pd.DataFrame,
    columns: dict[tuple[str, ...], str],
    divisor: float,
    bounds: tuple[float, ...],
) -> Metric:
    """A histogram of columns of samples, divided to give base units; the keys are values of `direction`."""
    labels = ("direction",) if any(columns) else ()
    family = HistogramMetricFamily(name, about, labels=labels)
    for values, column in columns.items():
        _add(family, values, numbers(samples, column) / divisor, bounds)
    return family


def _add(
    family: HistogramMetricFamily, labels: tuple[str, ...], values: FloatArray, bounds: tuple[float, ...]
) -> None:
    """Add a histogram; missing values are not counted."""
    known = np.sort(values[np.isfinite(values)])
    counts = np.searchsorted(known, bounds, side="right")
    buckets = [(f"{bound:g}", float(count)) for bound, count in zip(bounds, counts, strict=True)]
    family.add_metric(labels, [*buckets, ("+Inf", float(len(known)))], float(known.sum()))
