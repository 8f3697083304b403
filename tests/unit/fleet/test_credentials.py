"""fleet.credentials: passwords come from the worker's file or environment, and are shown nowhere."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from plivo_nb.fleet.credentials import Credentials, CredentialsError, variable_of


def test_a_password_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variable_of("ann.1@x") == "PLIVO_NB_PASSWORD_ANN_1_X"
    with pytest.raises(CredentialsError, match="set PLIVO_NB_PASSWORD_ANN in its environment"):
        Credentials().password("ann")
    monkeypatch.setenv("PLIVO_NB_PASSWORD_ANN", "wonderland")
    assert Credentials().password("ann") == "wonderland"


def test_a_password_in_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    credentials = Credentials(str(path))
    with pytest.raises(CredentialsError, match="cannot read"):
        credentials.password("ann")
    path.write_text(json.dumps({"ann": "wonderland", "bob": 7}))
    path.chmod(0o600)
    assert credentials.password("ann") == "wonderland"
    for account in ("bob", "carl"):
        with pytest.raises(CredentialsError, match=f"has no password for {account}"):
            credentials.password(account)
    path.write_text("[]")
    with pytest.raises(CredentialsError, match="no file of passwords"):
        credentials.password("ann")


@pytest.mark.skipif(os.name != "posix", reason="files have no mode")
def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"ann": "wonderland"}))
    path.chmod(0o640)
    with pytest.raises(CredentialsError, match=r"Others can read.*chmod 600") as caught:
        Credentials(str(path)).password("ann")
    assert "wonderland" not in str(caught.value)


def test_a_path_is_all_that_goes_to_a_worker_and_given_passwords_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"ann": "wonderland"}))
    path.chmod(0o600)
    credentials = Credentials(str(path))
    credentials.password("ann")
    assert b"wonderland" not in pickle.dumps(credentials)
    assert "wonderland" not in repr(Credentials(given={"ann": "wonderland"}))
