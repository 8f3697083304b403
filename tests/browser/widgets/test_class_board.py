"""ClassBoard in JupyterLab: calls, their end, the network of one student, and how it looks."""

from __future__ import annotations

from playwright.sync_api import expect

CLASS = """
import asyncio, plivo_nb
lab = await plivo_nb.Lab(["ann", "bob", "carl", "dora"], random_passwords=True, seed=4).start()
clients = {}
for user in ("ann", "bob", "carl"):
    clients[user] = lab.client()
    await clients[user].login(user, lab.password(user))
clients["bob"].on("onIncomingCall", lambda *_: clients["bob"].answer())
call = await clients["ann"].call("bob")
call.play(plivo_nb.speech_path(), loop=True)
other = await clients["carl"].call("speech")
"""
BOARD = "board = plivo_nb.ClassBoard(lab)\nboard"
END = "await call.hangup()"
CLOSE = """
board.close()
for client in clients.values():
    await client.close()
await lab.close()
"""


def test_the_calls_of_a_class_and_the_network_of_one_student(
    jupyter, open_notebook, shoot, theme, axe, page
) -> None:
    notebook = open_notebook(jupyter.notebook("class.ipynb", [CLASS, BOARD, END, CLOSE]))
    page.set_viewport_size({"width": 1200, "height": 900})
    notebook.run(0)
    notebook.run(1)
    board = page.locator(".plivo-class")

    def row(user: str):
        return board.locator(f'tr[data-user="{user}"]')

    expect(board.locator("caption")).to_have_text("4 students · 3 in calls · 1 away")
    expect(row("ann").locator("td").first).to_contain_text("bob 0:")
    expect(row("bob").locator("td").first).to_contain_text("ann 0:")
    expect(row("dora").locator("td").first).to_have_text("away")
    expect(row("carl").locator(".plivo-chip")).to_contain_text("excellent", timeout=20_000)

    form = board.locator("form")
    form.get_by_role("combobox", name="Whose network").select_option("carl")
    form.get_by_label("Loss, %").fill("30")
    form.get_by_label("Delay one way, ms").fill("200")
    form.get_by_role("button", name="Set", exact=True).click()
    expect(board.locator(".plivo-region")).to_contain_text("The network of carl is set.")
    expect(row("carl").locator(".plivo-chip")).to_contain_text("bad", timeout=25_000)
    expect(row("ann").locator(".plivo-chip")).to_contain_text("excellent")
    expect(board.locator("thead")).to_contain_text("counted by the lab, last 5 s")
    for column, least, most in ((4, 15, 45), (5, 15, 45)):  # of 250 packets each way
        percent = float(row("carl").locator("td").nth(column).inner_text().split()[0])
        assert least < percent < most
    expect(row("ann").locator("td").nth(4)).to_have_text("0.0 %")
    path = row("carl").locator(".plivo-class-curve path").get_attribute("d")
    assert path is not None
    assert "L" in path  # two reports at least
    shoot("calls", board)
    assert axe(board) == []
    theme(page, "dark")
    shoot("dark", board)
    assert axe(board) == []
    theme(page, "light")

    form.get_by_role("button", name="Reset").click()
    expect(board.locator(".plivo-region")).to_contain_text("The network of carl is reset.")
    notebook.run(2)
    expect(row("ann").locator("td").first).to_have_text("ready")
    expect(row("ann").locator("td").last).not_to_be_empty()
    notebook.run(3)
    board.wait_for(state="detached")
    assert notebook.errors() == []
