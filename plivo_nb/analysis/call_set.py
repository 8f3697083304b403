"""Many calls as one object: what analyses begin with."""

from __future__ import annotations

import functools
import html
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pandas as pd

from plivo_nb.analysis.call_details import CallDetails, read_details
from plivo_nb.analysis.call_file import PARQUET
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_summary import FIGURES, summarized
from plivo_nb.analysis.cohorts import cohort_table, warning_table
from plivo_nb.analysis.partitions import is_dask, of_partitions
from plivo_nb.quality.frames import CALLS

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plivo_nb.analysis.clip import CallClip, Moment
    from plivo_nb.analysis.comparison import Comparison
    from plivo_nb.analysis.diagnosis import Findings
    from plivo_nb.analysis.figures import CallFigure
    from plivo_nb.analysis.ladder import Ladder
    from plivo_nb.quality.rules import AnyRule

_ID = "call_uuid"
_COMPARED = ("mos", "loss_in", "jitter_in_ms", "rtt_ms")
_SHOWN = (
    "dest", "state", "cause", "duration_s", "codec", "mos_mean", "mos_min", "loss_in", "jitter_in_p95_ms",
    "rtt_p95_ms", "warnings",
)  # fmt: skip
_SHOWN_ROWS = 10
_MOST_DRAWN = 50  # calls that a plot takes out of a set in Dask
_MOST_LISTED = 100  # calls that a report does
_OF_FILES = ("file", "sound_began")


@runtime_checkable
class Source(Protocol):
    """What has calls: a `plivo_nb.Client`, a `plivo_nb.Call`, a `CallSet`."""

    def call_frames(self) -> CallFrames:
        """Its calls as they are now."""


