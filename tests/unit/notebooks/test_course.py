"""The course of notebooks: its size, its outputs, its sound, and what a student finds in each part."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
COURSE = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
LARGEST_BYTES = 1_000_000
FEWEST_COMPARED = 3
QUIETEST_DBFS = -40.0
_IGNORED = re.compile(r"#\s*NBVAL_(IGNORE_OUTPUT|SKIP)")
_PLAYER = re.compile(r"""<audio\b[^>]*>""")
_SOUND = re.compile(r"""src=['"]data:audio/[a-z]+;base64,([A-Za-z0-9+/=]+)['"]""")
_MACHINE = re.compile(r"/(?:root|home|tmp|Users|work)/\w")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def prose(path: Path) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))


def is_compared(cell: dict[str, Any]) -> bool:
    tags = cell["metadata"].get("tags", [])
    return "nbval-ignore-output" not in tags and not _IGNORED.search("".join(cell["source"]))


def results(path: Path) -> list[str]:
    """The texts of the outputs that nbval compares."""
    return [
        "".join(output["data"]["text/plain"])
        for cell in cells(path, "code")
        if is_compared(cell)
        for output in cell["outputs"]
        if "text/plain" in output.get("data", {})
    ]


def value_of(text: str) -> Any:
    """What a result is; the text itself where it is a table, or anything else that is no literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def says_only_true(text: str) -> bool:
    value = value_of(text)
    return value is True or (isinstance(value, (tuple, list)) and all(item is True for item in value))


def is_a_lesson(text: str) -> bool:
    """Whether it is a number, several values, or a table: not a word, nor the name of an object."""
    value = value_of(text)
    if isinstance(value, str):
        return "\n" in text
    return not isinstance(value, bool) and not says_only_true(text) and value is not None


def players(path: Path) -> list[bytes]:
    """The sound of each player; a player without its sound in the file is an error."""
    found = []
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            for player in _PLAYER.findall("".join(output.get("data", {}).get("text/html", ""))):
                sound = _SOUND.search(player)
                assert sound, player[:200]
                found.append(base64.b64decode(sound[1]))
    return found


def peak_dbfs(sound: bytes) -> float:
    with av.open(io.BytesIO(sound)) as container:
        to_float = av.AudioResampler(format="flt", layout="mono")
        frames = [
            part.to_ndarray() for frame in container.decode(audio=0) for part in to_float.resample(frame)
        ]
    return float(20 * np.log10(np.abs(np.concatenate(frames, axis=1)).max() + 1e-9))


def test_the_course_is_complete() -> None:
    assert [path.name[:2] for path in COURSE] == [f"{number:02d}" for number in range(15)]


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_was_run(path: Path) -> None:
    assert path.stat().st_size < LARGEST_BYTES
    code = [cell for cell in cells(path, "code") if "".join(cell["source"]).strip()]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    errors = [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert errors == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_outputs_are_compared_and_say_more_than_true(path: Path) -> None:
    compared = results(path)
    assert [text for text in compared if says_only_true(text)] == []
    assert len([text for text in compared if is_a_lesson(text)]) >= FEWEST_COMPARED


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_outputs_name_no_machine(path: Path) -> None:
    shown = [json.dumps(cell["outputs"]) for cell in cells(path, "code")]
    without_sound = [re.sub(r"base64,[A-Za-z0-9+/=]+", "", text) for text in shown]
    pictures = re.compile(r'"image/png": "[^"]*"')
    assert [found[0] for text in without_sound if (found := _MACHINE.search(pictures.sub("", text)))] == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_no_output_needs_a_kernel_to_be_read(path: Path) -> None:
    """A widget without its state is an error message in JupyterLab, and nothing where pages are static."""
    saved = json.loads(path.read_text())["metadata"].get("widgets", {})
    state = saved.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    views = [
        output["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
        for cell in cells(path, "code")
        for output in cell["outputs"]
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert [model for model in views if model not in state] == []


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_every_player_holds_sound(path: Path) -> None:
    levels = [peak_dbfs(sound) for sound in players(path)]
    assert all(level > QUIETEST_DBFS for level in levels), levels
    if path.name[:2] in ("01", "03", "04", "05", "06", "09", "12"):
        assert levels


@pytest.mark.parametrize("path", COURSE[1:], ids=lambda path: path.stem)
def test_there_are_exercises_and_a_self_test_with_folded_answers(path: Path) -> None:
    text = prose(path)
    assert "## Exercises" in text or "As an exercise" in text
    assert "## Self-test" in text
    assert text.count("<details><summary>") == text.count("</details>") >= 2


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|attachment:)([^)]+)\)", prose(path)):
        assert (NOTEBOOKS / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", COURSE[:-1], ids=lambda path: path.stem)
def test_each_part_leads_to_the_next(path: Path) -> None:
    following = COURSE[COURSE.index(path) + 1].name
    assert f"]({following})" in prose(path)
