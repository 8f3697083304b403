"""What a report says: the figures of a call in words, and the machine that the report was made on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_details import CallDetails, read_details
from plivo_nb.analysis.call_file import PARQUET
from plivo_nb.analysis.diagnosis import diagnose
from plivo_nb.analysis.figures import numbers
from plivo_nb.analysis.ladder import Ladder
from plivo_nb.quality.limits import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plivo_nb.analysis.call_set import CallSet
    from plivo_nb.analysis.clip import CallClip

#: A row of a table: what it is, and its value in words.
Row = tuple[str, str]

_PACKAGES = ("plivo-nb", "aiortc", "av", "numpy", "pandas", "matplotlib", "websockets", "ipykernel")
UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, eq=False)
class ReportedCall:
    """One call of a report.

    Attributes:
        name: the other party, or another name.
        samples: its rows of `client.samples`.
        media_metrics: its rows of `client.media_metrics`.
        facts: its row of `client.calls` by column; empty where it is not known.
        timings: as `Call.timings`, for the set-up; empty where they are not known.
        sip_trace: its rows of `client.sip_trace`; None where it is not known.
        ladder: its SIP messages; None where they are not known.
        configuration: options of the client that made it.
        clip: sound of it; None: none.
        names: names, numbers and hosts of the call, which masking replaces.
    """

    name: str
    samples: pd.DataFrame
    media_metrics: pd.DataFrame
    facts: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    sip_trace: pd.DataFrame | None = None
    ladder: Ladder | None = None
    configuration: tuple[Row, ...] = ()
    clip: CallClip | None = None
    names: tuple[str, ...] = ()

    @property
    def mos(self) -> float:
        """Mean MOS; NaN where it is not known."""
        return _first(self.facts.get("mos_mean"), _mean(self.samples, "mos"))

    @property
    def began(self) -> pd.Timestamp | None:
        """When it began, UTC."""
        time = self.facts.get("time")
        if isinstance(time, pd.Timestamp):
            return time
        if isinstance(time, (int, float)) and np.isfinite(time):
            return pd.Timestamp(time, unit="s", tz="UTC")
        return pd.Timestamp(self.samples.index[0]) if len(self.samples) else None


def reported_calls(calls: CallSet) -> list[ReportedCall]:
    """The calls of a set, the one with the lowest mean MOS first."""
    found = []
    samples, events = _by_call(calls.samples), _by_call(calls.media_metrics)
    for number, (time, row) in enumerate(calls.calls.iterrows()):
        uuid = row["call_uuid"]
        facts = {"time": time, **{str(key): value for key, value in row.items()}}
        details = _details_of(row.get("file"))
        ends = [str(row[key]) for key in ("src", "dest") if isinstance(row.get(key), str) and row[key]]
        peer = row.get("src") if row.get("direction") == "INCOMING" else row.get("dest")
        found.append(
            ReportedCall(
                name=peer if isinstance(peer, str) and peer else f"call {number + 1}",
                samples=samples.get(uuid, calls.samples.iloc[:0]),
                media_metrics=events.get(uuid, calls.media_metrics.iloc[:0]),
                facts=facts,
                timings=details.timings,
                sip_trace=details.sip_trace() if details.messages else None,
                ladder=Ladder(details.messages, details.timings) if details.messages else None,
                names=tuple(ends),
            )
        )
    return sorted(found, key=lambda call: (np.isnan(call.mos), call.mos))


def _details_of(file: Any) -> CallDetails:
    """What the file of a call says of it beside its samples; nothing where it cannot be read any more."""
    if isinstance(file, str) and file.endswith(PARQUET):
        with contextlib.suppress(ValueError, OSError):
            return read_details(Path(file))
    return CallDetails()


def _by_call(frame: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    return dict(iter(frame.groupby(frame["call_uuid"].astype(object), sort=False)))


def summary_of(call: ReportedCall) -> list[Row]:
    """The figures of one call: what is not known is left out."""
    facts, samples = call.facts, call.samples
    mos, lowest = call.mos, _first(facts.get("mos_min"), _least(samples, "mos"))
    rows = [
        ("Call", _words(facts.get("call_uuid"))),
        ("Direction", _words(facts.get("direction")).lower()),
        ("Caller", _words(facts.get("src"))),
        ("Called", _words(facts.get("dest"))),
        ("Began", f"{call.began:%Y-%m-%d %H:%M:%S} UTC" if call.began is not None else ""),
        ("Duration", _duration(_first(facts.get("duration_s"), _total(samples, "interval_s")))),
        ("End", ", ".join(filter(None, (_words(facts.get(key)) for key in ("state", "cause", "reason"))))),
        ("Ended by", _words(facts.get("originator"))),
        ("Codec", _words(facts.get("codec")) or _last_word(samples, "codec")),
        ("MOS", f"{mos:.2f} on average ({verdict(mos).word}), {lowest:.2f} at least" if mos == mos else ""),
        ("Lost, received", _share(_first(facts.get("loss_in"), _loss(samples, "in")))),
        ("Lost, sent", _share(_first(facts.get("loss_out"), _loss(samples, "out")))),
        ("Late or dropped", _packets(_total(samples, "packets_discarded"))),
        ("Recovered by FEC", _packets(_total(samples, "packets_recovered"))),
        ("Jitter, received", _spread(samples, "jitter_in_ms")),
        ("Jitter, sent", _spread(samples, "jitter_out_ms")),
        ("Round trip", _spread(samples, "rtt_ms")),
        ("Jitter buffer", _spread(samples, "playout_delay_ms")),
        ("Kernel's greatest lag", _milliseconds(_greatest(samples, "loop_lag_ms"))),
        ("To ringing", _milliseconds(_first(facts.get("post_dial_delay_ms")))),
        ("From answer to first sound", _milliseconds(_first(facts.get("media_setup_ms")))),
        ("Rating", _rating(facts)),
    ]
    return [(name, words) for name, words in rows if words]


def overview_of(call: ReportedCall) -> dict[str, str]:
    """The figures of one call as cells of a table of calls, by column."""
    mos, lowest = call.mos, _least(call.samples, "mos")
    cells = {
        "Call": call.name,
        "Began (UTC)": f"{call.began:%Y-%m-%d %H:%M:%S}" if call.began is not None else "",
        "Duration": _duration(_first(call.facts.get("duration_s"), _total(call.samples, "interval_s"))),
        "MOS, mean": f"{mos:.2f} ({verdict(mos).word})" if mos == mos else "",
        "MOS, lowest": f"{lowest:.2f}" if lowest == lowest else "",
        "Lost, received": _share(_first(call.facts.get("loss_in"), _loss(call.samples, "in"))),
        "Lost, sent": _share(_first(call.facts.get("loss_out"), _loss(call.samples, "out"))),
        "Round trip": _milliseconds(_mean(call.samples, "rtt_ms")),
    }
    return {name: words or UNKNOWN for name, words in cells.items()}


def findings_of(call: ReportedCall) -> list[dict[str, str]]:
    """The causes of bad quality in the call as cells of a table, by column, the worst first."""
    calls = None
    if call.facts and call.began is not None:
        row = {name: value for name, value in call.facts.items() if name != "time"}
        calls = pd.DataFrame([row], index=pd.DatetimeIndex([call.began]))
    return [
        {
            "Severity": finding.severity,
            "What": finding.what,
            "When (UTC)": f"{finding.since:%H:%M:%S} to {finding.until:%H:%M:%S}, {finding.seconds:.0f} s",
            "Evidence": "; ".join(map(str, finding.evidence)),
            "What helps": finding.remedy,
        }
        for finding in diagnose(call.samples, calls=calls, media_metrics=call.media_metrics)
    ]


def warnings_of(call: ReportedCall) -> list[dict[str, str]]:
    """Its mediaMetrics events as cells of a table, by column."""
    began = call.began
    rows = []
    for time, event in call.media_metrics.iterrows():
        since = (pd.Timestamp(str(time)) - began).total_seconds() if began is not None else float("nan")
        value = event.get("value")
        rows.append(
            {
                "Time (UTC)": f"{pd.Timestamp(str(time)):%H:%M:%S}",
                "Into the call": f"{since:.0f} s",
                "Warning": _words(event.get("type")),
                "Stream": {"local": "sent", "remote": "received"}.get(str(event.get("stream")), ""),
                "Value": f"{value:.3g}" if isinstance(value, (int, float)) else _words(value),
                "State": "raised" if event.get("active") else "cleared",
            }
        )
    return rows


def environment() -> list[Row]:
    """Python, the operating system and the versions of packages; nothing that names the machine."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:  # a clone that is not installed
            continue
    system = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"
    return [("Python", platform.python_version()), ("System", system), *versions]


