"""The first notebooks of the course as a reader has them: "Run all" in JupyterLab, and as apps of Voila."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PLAYERS = {"01_first_call": 1, "02_turn_the_knobs": 0, "03_incoming_calls": 1, "04_hear_it": 8}
ALL_RUN = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(({model}) => model.type === "code")
    .every(({promptNode}) => /\\d/.test(promptNode.textContent))"""
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'


@pytest.mark.parametrize("name", ["02_turn_the_knobs", "03_incoming_calls", "04_hear_it"])
def test_run_all_in_jupyterlab(jupyter, open_notebook, page, name: str) -> None:
    notebook = open_notebook(f"{name}.ipynb")
    notebook.command_at(0, "notebook:run-all-cells", wait=False)
    page.wait_for_function(ALL_RUN, timeout=120_000)
    saved = notebook.saved()
    assert notebook.errors() == []
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    shown = "".join(str(cell.outputs) for cell in code)
    assert shown.count("<audio controls") == PLAYERS[name]


@pytest.mark.parametrize("name", ["01_first_call", "03_incoming_calls", "04_hear_it"])
def test_as_an_app_of_voila(voila_at, repository, page, name: str) -> None:
    with voila_at(repository / "notebooks" / f"{name}.ipynb") as server:
        page.goto(server.url, timeout=120_000)
        expect(page.get_by_role("heading", name="Self-test")).to_be_visible(timeout=120_000)
        assert page.locator(ERRORS).count() == 0
        assert page.locator("audio").count() == PLAYERS[name]
        assert "{}" not in page.locator("body").inner_text().split()
        page.goto("about:blank")
