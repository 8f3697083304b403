"""Plans by rule: calls at a rate, calls that arrive at random, and networks to spread them over."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.fleet.plan import PlanError, read_plan
from plivo_nb.lab.network.knobs import KNOBS, with_knob_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plivo_nb.lab.network.knobs import NetworkKnobs


def at_rate(
    calls: int,
    per_s: float,
    accounts: Sequence[str],
    destination: str | Sequence[str] = "echo",
    duration_s: float | tuple[float, float] = 10.0,
    *,
    networks: Sequence[Mapping[str, Any]] = (),
    seed: int = 1,
    **columns: Any,
) -> pd.DataFrame:
    """Plan calls at equal distances.

    Args:
        calls: how many.
        per_s: how many begin in a second.
        accounts: who calls, in turn.
        destination: who is called; of several in turn.
        duration_s: how long each call goes on after the answer, in seconds; or the least and the greatest,
            between which it is drawn.
        networks: settings of the lab's network, of which each call gets one in turn; see `grid`.
        seed: of what is drawn.
        columns: further columns, such as ``codec="PCMU"``: a value for all calls, or one a call.

    Returns:
        A plan, a row a call.

    Raises:
        ValueError: a value is wrong.

    Example:
        >>> plan = at_rate(4, 2.0, ["ann", "bob"], networks=[{"loss": 0.0}, {"loss": 0.05}])
        >>> plan["at_s"].tolist(), plan["account"].tolist(), plan["label"].tolist()
        ([0.0, 0.5, 1.0, 1.5], ['ann', 'bob', 'ann', 'bob'], ['loss 0', 'loss 0.05', 'loss 0', 'loss 0.05'])
    """
    _check(calls, per_s, accounts)
    begins = np.arange(calls) / per_s
    return _plan(begins, accounts, destination, duration_s, networks, np.random.default_rng(seed), columns)


def poisson(
    calls: int,
    per_s: float,
    accounts: Sequence[str],
    destination: str | Sequence[str] = "echo",
    duration_s: float | tuple[float, float] = 10.0,
    *,
    networks: Sequence[Mapping[str, Any]] = (),
    seed: int = 1,
    **columns: Any,
) -> pd.DataFrame:
    """Plan calls that arrive independently of each other: a Poisson process.

    Args:
        calls: how many.
        per_s: how many begin in a second on average.
        accounts: who calls, in turn.
        destination: who is called; of several in turn.
        duration_s: as for `at_rate`.
        networks: as for `at_rate`.
        seed: of what is drawn: the same seed gives the same plan.
        columns: as for `at_rate`.

    Returns:
        A plan, a row a call, in the order of time.

    Raises:
        ValueError: a value is wrong.

    Example:
        >>> plan = poisson(1000, 2.0, ["ann", "bob"])
        >>> bool(400 < plan["at_s"].max() < 600)
        True
    """
    _check(calls, per_s, accounts)
    random = np.random.default_rng(seed)
    begins = np.cumsum(random.exponential(1 / per_s, calls))
    return _plan(begins - begins[0], accounts, destination, duration_s, networks, random, columns)


@with_knob_table
def grid(**knobs: Sequence[Any]) -> list[NetworkKnobs]:
    """Make all combinations of settings of the lab's network.

    Args:
        knobs: for each knob the values it takes:

            {knobs}

    Returns:
        A dict a combination, the last knob changing fastest.

    Raises:
        ValueError: there is no such knob.

    Example:
        >>> grid(loss=[0, 0.05], delay_ms=[0, 150])[-1]
        {'loss': 0.05, 'delay_ms': 150}
    """
    unknown = [name for name in knobs if name not in KNOBS]
    if unknown:
        raise PlanError(f"The network has no knob {unknown[0]!r}; it has {', '.join(KNOBS)}.")
    return [dict(zip(knobs, values, strict=True)) for values in itertools.product(*knobs.values())]  # type: ignore[misc]


def _check(calls: int, per_s: float, accounts: Sequence[str]) -> None:
    if calls < 1 or not 0 < per_s < float("inf"):
        raise PlanError(f"A plan needs at least one call and a rate above 0, not {calls} and {per_s:g}.")
    if isinstance(accounts, str) or not len(accounts):
        raise PlanError('accounts is a list of at least one name, such as ["ann", "bob"].')


def _plan(
    begins_s: np.ndarray[Any, Any],
    accounts: Sequence[str],
    destination: str | Sequence[str],
    duration_s: float | tuple[float, float],
    networks: Sequence[Mapping[str, Any]],
    random: np.random.Generator,
    columns: Mapping[str, Any],
) -> pd.DataFrame:
    count = len(begins_s)
    called = [destination] if isinstance(destination, str) else list(destination)
    low, high = duration_s if isinstance(duration_s, tuple) else (duration_s, duration_s)
    frame = pd.DataFrame({
        "at_s": np.round(begins_s, 3),
        "account": [accounts[number % len(accounts)] for number in range(count)],
        "destination": [called[number % len(called)] for number in range(count)],
        "duration_s": np.round(random.uniform(low, high, count), 1) if high > low else low,
    })  # fmt: skip
    if networks:
        turns = [networks[number % len(networks)] for number in range(count)]
        for name in dict.fromkeys(name for network in networks for name in network):
            frame[name] = [network.get(name) for network in turns]
        frame["label"] = [_label(network) for network in turns]
    for name, value in columns.items():
        frame[name] = value
    read_plan(frame)
    return frame


def _label(network: Mapping[str, Any]) -> str:
    words = (f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
             for name, value in network.items() if value is not None)  # fmt: skip
    return ", ".join(words) or "clean"
