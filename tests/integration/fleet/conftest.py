"""One scheduler with two workers for all tests of campaigns."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from bench.dask_processes import DaskProcesses


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """Two workers ; the second of them has another version of the package."""
    folder = tmp_path_factory.mktemp("dask")
    other = folder / "other" / "plivo_nb-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: plivo-nb\nVersion: 99.0\n")
    path = os.pathsep.join([str(other.parent), os.environ.get("PYTHONPATH", "")])
    processes = DaskProcesses(folder, 2, [{}, {"PYTHONPATH": path}])
    asyncio.run(processes.start())
    yield processes
    asyncio.run(processes.stop())
