"""One sample of several: for rules that take a sample each 5 s, and for the statistics service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.counters import NAN
from plivo_nb.quality.sampler import rating, score, smaller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.quality.sampler import SampleRow


def merged(rows: Sequence[SampleRow]) -> dict[str, Any]:
    """The columns of one sample over the time of several.

    Loss is that of all their packets and of all reports that came in that time, where a sample in which
    nothing arrived counts as much as the average of the others; the scores are worked out from it. All other
    columns are those of the last sample.

    Args:
        rows: consecutive samples of one call, at least one.
    """
    last = rows[-1]
    loss_in = _loss([(row.loss_in, row.packets_expected_in) for row in rows])
    loss_out = last.loss_out
    reports = [row for row in rows if not row.report_age_s >= row.interval_s]
    if reports and not math.isnan(loss_out):
        loss_out = _loss([(row.loss_out, row.packets_expected_out) for row in reports])
    rating_in = rating(last.rtt_ms, last.jitter_in_ms, loss_in, last.codec)
    rating_out = rating(last.rtt_ms, last.jitter_out_ms, loss_out, last.codec)
    rating_of_both = smaller(rating_in, rating_out)
    return {
        **last.values(),
        "loss_in": loss_in,
        "loss_out": loss_out,
        "mos_in": score(rating_in),
        "mos_out": score(rating_out),
        "mos": score(rating_of_both),
        "r_factor": rating_of_both,
    }


def _loss(parts: Sequence[tuple[float, float]]) -> float:
    """The mean of (loss, packets expected), weighted by the packets; NaN when no loss is known."""
    known = [part for part in parts if not math.isnan(part[0])]
    if not known:
        return NAN
    counts = [expected for _, expected in known if expected > 0]
    average = sum(counts) / len(counts) if counts else 1.0
    weights = [expected if expected > 0 else average for _, expected in known]
    return sum(loss * weight for (loss, _), weight in zip(known, weights, strict=True)) / sum(weights)
