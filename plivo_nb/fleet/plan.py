"""The plan of a campaign: a frame with a row a call, checked."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from plivo_nb.codec_table import CODECS
from plivo_nb.engine.validation import target_problem, valid_headers
from plivo_nb.lab.network.knobs import KNOBS
from plivo_nb.lab.network.scenarios import read_scenario

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable

#: What a call sends that has no file: see `PlannedCall.source`.
SOURCES = ("speech", "tone", "silence")
#: Columns with this prefix are tags of the call.
TAG = "tag_"
MOST_CALLS = 1_000_000
_LONGEST_S = 86_400.0
_SHOWN_PROBLEMS = 10
_ACCOUNT = re.compile(r"[A-Za-z0-9._+-]{1,256}")


@dataclass(frozen=True, slots=True)
class PlanColumn:
    """A column of plans.

    Attributes:
        name: of the column.
        meaning: what a value says, with its unit.
        required: whether each plan has it, and a value in each row.
    """

    name: str
    meaning: str
    required: bool = False


COLUMNS: tuple[PlanColumn, ...] = (
    PlanColumn("at_s", "When the call begins, in seconds from the start of the campaign", required=True),
    PlanColumn("account", "The account that calls; it has one call at a time", required=True),
    PlanColumn("destination", "The number or user that is called", required=True),
    PlanColumn("duration_s", "How long it goes on after the answer, in seconds", required=True),
    PlanColumn("source", "What it sends: speech, tone, silence, or the path of an audio file"),
    PlanColumn("codec", "OPUS, PCMU or PCMA; of an account always the same"),
    PlanColumn("scenario", "A scenario of the lab's network, from the call's beginning on"),
    PlanColumn("headers", "X-PH headers: a mapping, or text such as X-PH-Leg=2; X-PH-Run=7"),
    PlanColumn("label", "A word for the group of the call, such as wifi"),
)
_NAMES = tuple(column.name for column in COLUMNS)


class PlanError(ValueError):
    """A plan is wrong; the message names rows and columns."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One row of a plan, checked.

    Attributes:
        number: its place in the plan, from 0.
        at_s: when it begins, in seconds from the start of the campaign.
        account: the account that calls.
        destination: the number or user that is called.
        duration_s: how long it goes on after the answer, in seconds.
        source: speech, tone, silence, or the path of an audio file.
        codec: the only codec that is offered; None: those of the client.
        scenario: the name or CSV file of a scenario of the lab's network; None: none.
        knobs: settings of the lab's network for this call.
        headers: X-PH headers.
        label: a word for its group.
        tags: further words for it, by name.
    """

    number: int
    at_s: float
    account: str
    destination: str
    duration_s: float
    source: str = "speech"
    codec: str | None = None
    scenario: str | None = None
    knobs: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    tags: dict[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The settings of the lab's network in words; clean where there are none."""
        words = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                 for name, value in self.knobs.items()]  # fmt: skip
        if self.scenario is not None:
            words.insert(0, self.scenario)
        return ", ".join(words) or "clean"


