"""Campaigns: many planned calls on many processes, with Dask. They need ``pip install 'plivo-nb[scale]'``."""

from plivo_nb.fleet.campaign import Campaign, Run
from plivo_nb.fleet.plan import Plan, PlanError, read_plan
from plivo_nb.fleet.plans import at_rate, grid, poisson
from plivo_nb.fleet.progress import Progress
from plivo_nb.fleet.run_folder import RunError

__all__ = [
    "Campaign",
    "Plan",
    "PlanError",
    "Progress",
    "Run",
    "RunError",
    "at_rate",
    "grid",
    "poisson",
    "read_plan",
]
