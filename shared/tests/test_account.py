"""Every NX_* variable that is set is accounted for."""

import json

import pytest
from typer.testing import CliRunner

from nexuslims_shared.cli.shell import app
from nexuslims_shared.network import Network
from nexuslims_shared.settings import Environment, Settings
from nexuslims_shared.settings.account import REPLACED, account, account_for
from nexuslims_shared.settings.groups import Numbered


class Lab(Environment, env_prefix="NX_LAB_"):
    url: str


class Clock(Numbered, family="CLOCK"):
    address: str


MODELS = (Settings, Network, Lab, Clock)


def uses(*names: str) -> dict[str, str]:
    return {one.name: one.use for one in account_for(dict.fromkeys(names, "x"), MODELS)}


def test_settings_of_every_group_are_used_also_from_files() -> None:
    names = ["NX_DATA_PATH", "NX_CERT_BUNDLE_FILE", "NX_LAB_URL", "NX_LAB_URL_FILE"]
    names += ["NX_CLOCK_ADDRESS_1", "NX_CLOCK_ADDRESS_12_FILE"]
    assert set(uses(*names).values()) == {"used"}


def test_what_the_incumbent_had_and_we_answer_otherwise_is_named() -> None:
    found = account_for(dict.fromkeys(REPLACED, "x"), MODELS)
    assert {one.use for one in found} == {"replaced"}
    assert all(one.remedy for one in found)


def test_a_family_whose_service_is_not_here_is_no_mistake() -> None:
    assert uses("NX_CDCS_TOKEN", "NX_NEMO_ADDRESS_1", "NX_CDCS_TOKEN_FILE") == {
        "NX_CDCS_TOKEN": "elsewhere",
        "NX_CDCS_TOKEN_FILE": "elsewhere",
        "NX_NEMO_ADDRESS_1": "elsewhere",
    }


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NX_FILE_DELAI_DAYS", "NX_FILE_DELAY_DAYS"),
        ("NX_LAB_ULR", "NX_LAB_URL"),
        ("NX_CLOCK_ADRESS_3", "NX_CLOCK_ADDRESS_3"),
        ("NX_SOMETHING_ELSE_ENTIRELY", ""),
        ("NX_CLOCK_ADDRESS", "NX_CLOCK_ADDRESS"),
    ],
)
def test_a_typo_is_named_with_the_nearest_setting(name: str, meant: str) -> None:
    (one,) = account_for({name: "x", "PATH": "/bin"}, MODELS)
    assert one.use == "unknown"
    assert "correct it, or delete it" in one.remedy
    assert one.remedy.startswith("did you mean") == bool(meant)
    assert meant in one.remedy


def test_the_settings_of_all_that_is_installed_are_known(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_NEMO_STRPTIME_FMT_2", "%Y")
    monkeypatch.setenv("NX_CDCS_TOKEN", "secret")
    given = {one.name: one.use for one in account()}
    assert given["NX_NEMO_STRPTIME_FMT_2"] == given["NX_CDCS_TOKEN"] == "used"


def test_config_check_succeeds_only_without_typos(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    lines = ["NX_INSTRUMENT_DATA_PATH=files", "NX_DATA_PATH=data", "NX_DB_PATH=x.db"]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert CliRunner().invoke(app, ["config", "check"]).exit_code == 0
    (tmp_path / ".env").write_text("\n".join([*lines, "NX_DATA_PAHT=data"]))
    result = CliRunner().invoke(app, ["config", "check", "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {one["name"]: one["use"] for one in document["variables"]}["NX_DATA_PAHT"] == "unknown"
    findings = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["findings"]
    (settings,) = [one for one in findings if one["what"] == "settings"]
    assert "did you mean NX_DATA_PATH?" in settings["problem"]
    assert "import-legacy" in settings["detail"]
