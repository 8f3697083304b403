"""Many calls as one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.analysis.call_frames import CallFrames

if TYPE_CHECKING:
    import pandas as pd


class CallSet:
    """The calls of a file, a folder, a dump of another program, or a client.

    `plivo_nb.read` makes it.

    Args:
        frames: the frames of the calls.

    Attributes:
        calls: one row a call, see `plivo_nb.schema("calls")`.
        samples: one row a call and interval, see `plivo_nb.schema("samples")`.
        media_metrics: one row a mediaMetrics event, see `plivo_nb.schema("media_metrics")`.
        warnings: what could not be read, a sentence each.

    Example:
        >>> CallSet(CallFrames.of())
        <CallSet of 0 calls, 0 samples>
    """

    def __init__(self, frames: CallFrames) -> None:
        self.calls: pd.DataFrame = frames.calls
        self.samples: pd.DataFrame = frames.samples
        self.media_metrics: pd.DataFrame = frames.media_metrics
        self.warnings = frames.warnings
        for frame in (self.calls, self.samples, self.media_metrics):
            frame.attrs["warnings"] = list(frames.warnings)

    @property
    def frames(self) -> CallFrames:
        """The same as plain frames."""
        return CallFrames(self.calls, self.samples, self.media_metrics, self.warnings)

    def __len__(self) -> int:
        return len(self.calls)

    def __repr__(self) -> str:
        return f"<CallSet of {len(self.calls)} calls, {len(self.samples)} samples>"
