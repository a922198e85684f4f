"""Finding destinations by the settings, and the fake one under the suite."""

from importlib.metadata import EntryPoint

import pytest

from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.plugins import Plugin
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import read_settings
from nexuslims_uploader import destination as module
from nexuslims_uploader.archive import ArchiveDestination
from nexuslims_uploader.destination import load_destinations
from nexuslims_uploader.testing import DestinationBehaviour, FakeDestination


class TestFake(DestinationBehaviour):
    @pytest.fixture
    def destination(self) -> FakeDestination:
        return FakeDestination()

    @pytest.fixture
    def held(self, destination):
        return lambda: {session: [xml] for session, xml in destination.records.items()}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three destinations, one of which goes by a wrong name."""

    class Point:
        dist = None
        value = "x"

        def __init__(self, name: str, priority: int) -> None:
            self.name, self.priority = name, priority

        def load(self):
            return lambda settings: FakeDestination(self.name, self.priority)

    points = {"low": Point("low", 1), "high": Point("high", 9), "odd": Point("else", 1)}
    monkeypatch.setattr(
        module, "installed", lambda group: {name: Plugin(name, points[name]) for name in points}
    )


def test_the_archive_is_installed(settings) -> None:
    (archive,) = load_destinations(settings)
    assert isinstance(archive, ArchiveDestination)


def test_those_with_settings_are_used_if_none_is_named(settings, monkeypatch, tmp_path) -> None:
    """As the incumbent's settings are: an address and a token, and records go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NX_ELABFTW_URL", "")
    monkeypatch.setenv("NX_LABARCHIVES_USER_ID_FILE", str(tmp_path / "not there"))
    (tmp_path / ".env").write_text("NX_CDCS_URL=https://cdcs.example.org\n")
    with pytest.raises(SettingsError, match="NX_CDCS_TOKEN is not set"):
        load_destinations(settings)
    (tmp_path / "token").write_text("abc")
    monkeypatch.setenv("NX_CDCS_TOKEN_FILE", str(tmp_path / "token"))
    assert [one.name for one in load_destinations(settings)] == ["archive", "cdcs"]
    only = settings.model_copy(update={"destinations": ("archive",)})
    assert [one.name for one in load_destinations(only)] == ["archive"]


@pytest.mark.parametrize(
    ("value", "names"), [("", None), ("[]", ()), ("a,b", ("a", "b")), ('["a"]', ("a",))]
)
def test_the_setting_is_a_list(monkeypatch, tmp_path, value, names) -> None:
    monkeypatch.setenv("NX_DESTINATIONS", value)
    paths = {"instrument_data_path": tmp_path, "data_path": tmp_path}
    assert read_settings(**paths).destinations == names


def test_they_come_in_order_of_priority(settings, installed) -> None:
    chosen = settings.model_copy(update={"destinations": ("low", "high")})
    assert [one.name for one in load_destinations(chosen)] == ["high", "low"]


@pytest.mark.parametrize("names", [(), ("nowhere",), ("archive", "archive"), ("archive", "")])
def test_a_wrong_setting_is_named(settings, names) -> None:
    wrong = settings.model_copy(update={"destinations": names})
    with pytest.raises(SettingsError, match=r"NX_DESTINATIONS=.*") as caught:
        load_destinations(wrong)
    assert "archive" in str(caught.value)


def test_a_destination_must_keep_its_name(settings, installed) -> None:
    with pytest.raises(PluginError, match=r"'odd'.*'else'"):
        load_destinations(settings.model_copy(update={"destinations": ("odd",)}))


def test_a_broken_plugin_is_named(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("bad", "nexuslims_uploader.nothing:create", module.DESTINATIONS)
    monkeypatch.setattr(module, "installed", lambda group: {"bad": Plugin("bad", point)})
    with pytest.raises(PluginError, match="'bad'"):
        load_destinations(settings.model_copy(update={"destinations": ("bad",)}))
