"""fleet.progress_box: a bar, words, and a button that works while the campaign runs."""

from __future__ import annotations

import asyncio

from waiting import until

from plivo_nb.fleet import Campaign, Progress, at_rate
from plivo_nb.fleet.progress_box import ProgressBox

HALF = Progress(4, {"planned": 1, "attempted": 1, "done": 2, "failed": 0, "lost": 0}, 2, 3.0)


async def test_it_shows_the_progress_and_cancels_once() -> None:
    canceled: list[bool] = []

    async def cancel() -> None:
        canceled.append(True)

    box = ProgressBox(HALF, cancel)
    bar, text, button = box.widget.children
    assert button.disabled, "nothing runs"
    box.show(HALF, running=True)
    assert (bar.value, bar.max, button.disabled) == (2, 4, False)
    assert "2 of 4 calls" in text.value
    await asyncio.to_thread(button.click)  # a subshell's thread
    await until(lambda: canceled == [True])
    assert button.disabled
    box.show(HALF, running=False)
    assert button.disabled


def test_a_campaign_is_displayed_as_its_box() -> None:
    campaign = Campaign(at_rate(3, 1.0, ["ann"]))
    bundle = campaign._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(campaign)
    assert repr(campaign) == "<Campaign: 0 of 3 calls (0 done, 0 failed, 0 lost), 0 now, on 0 workers>"
