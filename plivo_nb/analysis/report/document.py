"""The report: one HTML file with everything in it, from template.html."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from plivo_nb._version import __version__
from plivo_nb.analysis import plots, set_up
from plivo_nb.analysis.report import content
from plivo_nb.analysis.report.masking import Masking
from plivo_nb.analysis.report.svg import colour_properties, inline_svg
from plivo_nb.atomic_file import replaced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from plivo_nb.analysis.report.cohort import Cohort
    from plivo_nb.analysis.report.content import ReportedCall

#: Details of calls, the worst first, are added until the file has so many bytes.
LIMIT_BYTES = 1_600_000
_LADDER = "Ladder diagram of the SIP messages of the call, over time."
#: Calls in the table of all at most.
LISTED = 500
_LONG = 400  # samples; the plot of a longer call has a row for each so many seconds


@dataclass(frozen=True, slots=True)
class _Details:
    """One call as the template shows it; findings and warnings are rows of a table by column."""

    name: str
    summary: list[content.Row]
    findings: list[dict[str, str]]
    warnings: list[dict[str, str]]
    plot: Markup | None
    set_up: Markup | None
    ladder: Markup | None
    waveform: Markup | None
    player: Markup | None
    described: str


def write(
    path: str | os.PathLike[str],
    calls: Sequence[ReportedCall],
    *,
    mask: bool = True,
    cohort: Cohort | None = None,
    count: int | None = None,
) -> None:
    """Write the report of calls to an HTML file; an existing one is replaced when the new one is complete.

    Args:
        path: the file.
        calls: at least one; in the report they stand in this order.
        mask: replace numbers, addresses and names by pseudonyms.
        cohort: what there is to say of all calls together; None: nothing.
        count: how many calls there are, if those given are only the worst ones.

    Raises:
        ValueError: there are no calls.
        OSError: the file cannot be written.
    """
    text = render(calls, mask=mask, cohort=cohort, count=count)
    with replaced(os.fspath(path)) as new:
        _write(new, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def render(
    calls: Sequence[ReportedCall],
    *,
    mask: bool = True,
    cohort: Cohort | None = None,
    count: int | None = None,
) -> str:
    """The report of calls as HTML, of less than 2 MB; see `write`.

    Raises:
        ValueError: there are no calls.
    """
    if not calls:
        raise ValueError("There are no calls to report on.")
    count = len(calls) if count is None else count
    names = sorted({name for call in calls for name in call.names})
    masking = Masking(names, enabled=mask)
    details: list[_Details] = []
    size = 0
    for number, call in enumerate(calls):
        made = _details(call, f"c{number}", masking)
        size += sum(
            len(part) for part in (made.plot, made.set_up, made.ladder, made.waveform, made.player) if part
        )
        if size > LIMIT_BYTES and details:
            break
        details.append(made)
    template = _environment(masking).from_string(_template())
    return template.render(
        title=f"Call with {calls[0].name}" if count == 1 else f"{count:,} calls",
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        masked=mask,
        cohort=cohort,
        distributions=None
        if cohort is None
        else inline_svg(cohort.figure, "d", cohort.figure_about, masking),
        overview=[content.overview_of(call) for call in calls[:LISTED]] if count > 1 else [],
        calls=details,
        left_out=count - len(details),
        not_listed=max(0, count - min(len(calls), LISTED)),
        configuration=calls[0].configuration if count == 1 else (),
        environment=content.environment(),
        light=colour_properties(),
        dark=colour_properties(dark=True),
    )


def _template() -> str:
    return resources.files("plivo_nb.analysis.report").joinpath("template.html").read_text("utf-8")


def _environment(masking: Masking) -> jinja2.Environment:
    """Texts are masked and escaped; `Markup`, which is made here, stays as it is."""

    def masked(value: Any) -> Any:
        return value if isinstance(value, Markup) else masking(str(value))

    return jinja2.Environment(
        autoescape=True,
        finalize=masked,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _details(call: ReportedCall, key: str, masking: Masking) -> _Details:
    clip = call.clip
    return _Details(
        name=call.name,
        summary=content.summary_of(call),
        findings=content.findings_of(call),
        warnings=content.warnings_of(call),
        plot=_plot(call, key, masking),
        set_up=_set_up(call, key, masking),
        ladder=None if call.ladder is None else inline_svg(call.ladder.figure(), f"{key}l", _LADDER, masking),
        waveform=None
        if clip is None
        else inline_svg(clip.figure(), f"{key}w", f"Waveform: {clip.describe()}."),
        player=None if clip is None else Markup(clip.player_html()),
        described="" if clip is None else clip.describe(),
    )


def _plot(call: ReportedCall, key: str, masking: Masking) -> Markup | None:
    if not len(call.samples):
        return None
    figure = plots.call_figure(
        thinned(call.samples),
        media_metrics=call.media_metrics,
        sip_trace=call.sip_trace,
        title="Second by second",
    )
    title = "MOS, lost packets, jitter, delay, events and the kernel's lag over the time of the call."
    return inline_svg(figure, f"{key}p", title, masking)


def _set_up(call: ReportedCall, key: str, masking: Masking) -> Markup | None:
    steps: Any = call.timings or None
    if steps is None:
        known = [call.facts.get(name) for name in ("post_dial_delay_ms", "answer_delay_ms", "media_setup_ms")]
        if not any(isinstance(value, float) and value == value for value in known):
            return None
        steps = _frame_of(call)
    if not any(row.steps for row in set_up.rows_of(steps)):
        return None
    figure = plots.setup_timeline(steps, title="Set-up")
    return inline_svg(
        figure, f"{key}s", "The steps of the set-up of the call and how long each took.", masking
    )


def _frame_of(call: ReportedCall) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([dict(call.facts)])


def thinned(samples: pd.DataFrame, rows: int = _LONG) -> pd.DataFrame:
    """Samples of one call with at most so many rows: of equal runs of rows, the one with the lowest MOS.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"mos": [4.4, 1.0, 4.4, 4.3]})
        >>> thinned(frame, rows=2)["mos"].tolist()
        [1.0, 4.3]
    """
    if len(samples) <= rows:
        return samples
    run = -(-len(samples) // rows)
    kept = []
    mos = samples["mos"].fillna(9.0).to_numpy()
    for start in range(0, len(samples), run):
        kept.append(start + int(mos[start : start + run].argmin()))
    return samples.iloc[kept]
