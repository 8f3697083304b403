"""Terminal output of the commands, with rich: progress and results of the demo, findings of the check."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from plivo_nb.cli.outcome import GOOD_CORRELATION
from plivo_nb.quality.limits import verdict

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from plivo_nb.cli.demo import Phase
    from plivo_nb.cli.outcome import Outcome, PhaseStats

_MARKS = {"pass": "[green]pass[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


class Screen:
    """Output of the demo: a line for each step, and one live block during the call.

    Args:
        console: where to write; by default the terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("The call", total=None, visible=False)
        self._live = Live(self._progress, console=self.console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """Print a step."""
        self.console.print(f"[green]•[/] {text}", highlight=False)

    def tick(self, phase: Phase, elapsed_s: float, total_s: float, samples: pd.DataFrame) -> None:
        """Display the elapsed time of the call and its last sample."""
        text = f"network: {phase.name}"
        self._progress.update(self._task, completed=elapsed_s, total=total_s, description=text, visible=True)
        self._live.update(Group(self._progress, _last_sample(samples)))

    def summary(self, outcome: Outcome) -> None:
        """Print the results."""
        self.console.print(_call_table(outcome))
        self.console.print(_phase_table(outcome))
        files = ", ".join(str(path) for path in outcome.files)
        self.console.print(f"Files: {files}", highlight=False, soft_wrap=True)
        coverage = f"sound in {100 * outcome.coverage:.0f} % of the clean part"
        how_well = f"correlation {outcome.correlation:.2f}, {coverage}"
        if outcome.speech_came_back:
            self.console.print(f"[bold green]The speech came back[/]: {how_well}.", highlight=False)
        else:
            limit = f"more than {GOOD_CORRELATION} is required"
            self.console.print(
                f"[bold red]The speech did not come back[/]: {how_well} ({limit}).", highlight=False
            )


def _last_sample(samples: pd.DataFrame) -> Table:
    """The last sample as a table of one row."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("MOS", "round trip", "jitter in", "loss in", "loss out", "level in"):
        table.add_column(heading, justify="right", min_width=10)
    if len(samples) == 0:
        table.add_row(*["-"] * 6)
        return table
    row = samples.iloc[-1]
    table.add_row(
        mos_text(row["mos"]),
        number(row["rtt_ms"], "{:.0f} ms"),
        number(row["jitter_in_ms"], "{:.1f} ms"),
        number(100 * row["loss_in"], "{:.1f} %"),
        number(100 * row["loss_out"], "{:.1f} %"),
        number(row["level_in_dbfs"], "{:.0f} dBFS"),
    )
    return table


def _call_table(outcome: Outcome) -> Table:
    table = Table(title="The call", title_justify="left", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Login", number(1000 * outcome.login_s, "{:.0f} ms"))
    table.add_row("Post-dial delay", number(1000 * outcome.post_dial_delay_s, "{:.0f} ms"))
    table.add_row("Answer to first RTP", number(1000 * outcome.media_setup_s, "{:.0f} ms"))
    table.add_row("Codec", outcome.codec)
    table.add_row("Packets sent / received", f"{outcome.packets_sent} / {outcome.packets_received}")
    return table


def _phase_table(outcome: Outcome) -> Table:
    columns = [*outcome.phases, outcome.whole] if len(outcome.phases) > 1 else [outcome.whole]
    table = Table(title="Statistics by phase", title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(f"{column.name}\n{column.seconds:.0f} s", justify="right")
    for name, cells in _rows(columns):
        table.add_row(name, *cells)
    return table


def _rows(columns: list[PhaseStats]) -> list[tuple[str, list[str]]]:
    return [
        (
            "Sent, dropped by the relay",
            [number(100 * s.relay_loss_out, "{:.1f} %") for s in columns],
        ),
        ("Sent, lost as reported by RTCP", [number(100 * s.loss_out, "{:.1f} %") for s in columns]),
        (
            "Received, dropped by the relay",
            [number(100 * s.relay_loss_in, "{:.1f} %") for s in columns],
        ),
        ("Received, lost as measured", [number(100 * s.loss_in, "{:.1f} %") for s in columns]),
        ("Round trip, median", [number(s.rtt_ms, "{:.0f} ms") for s in columns]),
        ("MOS, lowest", [mos_text(s.mos_min) for s in columns]),
        ("MOS, mean", [mos_text(s.mos_mean) for s in columns]),
    ]


def number(value: float, form: str) -> str:
    """A formatted number, or a dash for NaN."""
    return "-" if math.isnan(value) else form.format(value)


def mos_text(mos: float) -> str:
    """A MOS with its word and colour, as rich markup."""
    if math.isnan(mos):
        return "-"
    found = verdict(mos)
    return f"[{found.terminal_colour}]{mos:.2f} {found.word}[/]"


def checks(console: Console, found: pd.DataFrame) -> None:
    """Print the findings of `preflight.check` as a table."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for _, row in found.iterrows():
        table.add_row(_MARKS[row["result"]], row["what"], escape(row["detail"]))
        if row["remedy"]:
            table.add_row("", "", f"[bold]{escape(row['remedy'])}[/]")
    console.print(table)
