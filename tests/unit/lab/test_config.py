"""The settings of a lab."""

from __future__ import annotations

import json

import pytest

from plivo_nb.lab.config import LabConfig, accounts_of


def test_settings_cross_as_json() -> None:
    config = LabConfig(
        port=1, accounts={"x": "pass-1"}, seed=3, scenario="vpn", student_tokens={"x": "token-1"}
    )
    assert LabConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert "pass-1" not in repr(config)
    assert "token-1" not in repr(config)


def test_accounts_are_made_of_what_is_given() -> None:
    assert accounts_of(2) == {"alice": "alice-secret", "bob": "bob-secret"}
    assert accounts_of(["dora"]) == {"dora": "dora-secret"}
    assert accounts_of({"dora": "x"}) == {"dora": "x"}


@pytest.mark.parametrize("accounts", [0, 5000, ["a b"], {"": "x"}])
def test_wrong_accounts_are_refused(accounts: object) -> None:
    with pytest.raises(ValueError, match=r"account|user name"):
        accounts_of(accounts)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [-1, 17])
def test_a_lab_has_a_few_workers(workers: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 16 workers, not {workers}"):
        LabConfig(workers=workers)