# ---------------------------------------------------------------- numbers in words


def _first(*values: Any) -> float:
    """The first number that is known; else NaN."""
    known = (
        float(value) for value in values if isinstance(value, (int, float, np.number)) and value == value
    )
    return next(known, float("nan"))


def _finite(samples: pd.DataFrame, name: str) -> Any:
    values = numbers(samples, name)
    return values[np.isfinite(values)]


def _mean(samples: pd.DataFrame, name: str) -> float:
    values = _finite(samples, name)
    return float(values.mean()) if len(values) else float("nan")


def _least(samples: pd.DataFrame, name: str) -> float:
    return (
        float(np.min(_finite(samples, name), initial=np.inf)) if len(_finite(samples, name)) else float("nan")
    )


def _greatest(samples: pd.DataFrame, name: str) -> float:
    return -_least(pd.DataFrame({name: -numbers(samples, name)}), name)


def _total(samples: pd.DataFrame, name: str) -> float:
    values = _finite(samples, name)
    return float(values.sum()) if len(values) else float("nan")


def _loss(samples: pd.DataFrame, direction: str) -> float:
    """The share of the packets of the whole call: each second counts by its packets."""
    shares = numbers(samples, f"loss_{direction}")
    expected = numbers(samples, f"packets_expected_{direction}")
    known = np.isfinite(shares) & np.isfinite(expected) & (expected > 0)
    if known.any():
        return float(np.average(shares[known], weights=expected[known]))
    return _mean(samples, f"loss_{direction}")


def _words(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _last_word(samples: pd.DataFrame, name: str) -> str:
    known: list[Any] = list(samples[name].dropna()) if name in samples else []
    return str(known[-1]) if known else ""


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value == value else ""


def _packets(value: float) -> str:
    return f"{value:,.0f} packets" if value == value else ""


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value == value else ""


def _spread(samples: pd.DataFrame, name: str) -> str:
    values = _finite(samples, name)
    if not len(values):
        return ""
    return f"{values.mean():.1f} ms on average, 95 % below {np.percentile(values, 95):.1f} ms"


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _rating(facts: Mapping[str, Any]) -> str:
    score = _first(facts.get("feedback_score"))
    return f"{score:.0f} of 5" if score == score else ""


def known_names(values: Iterable[Any]) -> tuple[str, ...]:
    """Those of the values that are words, each once."""
    return tuple(dict.fromkeys(str(value) for value in values if isinstance(value, str) and value.strip()))