class CallSet:
    """The calls of a file, a folder, a dump of another program, or a client.

    `plivo_nb.read` makes it, and `CallSet.of`. It does not change: what selects calls gives a new one.

    With ``plivo_nb.read(path, engine="dask")`` samples is a frame of Dask, which is read partition by
    partition whenever something is worked out of it. The calls and what is worked out are pandas all the
    same, and the numbers are equal: a call is never split, and percentiles over calls are taken from the
    table of calls.

    Args:
        frames: the frames of the calls.

    Attributes:
        calls: one row a call in the order of their beginnings: the columns of `plivo_nb.schema("calls")`, of
            which those that are missing are worked out from the samples; behind them samples (how many),
            mos_p50, mos_g107_mean, mos_g107_min, loss_in_max, loss_in_p95, jitter_in_max_ms, rtt_max_ms,
            concealed_s and loop_lag_max_ms, of the samples that the set has; behind those the tags. For
            recorded calls file is the path of the call's file, sound that of its recording, and sound_began
            the recording's beginning (UTC).
        samples: one row a call and interval, see `plivo_nb.schema("samples")`.
        media_metrics: one row a mediaMetrics event, see `plivo_nb.schema("media_metrics")`.
        warnings: what could not be read, a sentence each; they are in the `attrs` of the frames too.

    Example:
        >>> import pandas as pd
        >>> index = pd.date_range("2026-11-25", periods=4, freq="s", tz="UTC")
        >>> samples = pd.DataFrame({"call_uuid": ["a", "a", "b", "b"], "mos": [4.4, 4.2, 3.0, 2.8]}, index)
        >>> calls = CallSet.of(samples)
        >>> calls
        <CallSet of 2 calls, 4 samples>
        >>> calls.worst(1)[["call_uuid", "mos_mean"]].to_numpy().tolist()
        [['b', 2.9]]
        >>> calls.query("mos_mean > 4").samples["mos"].tolist()
        [4.4, 4.2]
    """

    def __init__(self, frames: CallFrames) -> None:
        self._known = frames.calls
        self.samples: pd.DataFrame = frames.samples
        self.media_metrics: pd.DataFrame = frames.media_metrics
        self.warnings = frames.warnings
        self.media_metrics.attrs["warnings"] = list(frames.warnings)
        if not is_dask(self.samples):
            self.samples.attrs["warnings"] = list(frames.warnings)
            self.calls  # noqa: B018  # here and now; in Dask a look at all samples waits until it is needed

    @functools.cached_property
    def calls(self) -> pd.DataFrame:
        """One row a call, see above."""
        calls = summarized(self._known, self.samples, self.media_metrics)
        calls.attrs["warnings"] = list(self.warnings)
        return calls

    @classmethod
    def of(cls, *sources: Source | CallFrames | pd.DataFrame) -> CallSet:
        """The calls of these as they are now, in one set.

        Args:
            sources: clients and calls, also while they go on; sets; frames of samples such as
                `client.samples`, also of Dask, where all samples of a call are in one partition.

        Raises:
            TypeError: a source is none of these.
        """
        return cls(CallFrames.joined([_frames_of(source) for source in sources]))

    def call_frames(self) -> CallFrames:
        """The same as plain frames."""
        return CallFrames(self.calls, self.samples, self.media_metrics, self.warnings)

    def compute(self) -> CallSet:
        """The same set with its samples in memory, in pandas."""
        if not is_dask(self.samples):
            return self
        found = [part for part in of_partitions(_itself, self.samples) if len(part)]
        parts = [CallFrames.of(samples=part) for part in found]
        samples = CallFrames.joined(parts).samples
        return self._with(self.calls, samples, self.media_metrics)

    def _with(self, calls: pd.DataFrame, samples: pd.DataFrame, events: pd.DataFrame) -> CallSet:
        """A set with these rows of the calls, and all samples of each: their figures are known."""
        made = CallSet.__new__(CallSet)
        known = {name for name in calls if name in _OWN_COLUMNS}
        tags = [name for name in calls if name not in known]
        made.__dict__["calls"] = calls[[*(name for name in _OWN_COLUMNS if name in known), *tags]].copy()
        made._known, made.samples, made.media_metrics = made.calls, samples, events
        made.warnings = self.warnings
        for frame in (made.calls, made.samples, made.media_metrics):
            if not is_dask(frame):
                frame.attrs["warnings"] = list(self.warnings)
        return made

    def diagnose(self) -> Findings:
        """Name the causes of bad quality in these calls; see `plivo_nb.analysis.diagnose`.

        Returns:
            The findings of all calls, the worst of each call first.
        """
        from plivo_nb.analysis.diagnosis import diagnose

        return diagnose(self.samples, calls=self.calls, media_metrics=self.media_metrics)

    # ------------------------------------------------------------ selection

    def query(self, expression: str) -> CallSet:
        """The calls for which an expression over the columns of `calls` holds, by pandas' rules.

        Args:
            expression: such as ``"mos_min < 3 and label == 'wifi'"``.

        Raises:
            ValueError: the expression is wrong, or names a column that is not there.
        """
        return self._chosen(queried(self.calls, expression))

    def __getitem__(self, which: int | str | slice) -> CallSet:
        """The call at a place in `calls`, or with an id; or those of a slice."""
        if isinstance(which, str):
            found = self.calls[self.calls[_ID] == which]
            if not len(found):
                raise KeyError(f"There is no call {which!r}; the ids are in the column call_uuid of calls.")
            return self._chosen(found)
        if isinstance(which, slice):
            return self._chosen(self.calls.iloc[which])
        return self._chosen(self.calls.iloc[[which]])

    def __iter__(self) -> Iterator[CallSet]:
        """Each call as a set of its own."""
        return (self[number] for number in range(len(self)))

    def __len__(self) -> int:
        return len(self.calls)

    def __add__(self, other: CallSet) -> CallSet:
        return CallSet.of(self, other)

    def _chosen(self, calls: pd.DataFrame) -> CallSet:
        ids = list(calls[_ID].dropna())
        samples = self.samples[self.samples[_ID].isin(ids)]
        events = self.media_metrics[self.media_metrics[_ID].isin(ids)]
        if is_dask(samples):
            return self._with(calls, samples, events)
        return CallSet(CallFrames.of(calls, samples, events, self.warnings))

    def tagged(self, **tags: Any) -> CallSet:
        """The same calls with more tags, or others, as columns of `calls`.

        Args:
            tags: by name: a value for all calls; a mapping from call ids, where the others get none; a list
                or series with one value a call.

        Raises:
            ValueError: a list of another length; or a name that is a column of measurements.
        """
        calls = self.calls.copy()
        for name, value in tags.items():
            if name in _OWN_COLUMNS:
                raise ValueError(f"{name!r} is a column of calls already; choose another name for the tag.")
            if isinstance(value, Mapping):
                calls[name] = [value.get(call_id) for call_id in calls[_ID]]
            elif isinstance(value, Sequence) and not isinstance(value, str):
                calls[name] = list(value)
            else:
                calls[name] = value.to_numpy() if isinstance(value, pd.Series) else value
        return self._with(calls, self.samples, self.media_metrics)

    # ------------------------------------------------------------ analyses

    def worst(self, count: int = 5, by: str = "mos_mean") -> pd.DataFrame:
        """The rows of the worst calls, the worst first.

        Args:
            count: how many at most.
            by: a column of `calls`: of scores the lowest are the worst, of all others the highest.

        Raises:
            ValueError: there is no such column.
        """
        if by not in self.calls:
            raise ValueError(f"There is no column {by!r}; calls has {', '.join(self.calls.columns)}.")
        rising = by.startswith(("mos", "feedback_score", "samples", "packets"))
        return self.calls.sort_values(by, ascending=rising, na_position="last", kind="stable").head(count)

    def cohorts(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Compare groups of calls by their figures, a row a group.

        Args:
            by: a column of `calls`, or several: ``"codec"``, a tag such as ``"label"`` or ``"network"``.
                Calls without a value are in a group ``(not known)``. None given: all calls are one group.

        Returns:
            A row a group: calls; failed (state failed, rejected or lost) and failed_share (0..1); duration_s
            (in all); the percentiles of the calls' mean scores mos_p5, mos_p50, mos_p95, and of their lowest
            ones mos_min_p5; loss_in_mean, loss_in_p95, loss_out_mean (0..1); jitter_in_p50_ms,
            jitter_in_p95_ms, rtt_p50_ms, rtt_p95_ms of the calls' means; warned (calls with a warning) and
            warnings (in all). Exact; each call counts once, however long it was.

        Raises:
            ValueError: there is no such column.

        Example:
            >>> import pandas as pd
            >>> index = pd.date_range("2026-11-25", periods=4, freq="s", tz="UTC")
            >>> samples = pd.DataFrame({"call_uuid": list("aabb"), "mos": [4.4, 4.2, 3.0, 2.8]}, index)
            >>> calls = CallSet.of(samples).tagged(network=["lan", "wifi"])
            >>> calls.cohorts("network")["mos_p50"].round(2).to_dict()
            {'lan': 4.3, 'wifi': 2.9}
        """
        return cohort_table(self.calls, [by] if isinstance(by, str) else list(by))

    def warning_counts(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Which mediaMetrics warnings were raised, and in how many calls.

        Args:
            by: columns of `calls` whose values make groups, as for `cohorts`.

        Returns:
            A row a group, type and desc: calls (that had it), share (of the group's calls, 0..1) and events
            (how often it was raised).

        Raises:
            ValueError: there is no such column.
        """
        return warning_table(self.calls, self.media_metrics, [by] if isinstance(by, str) else list(by))

    def replay(self, rules: str | Sequence[AnyRule] = "v2.1") -> CallSet:
        """The same calls with the mediaMetrics events that rules give for their samples.

        Args:
            rules: as for `plivo_nb.analysis.replay`.

        Returns:
            A set whose media_metrics and column warnings are those of the rules.

        Raises:
            ValueError: there is no such preset.

        Example:
            >>> import pandas as pd
            >>> index = pd.date_range("2026-11-25", periods=6, freq="s", tz="UTC")
            >>> samples = pd.DataFrame({"call_uuid": "a", "interval_s": 1.0, "jitter_in_ms": 80.0}, index)
            >>> CallSet.of(samples).replay("v2.1").warning_counts()["events"].to_dict()
            {('high_jitter', 'jitterRemoteMeasures'): 1}
        """
        from plivo_nb.analysis.rule_replay import replay

        events = replay(self.samples, rules)
        raised = events.loc[events["active"], _ID].astype("str").value_counts()
        warned = self.calls[_ID].map(raised).fillna(0.0).astype("float64")
        return self._with(self.calls.assign(warnings=warned), self.samples, events)

    def compare(
        self, by: str = "label", columns: Sequence[str] = _COMPARED, *, baseline: Hashable = None
    ) -> Comparison:
        """Compare groups of calls: a table with differences, effect sizes and intervals, and a figure.

        Args:
            by: the column of `calls` that names the group of each call, such as a tag.
            columns: columns of samples with numbers.
            baseline: the group that the others are compared with; by default that of the first call.

        Returns:
            The comparison, with `.table`, `.worst()` and `.plot()`.

        Raises:
            ValueError: there is no such column, or fewer than two groups.

        Example:
            >>> import pandas as pd
            >>> index = pd.date_range("2026-11-25", periods=8, freq="s", tz="UTC")
            >>> scores = [4.4, 4.4, 4.2, 4.2, 3.0, 3.0, 2.8, 2.8]
            >>> samples = pd.DataFrame({"call_uuid": list("aabbccdd"), "mos": scores}, index)
            >>> calls = CallSet.of(samples).tagged(label=["lan", "lan", "wifi", "wifi"])
            >>> comparison = calls.compare(by="label", columns=["mos"])
            >>> float(comparison.table.loc[("mos", "wifi"), "difference"].round(3))
            -1.4
        """
        from plivo_nb.analysis.comparison import Comparison  # late: it imports matplotlib

        if by not in self.calls:
            raise ValueError(
                f"There is no column {by!r}; tagged({by}=...) makes it, and calls has "
                f"{', '.join(self.calls.columns)}."
            )
        named = self.calls[self.calls[by].notna()]
        names = list(dict.fromkeys(named[by]))
        if baseline is not None:
            if baseline not in names:
                raise ValueError(f"No call has {by} {baseline!r}; there are {', '.join(map(str, names))}.")
            names.sort(key=lambda name: name != baseline)
        groups = {
            str(name): self.samples[self.samples[_ID].isin(list(named.loc[named[by] == name, _ID]))]
            for name in names
        }
        return Comparison(groups, columns, by=by, calls=named)

    def plot(self, *, ax: Axes | None = None) -> CallFigure | Figure:
        """Plot the calls over time: MOS, packets, jitter, delay, mediaMetrics, the kernel's lag.

        Args:
            ax: matplotlib axes to draw in the place of; by default a new figure.

        Returns:
            The figure; see `plivo_nb.analysis.plots.call_figure`.

        Raises:
            ValueError: the samples are in Dask, and there are more than 50 calls.
        """
        from plivo_nb.analysis.plots import call_figure  # late: it imports matplotlib

        if is_dask(self.samples):
            return self._few("plot").plot(ax=ax)
        title = f"The call with {self.calls['dest'].iloc[0]}" if len(self) == 1 else ""
        if len(self) == 1 and pd.isna(self.calls["dest"].iloc[0]):
            title = ""
        return call_figure(self.samples, media_metrics=self.media_metrics, title=title, ax=ax)

    def _few(self, what: str) -> CallSet:
        if len(self) > _MOST_DRAWN:
            raise ValueError(
                f"{what}: the set has {len(self)} calls, more than the {_MOST_DRAWN} that it takes from "
                f"Dask; choose some, such as calls.query('mos_mean < 3')[:{_MOST_DRAWN}]; or use compute(), "
                "which reads all samples into memory."
            )
        return self.compute()

    @property
    def packet_fates(self) -> pd.DataFrame:
        """Packets of stored calls that were not simply played, as `Call.packet_fates`.

        They are in the file of a call since its end.

        Raises:
            ValueError, OSError: the file of a call cannot be read.
        """
        parts = [details.packet_fates(uuid) for uuid, details in self._details()]
        return pd.concat(parts) if parts else CallDetails().packet_fates(None)

    @property
    def sip_trace(self) -> pd.DataFrame:
        """The SIP messages of stored calls, credentials masked, as `Call.sip_trace`.

        They are in the file of a call since its end.

        Raises:
            ValueError, OSError: the file of a call cannot be read.
        """
        parts = [details.sip_trace() for _, details in self._details()]
        return pd.concat(parts) if parts else CallDetails().sip_trace()

    def ladder(self) -> Ladder:
        """The SIP messages of the stored calls as a ladder diagram, as `Call.ladder`.

        Raises:
            ValueError, OSError: the file of a call cannot be read.
        """
        from plivo_nb.analysis.ladder import Ladder  # late: it imports matplotlib

        details = [item for _, item in self._details()]
        timings = details[0].timings if len(details) == 1 else None
        return Ladder([message for item in details for message in item.messages], timings)

    def _details(self) -> list[tuple[str, CallDetails]]:
        """The call_uuid, packets and messages of each call whose file is known."""
        files = self.calls.get("file", pd.Series(dtype=object))
        return [
            (str(uuid), read_details(Path(file)))
            for uuid, file in zip(self.calls[_ID], files, strict=False)
            if isinstance(file, str) and file.endswith(PARQUET)
        ]

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        mask: bool = True,
        sound: bool = False,
        by: Sequence[str] | None = None,
    ) -> None:
        """Write a report of the calls to one HTML file.

        Of several calls it has the distributions of their figures, tables of groups, the warnings that were
        raised, the table of calls with the worst first (500 at most; 100 of a set in Dask), and the details
        of the worst ones, to which the table has links. Where no mediaMetrics events are stored the
        documented rules are replayed.

        Args:
            path: the file; an existing one is replaced.
            mask: replace numbers, addresses and names by pseudonyms.
            sound: add the recording, of a set of one call.
            by: columns of `calls` whose values make groups; None: label, network, region and codec, those in
                which the calls differ.

        Raises:
            ValueError: there are no calls, or no such column; or sound is wanted, and there are several, or
                no recording.
            OSError: the file cannot be written.
        """
        from plivo_nb.analysis.report import cohort, content, document  # late: they import matplotlib

        most = _MOST_LISTED if is_dask(self.samples) else document.LISTED
        listed = self if len(self) <= most and not is_dask(self.samples) else self._worst(most)
        calls = content.reported_calls(listed)
        if sound:
            clip = self.clip()  # refuses several calls
            calls = [replace(call, clip=clip) for call in calls]
        together = cohort.cohort_of(self, by) if len(self) > 1 else None
        document.write(path, calls, mask=mask, cohort=together, count=len(self))

    def _worst(self, count: int) -> CallSet:
        """The worst calls, with their samples in memory."""
        return self._chosen(self.worst(count)).compute()

    def clip(self, t0: Moment = None, t1: Moment = None, *, sent: bool = False) -> CallClip:
        """A piece of the recording of the only call of this set, by time; a notebook shows a player.

        Args:
            t0: seconds from the beginning of the recording (negative: from its end), or a UTC time, rows of
                samples, or a finding, as for `Call.clip`. None: the whole recording.
            t1: seconds or a UTC time, as for `Call.clip`.
            sent: the sound sent instead of the sound received.

        Returns:
            The clip, with what became of its packets marked, which is stored since the call's end.

        Raises:
            ValueError: the set has more than one call or none, or the call has no recording of that time.
            OSError: the recording cannot be read.
            TypeError: these are no times.
        """
        from plivo_nb.analysis.clip import recorded_clip, span_of  # late: it imports matplotlib

        if len(self) != 1:
            raise ValueError(
                f"clip: the set has {len(self)} calls; choose one of them, such as calls[0].clip()."
            )
        row = self.calls.iloc[0]
        if not isinstance(row.get("sound"), str):
            raise ValueError(
                "clip: no sound is stored of this call; client.record_to(folder, sound=True) records it."
            )
        fates = None if sent else self.packet_fates
        return recorded_clip(row["sound"], row["sound_began"], span_of(t0, t1), fates, sent=sent)

    # ------------------------------------------------------------ display

    def __repr__(self) -> str:
        calls = "1 call" if len(self) == 1 else f"{len(self)} calls"
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        if is_dask(self.samples):
            parts = self.samples.npartitions
            return f"<CallSet of {calls}, samples in {parts} partitions of Dask{warned}>"
        return f"<CallSet of {calls}, {len(self.samples)} samples{warned}>"

    def _repr_html_(self) -> str:
        rows = self.worst(_SHOWN_ROWS)
        tags = [name for name in self.calls if name not in _OWN_COLUMNS and name not in _OF_FILES]
        shown = rows[[name for name in (*_SHOWN, *tags) if rows[name].notna().any()]]
        caption = html.escape(repr(self)[1:-1])
        if len(self) > 1:
            caption += ", the worst first"
        if len(self) > _SHOWN_ROWS:
            caption += f" ({_SHOWN_ROWS} of {len(self)})"
        notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.warnings[:_SHOWN_ROWS])
        return f"<p>{caption}</p>{shown.to_html(float_format='{:.3g}'.format, na_rep='')}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


