"""The button "Copy as code" puts what was done with the phone into the clipboard."""

from __future__ import annotations

from playwright.sync_api import expect

PHONE = "import plivo_nb\nclient = plivo_nb.Client(sound='none')\nphone = plivo_nb.Phone(client)\nphone"


def test_what_was_clicked_is_copied(jupyter, open_notebook, page, axe) -> None:
    notebook = open_notebook(jupyter.notebook("code.ipynb", [PHONE, "await client.close()"]))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=jupyter.url)
    notebook.run(0)
    part = page.locator(".plivo-phone .plivo-code")
    copy = part.get_by_role("button", name="Copy as code")
    expect(copy).to_be_disabled()
    page.locator(".plivo-phone").get_by_role("button", name="Mute", exact=True).click()
    expect(copy).to_be_enabled()
    copy.click()
    expect(part.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "client.mute()"
    part.locator("summary").click()
    expect(part.locator("pre")).to_have_text("client.mute()")
    assert axe(part) == []
    notebook.run(1)
    assert notebook.errors() == []
