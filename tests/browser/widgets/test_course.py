"""The first notebooks of the course as a reader has them: "Run all" in JupyterLab, and as apps of Voila.

Those of one front end run at the same time, one page each: most of their time is that of calls.
"""

from __future__ import annotations

from playwright.sync_api import expect

PLAYERS = {"01_first_call": 1, "02_turn_the_knobs": 0, "03_incoming_calls": 1, "04_hear_it": 8}
ERRORS = '[data-mime-type="application/vnd.jupyter.error"]'
ALL_RUN = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(({model}) => model.type === "code")
    .every(({promptNode}) => /\\d/.test(promptNode.textContent))"""


def test_run_all_in_jupyterlab(jupyter, open_in_new_page) -> None:
    """The first notebook is run in test_binder.py."""
    opened = {name: open_in_new_page(f"{name}.ipynb") for name in [*PLAYERS][1:]}
    for notebook in opened.values():
        notebook.command("notebook:clear-all-cell-outputs")  # no number is left from the file
        notebook.command("notebook:run-all-cells")
    for name, notebook in opened.items():
        notebook.page.wait_for_function(ALL_RUN, timeout=120_000)
        saved = notebook.saved()
        assert notebook.errors() == [], name
        code = [cell for cell in saved.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code), name
        shown = "".join(str(cell.outputs) for cell in code)
        assert shown.count("<audio controls") == PLAYERS[name], name


def test_as_apps_of_voila(voila_at, repository, browser) -> None:
    """The second notebook's sliders are moved in test_voila.py."""
    with voila_at(repository / "notebooks") as server:
        pages = {name: browser.new_page() for name in PLAYERS}
        for name, page in pages.items():
            page.goto(f"{server.url}/voila/render/{name}.ipynb", timeout=120_000, wait_until="commit")
        for name, page in pages.items():
            expect(page.get_by_role("heading", name="Self-test"), name).to_be_visible(timeout=120_000)
            assert page.locator(ERRORS).count() == 0, name
            assert page.locator("audio").count() == PLAYERS[name], name
            assert "{}" not in page.locator("body").inner_text().split(), name
            page.goto("about:blank")
            page.close()