@dataclass(frozen=True)
class Plan:
    """The calls of a campaign in the order of their rows.

    Make one with `read_plan`.

    Example:
        >>> import pandas as pd
        >>> rows = {"at_s": [0, 1], "account": ["ann", "bob"], "destination": "echo", "duration_s": 5.0}
        >>> plan = read_plan(pd.DataFrame(rows))
        >>> len(plan), plan.accounts, plan.seconds
        (2, ['ann', 'bob'], 6.0)
    """

    calls: tuple[PlannedCall, ...]

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def accounts(self) -> list[str]:
        """The accounts that call, in the order of their first calls."""
        return list(dict.fromkeys(call.account for call in self.calls))

    @property
    def seconds(self) -> float:
        """How long it takes where each call begins in time and is answered at once."""
        return max(call.at_s + call.duration_s for call in self.calls)

    @property
    def needs_lab(self) -> list[int]:
        """The rows that set the lab's network."""
        return [call.number for call in self.calls if call.knobs or call.scenario is not None]

    def frame(self) -> pd.DataFrame:
        """The plan as a frame with all columns that have a value, indexed by the row's number."""
        rows = [
            {
                **{name: getattr(call, name) for name in _NAMES if name != "headers"},
                "headers": "; ".join(f"{name}={value}" for name, value in call.headers.items()) or None,
                **call.knobs,
                **{f"{TAG}{name}": value for name, value in call.tags.items()},
            }
            for call in self.calls
        ]
        frame = pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="row"))
        return frame.dropna(axis="columns", how="all")

    @property
    def fingerprint(self) -> str:
        """A hash of all that the plan says; a run is resumed with the same plan only."""
        text = json.dumps([_plain(call) for call in self.calls], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_plan(source: pd.DataFrame | str | os.PathLike[str] | Plan) -> Plan:
    """Read and check a plan.

    Args:
        source: a frame, or the path of a CSV file, with the columns at_s, account, destination and
            duration_s; and if wanted source, codec, scenario, headers and label (see `COLUMNS`), a column for
            each knob of the lab's network, such as loss or delay_ms, and columns such as tag_region for
            further tags. The rows may have any order.

    Raises:
        PlanError: a column is missing or unknown, or a value is wrong; the message names row and column.
        FileNotFoundError: there is no such file.

    Example:
        >>> import pandas as pd
        >>> rows = {"at_s": [0, -1], "account": "ann", "destination": "echo", "duration_s": 5}
        >>> read_plan(pd.DataFrame(rows))
        Traceback (most recent call last):
        plivo_nb.fleet.plan.PlanError: Row 1, column at_s: -1 is no number of seconds from 0 to 86400.
    """
    if isinstance(source, Plan):
        return source
    frame = source if isinstance(source, pd.DataFrame) else _read_csv(Path(source))
    _check_columns(frame)
    problems: list[str] = []
    calls = [_call(number, row, problems) for number, row in enumerate(frame.to_dict("records"))]
    _check_codecs(calls, problems)
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = "\n".join(problems[:_SHOWN_PROBLEMS])
        raise PlanError(shown + (f"\nand {more} more." if more > 0 else ""))
    return Plan(tuple(calls))


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"account": str, "destination": str, "label": str})
    except (ValueError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is no CSV file ({error}).") from None


def _check_columns(frame: pd.DataFrame) -> None:
    names = [str(name) for name in frame.columns]
    missing = [column.name for column in COLUMNS if column.required and column.name not in names]
    if missing:
        raise PlanError(f"The plan has no column {', '.join(missing)}; a row needs {', '.join(_required())}.")
    unknown = [name for name in names if name not in (*_NAMES, *KNOBS) and not name.startswith(TAG)]
    if unknown:
        raise PlanError(
            f"The plan has the column {unknown[0]!r}, which is unknown; it may have {', '.join(_NAMES)}, "
            f"knobs of the lab's network ({', '.join(KNOBS)}), and tags such as {TAG}region."
        )
    if not 1 <= len(frame) <= MOST_CALLS:
        raise PlanError(f"A plan has 1 to {MOST_CALLS} rows, not {len(frame)}.")


def _required() -> list[str]:
    return [column.name for column in COLUMNS if column.required]


def _call(number: int, row: Mapping[Hashable, Any], problems: list[str]) -> PlannedCall:
    """The call of a row; what is wrong is added to `problems`, a sentence each."""
    cells = {str(name): value for name, value in row.items() if not _is_empty(value)}

    def checked(name: str, default: Any, check: Callable[[Any], Any]) -> Any:
        if name not in cells:
            if name in _required():
                problems.append(f"Row {number}, column {name}: it is empty; each row needs {name}.")
            return default
        try:
            return check(cells[name])
        except (ValueError, TypeError) as error:
            problems.append(f"Row {number}, column {name}: {error}")
            return default

    return PlannedCall(
        number,
        at_s=checked("at_s", 0.0, lambda value: _seconds(value, 0.0)),
        account=checked("account", "", _account),
        destination=checked("destination", "", _destination),
        duration_s=checked("duration_s", 1.0, lambda value: _seconds(value, 0.1)),
        source=checked("source", "speech", str),
        codec=checked("codec", None, _codec),
        scenario=checked("scenario", None, _scenario),
        knobs={name: checked(name, None, _knob_of(name)) for name in KNOBS if name in cells},
        headers=checked("headers", {}, _headers),
        label=checked("label", None, str),
        tags={name.removeprefix(TAG): value for name, value in cells.items() if name.startswith(TAG)},
    )


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return not value
    return bool(pd.isna(value)) or (isinstance(value, str) and not value.strip())


def _seconds(value: Any, least: float) -> float:
    try:
        seconds = float(value)
    except (ValueError, TypeError):
        seconds = math.nan
    if not least <= seconds <= _LONGEST_S:
        raise ValueError(f"{value!r} is no number of seconds from {least:g} to {_LONGEST_S:.0f}.")
    return seconds


def _account(value: Any) -> str:
    text = _word(value)
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is no name of an account.")
    return text


def _destination(value: Any) -> str:
    text = _word(value)
    problem = target_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


def _word(value: Any) -> str:
    """A cell as text; a column of numbers with gaps has them with .0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _codec(value: Any) -> str:
    name = str(value).strip().upper()
    if name not in CODECS:
        raise ValueError(f"{value!r} is no codec; choose one of {', '.join(CODECS)}.")
    return name


def _scenario(value: Any) -> str:
    read_scenario(str(value))
    return str(value)


def _knob_of(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            knobs: dict[str, Any] = {**read_scenario([{"at_s": 0.0, name: value}]).steps[0].knobs}
        except ValueError as error:
            raise ValueError(str(error).removeprefix("Row 1: ")) from None
        return knobs[name]

    return check


def _headers(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        given = {str(name): str(content) for name, content in value.items()}
    else:
        pairs = [part.partition("=") for part in str(value).split(";") if part.strip()]
        given = {name.strip(): content.strip() for name, _, content in pairs}
    valid = valid_headers(given)
    wrong = [name for name in given if name not in valid]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} is no such header: names are X-PH- and 1 to 19 letters, digits or -, values 1 to "
            "120 of letters, digits and _+()%.-"
        )
    return valid


def _check_codecs(calls: list[PlannedCall], problems: list[str]) -> None:
    """A client's codecs cannot change while it is logged in."""
    chosen: dict[str, str | None] = {}
    for call in calls:
        first = chosen.setdefault(call.account, call.codec)
        if call.codec != first:
            problems.append(
                f"Row {call.number}, column codec: {call.account} has {first or 'no codec'} in an earlier "
                "row; an account has one codec in a campaign."
            )


def _plain(call: PlannedCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in ("number", *_NAMES, "knobs", "tags")}
