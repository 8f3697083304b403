"""lab.class_file: written for its owner only, and read again."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from plivo_nb.errors import LabError
from plivo_nb.lab.class_file import ClassFile, StudentSecrets

ADDRESSES = {
    "url": "ws://127.0.0.1:1", "urls": ["ws://127.0.0.1:1"], "control": "ws://127.0.0.1:2",
    "stats": "http://127.0.0.1:3/v", "insights": "ws://127.0.0.1:4/ws",
}  # fmt: skip
WHOLE = ClassFile(
    ADDRESSES,
    "teacher-token",
    {name: StudentSecrets(f"{name}-pass", f"{name}-token") for name in ("ann", "bob")},
)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    WHOLE.write(tmp_path / "class.json")
    assert ClassFile.read(tmp_path / "class.json") == WHOLE


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_only_its_owner_may_read_it_also_where_others_could_read_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "class.json"
    for there in (False, True):
        if there:
            path.chmod(0o644)
        WHOLE.write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_of_a_student_has_the_secrets_of_nobody_else(tmp_path: Path) -> None:
    WHOLE.of_student("ann").write(tmp_path / "ann.json")
    text = (tmp_path / "ann.json").read_text()
    assert "ann-pass" in text
    assert "bob" not in text
    assert "teacher-token" not in text
    with pytest.raises(LabError, match="no student 'carl'; it has ann, bob"):
        WHOLE.of_student("carl")


def test_no_repr_shows_a_secret() -> None:
    assert "pass" not in repr(WHOLE)
    assert "token" not in repr(WHOLE)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\xff", b'{"kind": "plivo_nb class", "version": 2}']
)
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(LabError, match="is no class file of this version"):
        ClassFile.read(tmp_path / "x.json")
    with pytest.raises(LabError, match="cannot be read"):
        ClassFile.read(tmp_path / "missing.json")


def test_a_file_with_a_part_of_another_type_is_refused(tmp_path: Path) -> None:
    WHOLE.write(tmp_path / "class.json")
    for name in ("addresses", "students"):
        content = json.loads((tmp_path / "class.json").read_text()) | {name: ["x"]}
        (tmp_path / "y.json").write_text(json.dumps(content))
        with pytest.raises(LabError, match="is no class file"):
            ClassFile.read(tmp_path / "y.json")


def test_the_authority_of_the_servers_goes_to_every_student(tmp_path: Path) -> None:
    encrypted = ClassFile(ADDRESSES, "teacher-token", WHOLE.students, "-----BEGIN CERTIFICATE-----")
    encrypted.of_student("ann").write(tmp_path / "ann.json")
    assert json.loads((tmp_path / "ann.json").read_text())["caFile"] == "-----BEGIN CERTIFICATE-----"
    assert ClassFile.read(tmp_path / "ann.json").authority == encrypted.authority
