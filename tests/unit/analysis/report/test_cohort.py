"""analysis.report.cohort: what a report says of many calls together."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored_calls import BEGAN_S, store_call

import plivo_nb
from plivo_nb.analysis.report.cohort import cohort_of, distributions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        store_call(
            tmp_path, f"call-{number}", mos=[4.3, 4.2, 2.0, 2.2, 4.1][number], count=6,
            began_s=BEGAN_S + 60 * number, network="wifi" if number in (2, 3) else "lan",
        )  # fmt: skip
    return tmp_path


def test_groups_and_replayed_warnings_are_told(folder: Path) -> None:
    cohort = cohort_of(plivo_nb.read(folder))
    assert [name for name, _ in cohort.groups] == ["network"]
    rows = {row["network"]: row for row in cohort.groups[0][1]}
    assert (rows["wifi"]["Calls"], rows["wifi"]["With a warning"]) == ("2", "100 %")
    assert (rows["lan"]["Calls"], rows["lan"]["With a warning"]) == ("3", "0 %")
    assert cohort.replayed == "v2.1"
    assert {row["Warning"]: row["Calls"] for row in cohort.warnings}["low_mos"] == "2"
    assert dict(cohort.facts)["Calls"] == "5"


@pytest.mark.parametrize("engine", ["pandas", "dask"])
def test_the_report_of_a_folder_has_links_to_the_details_of_the_worst(folder: Path, engine: str) -> None:
    out = folder.parent / f"{engine}.html"
    plivo_nb.read(folder, engine=engine).report(out)  # type: ignore[arg-type]
    text = out.read_text("utf-8")
    assert "All calls together" in text
    assert "By network" in text
    assert "replayed over the samples by the rules v2.1" in text
    links = re.findall(r'href="#(call-\d+)"', text)
    assert links == [f"call-{number}" for number in range(1, 6)]
    assert all(f'id="{name}"' in text for name in links)
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", text)  # it needs nothing else


def test_groups_that_are_asked_for_and_are_not_there(folder: Path) -> None:
    with pytest.raises(ValueError, match="no column 'region'"):
        cohort_of(plivo_nb.read(folder), ["region"])


def test_figures_that_are_not_known_and_many_groups_are_drawn() -> None:
    calls = pd.DataFrame(
        {
            "mos_mean": np.linspace(1, 4.4, 40), "loss_in": np.nan, "jitter_in_mean_ms": 3.0,
            "rtt_mean_ms": np.arange(40.0), "region": [f"r{number % 9}" for number in range(40)],
        }
    )  # fmt: skip
    figure = distributions(calls, "region")
    texts = [text.get_text() for panel in figure.axes[0].child_axes for text in panel.texts]
    assert texts == ["not known"]
    legend = figure.axes[0].child_axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][-1] == "4 others"
