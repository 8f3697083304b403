"""What repo2docker reads in binder/ agrees with the package."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import unquote

REPOSITORY = Path(__file__).parents[2]
BINDER = REPOSITORY / "binder"


def names(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[ ]", line)[0] for line in lines if line}


def test_requirements_are_those_that_the_tests_use() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    tested = names(project["optional-dependencies"]["test"])
    required = names((BINDER / "requirements.txt").read_text().splitlines())
    assert required == {"jupyterlab", "voila"}
    assert required <= tested


def test_python_is_one_that_the_package_supports() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (BINDER / "runtime.txt").read_text().strip() == "python-" + project[
        "requires-python"
    ].removeprefix(">=")


def test_debian_packages_are_named_one_a_line() -> None:
    packages = (BINDER / "apt.txt").read_text().split("\n")
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in packages[:-1])
    assert packages[-1] == ""


def test_the_last_step_can_be_run_and_installs_the_package() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert "pip install --no-cache-dir '.[captures,scale]'" in script.read_text()


def test_the_badge_leads_to_the_repository_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    owner = project["urls"]["Homepage"].removeprefix("https://github.com/")
    readme = (REPOSITORY / "README.md").read_text()
    links = re.findall(
        r"https://mybinder\.org/v2/gh/([^/]+/[^/]+)/HEAD\?(?:labpath|urlpath)=(\S+?)\)", readme
    )
    assert {repository for repository, _ in links} == {owner}
    paths = [unquote(path).removeprefix("voila/render/") for _, path in links]
    assert all((REPOSITORY / path).is_file() for path in paths)
    assert "notebooks/01_first_call.ipynb" in paths