_OWN_COLUMNS = (*(column.name for column in CALLS), *(column.name for column in FIGURES))


def _itself(samples: pd.DataFrame) -> pd.DataFrame:
    return samples


def _frames_of(source: Source | CallFrames | pd.DataFrame) -> CallFrames:
    if isinstance(source, CallFrames):
        return source
    if isinstance(source, pd.DataFrame) or is_dask(source):
        frame: Any = source
        return CallFrames.of(calls_of(frame), frame)
    if isinstance(source, Source):
        return source.call_frames()
    raise TypeError(
        f"CallSet.of takes clients, calls, sets and frames of samples, not {type(source).__name__}; for a "
        "path use plivo_nb.read."
    )


def queried(calls: pd.DataFrame, query: str) -> pd.DataFrame:
    """The rows for which an expression holds, by pandas' rules.

    Raises:
        ValueError: the expression is wrong, or names a column that is not there.
    """
    try:
        return calls.query(query)
    except Exception as error:  # of pandas' parser, of Python's, of the comparison
        raise ValueError(
            f"The query {query!r} cannot be evaluated ({error}); its names are: {', '.join(calls.columns)}."
        ) from None


def calls_of(samples: pd.DataFrame) -> pd.DataFrame:
    """A row for each call of the samples, with nothing but its id and when it begins."""
    parts: list[pd.DataFrame] = of_partitions(_beginnings, samples, columns=[_ID])
    return pd.concat(parts).sort_index(kind="stable")


def _beginnings(samples: pd.DataFrame) -> pd.DataFrame:
    firsts = samples[~samples[_ID].duplicated() & samples[_ID].notna()]
    return pd.DataFrame({_ID: firsts[_ID].astype("str")}, index=firsts.index)
