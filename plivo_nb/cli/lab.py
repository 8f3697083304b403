"""`plivo-nb lab`: the embedded Plivo for everybody on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plivo_nb.errors import LabError
from plivo_nb.lab import Lab

if TYPE_CHECKING:
    from rich.console import Console

_LOOK_S = 0.5


async def run(port: int, seed: int, console: Console) -> None:
    """Start the lab, say how to reach it, and keep it until cancelled.

    Raises:
        LabError: it did not start, or it ended by itself.
    """
    async with Lab(port=port, seed=seed) as lab:
        console.print(f"The lab runs at {lab.url}", highlight=False)
        for name, password in lab.accounts.items():
            console.print(f"  user {name}, password {password}", highlight=False)
        console.print("  robot to call: echo")
        console.print(f"Try it: plivo-nb demo --lab {lab.url}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it.")
        while True:
            await asyncio.sleep(_LOOK_S)
            if not lab.running:
                raise LabError("The lab ended by itself; start it again.")
