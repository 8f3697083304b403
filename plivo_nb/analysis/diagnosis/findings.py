"""Findings: what a diagnosis found, the worst first."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import pandas as pd

from plivo_nb.analysis.diagnosis.causes import Cause, Direction, words_of
from plivo_nb.palette import BAD_COLOUR, FAIR_COLOUR, POOR_COLOUR

if TYPE_CHECKING:
    from plivo_nb.analysis.diagnosis.loss import LossModel
    from plivo_nb.analysis.diagnosis.series import Span

Severity = Literal["critical", "major", "minor"]
_SHARE = "0..1"
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_CAUSES: tuple[Cause, ...] = get_args(Cause)
_COLOURS = dict(zip(_SEVERITIES, (BAD_COLOUR, POOR_COLOUR, FAIR_COLOUR), strict=True))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a finding rests on.

    Attributes:
        column: of `samples`, `calls` or `media_metrics`, see `plivo_nb.schema`.
        value: in the column's unit.
        unit: the column's unit; ``""`` without one.
        limit: what it is compared with, in the same unit; None without one.
    """

    column: str
    value: float | str
    unit: str = ""
    limit: float | None = None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" (limit {self._shown(self.limit)})"
        return f"{self.column} {self._shown(self.value)}{limit}"

    def _shown(self, value: float | str) -> str:
        """A value with its unit; a share in percent."""
        if isinstance(value, str):
            return value
        return f"{100 * value:.3g} %" if self.unit == _SHARE else f"{value:.4g} {self.unit}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause of bad quality.

    Attributes:
        cause: the cause, such as ``choppy``.
        direction: ``in`` (received), ``out`` (sent), or ``""`` for both or neither.
        severity: ``critical`` (a side could not be heard, or hardly), ``major`` or ``minor``.
        what: what happened, in a sentence.
        since, until: the first and the last moment of it, UTC. ``call.clip(finding)`` is the sound of it.
        seconds: how long of that it lasted.
        evidence: the numbers that it rests on.
        remedy: what helps, in one or two sentences.
        call_uuid: the call; ``""`` where it has no id.
        loss: of ``choppy``: the fitted loss model and the histogram of loss runs; otherwise None.
    """

    cause: Cause
    direction: Direction = ""
    severity: Severity
    what: str
    since: pd.Timestamp
    until: pd.Timestamp
    seconds: float
    evidence: tuple[Evidence, ...]
    remedy: str
    call_uuid: str = ""
    loss: LossModel | None = None

    @classmethod
    def of(
        cls, cause: Cause, direction: Direction, severity: Severity, span: Span, *evidence: Evidence
    ) -> Finding:
        """A finding about rows of `samples`, in the words of its cause."""
        words = words_of(cause, direction)
        return cls(
            cause=cause, direction=direction, severity=severity, what=words.what, since=span.since,
            until=span.until, seconds=span.seconds, evidence=evidence, remedy=words.remedy,
        )  # fmt: skip

    def __str__(self) -> str:
        span = f"{self.since:%H:%M:%S} to {self.until:%H:%M:%S} UTC"
        numbers = "; ".join(map(str, self.evidence))
        return f"{self.severity}: {self.what} ({span}, {self.seconds:.0f} s; {numbers}). {self.remedy}"


class Findings(Sequence[Finding]):
    """The findings of one or more calls, the worst of each call first.

    Args:
        findings: in any order.

    Example:
        >>> Findings([])
        No cause of bad quality found.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        found = list(findings)
        calls = {item.call_uuid: place for place, item in reversed(list(enumerate(found)))}
        self._findings = tuple(sorted(found, key=lambda item: (calls[item.call_uuid], *_rank(item))))

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        if isinstance(index, slice):
            return Findings(self._findings[index])
        return self._findings[index]

    def __len__(self) -> int:
        return len(self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def frame(self) -> pd.DataFrame:
        """A row each finding, in their order: call_uuid, cause, direction, severity, since, until, ...

        Columns since and until are UTC times, seconds is in s, evidence is text.
        """
        columns = (
            "call_uuid", "cause", "direction", "severity", "since", "until", "seconds", "what", "evidence",
            "remedy",
        )  # fmt: skip
        rows = [{name: _cell(getattr(item, name)) for name in columns} for item in self]
        made = pd.DataFrame(rows, columns=list(columns))
        times = {name: pd.to_datetime(made[name], utc=True) for name in ("since", "until")}
        return made.assign(**times)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "No cause of bad quality found."

    def _repr_html_(self) -> str:
        if not self._findings:
            return "<p>No cause of bad quality found.</p>"
        head = "".join(
            f"<th style='text-align:left'>{name}</th>"
            for name in ("severity", "what", "when (UTC)", "evidence", "remedy")
        )
        return f"<table><tr>{head}</tr>{''.join(map(_row, self))}</table>"


def _rank(item: Finding) -> tuple[int, int, float]:
    return _SEVERITIES.index(item.severity), _CAUSES.index(item.cause), -item.seconds


def _cell(value: Any) -> Any:
    return "; ".join(map(str, value)) if isinstance(value, tuple) else value


def _row(item: Finding) -> str:
    when = f"{item.since:%H:%M:%S} to {item.until:%H:%M:%S}, {item.seconds:.0f} s"
    cells = [item.what, when, "; ".join(map(str, item.evidence)), item.remedy]
    texts = "".join(f"<td style='text-align:left'>{html.escape(text)}</td>" for text in cells)
    colour = _COLOURS[item.severity]
    return f"<tr><td style='color:{colour};font-weight:bold'>{item.severity}</td>{texts}</tr>"
