"""check(): the whole of it, with a lab and a call."""

import plivo_nb


async def test_check_as_a_frame():
    found = await plivo_nb.check()
    assert found["what"].tolist() == ["Python", "Packages", "Sound", "Lab", "Socket", "Call"]
    assert set(found["result"]) <= {"ok", "note"}
    assert found.set_index("what").loc["Call", "result"] == "ok"
