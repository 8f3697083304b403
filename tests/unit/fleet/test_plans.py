"""fleet.plans: plans by rule are valid, seeded, and spread over accounts and networks."""

from __future__ import annotations

import numpy as np
import pytest

from plivo_nb.fleet import PlanError, at_rate, grid, poisson, read_plan


def test_calls_at_a_rate_go_round_accounts_destinations_and_networks() -> None:
    networks = grid(loss=[0, 0.1], delay_ms=[0, 100, 200])
    plan = at_rate(12, 4.0, ["ann", "bob", "carl"], ["echo", "speech"], 2.0, networks=networks, tag_site="x")
    assert plan["at_s"].diff().dropna().unique().tolist() == [0.25]
    assert plan["account"].value_counts().tolist() == [4, 4, 4]
    assert plan["destination"].value_counts().tolist() == [6, 6]
    assert plan["label"].nunique() == 6
    assert plan.groupby("label").size().tolist() == [2] * 6
    assert {call.tags["site"] for call in read_plan(plan).calls} == {"x"}


def test_a_poisson_process_has_its_rate_and_its_seed() -> None:
    plan = poisson(4000, 5.0, ["ann"], duration_s=(5, 10), seed=3)
    gaps = plan["at_s"].diff().dropna()
    assert gaps.mean() == pytest.approx(0.2, rel=0.1)
    assert gaps.std() == pytest.approx(0.2, rel=0.1), "exponential: the deviation is the mean"
    assert plan["duration_s"].between(5, 10).all()
    assert plan["duration_s"].nunique() > 40
    assert plan.equals(poisson(4000, 5.0, ["ann"], duration_s=(5, 10), seed=3))
    assert not plan.equals(poisson(4000, 5.0, ["ann"], duration_s=(5, 10), seed=4))
    assert np.all(np.diff(plan["at_s"]) >= 0)


def test_a_grid_has_all_combinations() -> None:
    assert grid() == [{}]
    assert len(grid(loss=[0, 0.1, 0.2], jitter_ms=[0, 30])) == 6
    with pytest.raises(PlanError, match="no knob 'los'"):
        grid(los=[1])


@pytest.mark.parametrize(
    ("calls", "per_s", "accounts"), [(0, 1, ["a"]), (1, 0, ["a"]), (1, 1, []), (1, 1, "ann")]
)
def test_a_rule_that_makes_no_plan_is_refused(calls: int, per_s: float, accounts: list[str]) -> None:
    for rule in (at_rate, poisson):
        with pytest.raises(PlanError):
            rule(calls, per_s, accounts)
    with pytest.raises(PlanError, match="Row 0, column loss"):
        at_rate(1, 1, ["ann"], networks=[{"loss": 7}])
