"""The lab drawer in JupyterLab: knobs, scenarios and robots, in three widths."""

from __future__ import annotations

from playwright.sync_api import expect

APP = ["import plivo_nb\nsoftphone = await plivo_nb.app()", "await softphone.close()"]


def test_the_drawer_of_an_app(open_notebook, jupyter, page, phone, shoot) -> None:
    notebook = open_notebook(jupyter.notebook("drawer.ipynb", APP))
    notebook.run(0)
    drawer, summary = page.locator(".plivo-lab").last, page.locator(".plivo-lab-summary").last
    expect(summary).to_have_text("clean network")
    notebook.evaluate("softphone.lab.network.set(loss=0.1, delay_ms=80) and None")
    expect(summary).to_have_text("10 % loss, 80 ms delay")
    drawer.get_by_role("button", name="Lab", exact=False).first.click()
    knobs = drawer.locator(".plivo-knobs")
    readouts = knobs.locator(".widget-readout")
    expect(readouts.nth(0)).to_have_text("10.0")
    knobs.get_by_role("button", name="to me").click()
    knobs.locator(".noUi-handle").nth(3).press("PageUp")  # jitter
    expect(summary).to_have_text("a different network in each direction")
    settings = "softphone.lab.network.current"
    assert notebook.evaluate(f"{settings}['to_caller']['loss'], {settings}['to_callee']['jitter_ms']") == (
        0.1,
        0,
    )
    knobs.get_by_role("button", name="Clean network").click()
    expect(summary).to_have_text("clean network")

    drawer.get_by_role("button", name="vpn").click()
    expect(summary).to_have_text("scenario vpn · 70 ms delay, ± 6 ms jitter, order kept")
    drawer.get_by_role("button", name="■ vpn").click()
    drawer.get_by_role("button", name="Ring me × 3").click()
    expect(drawer.locator(".plivo-status").last).to_have_text("3 robots are calling alice.")
    expect(page.locator(".plivo-incoming").last).to_contain_text("3 calls are ringing")
    notebook.evaluate(
        "[softphone.client.reject(call.call_uuid) for call in softphone.client.incoming_calls] and None"
    )

    drawer.get_by_role("button", name="echo", exact=True).click()
    phone.expect_state("In call")
    for width in (1400, 1000, 700):  # beside the panel of files, the narrowest leaves 330 px
        page.set_viewport_size({"width": width, "height": 1400})
        page.wait_for_timeout(300)
        shoot(f"light-{width}", drawer)
        assert drawer.evaluate("box => box.scrollWidth <= box.clientWidth")
    page.set_viewport_size({"width": 1400, "height": 900})
    drawer.get_by_role("button", name="Lab", exact=False).first.click()
    expect(knobs).to_be_hidden()
    notebook.run(-1)
    notebook.wait_for_processes(workers=0, labs=0)
    assert notebook.errors() == []
