from importlib.metadata import EntryPoint

import pytest

from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.plugins import Plugin, installed


def test_installed_plugins_are_found_by_name_and_none_is_loaded() -> None:
    found = installed("pytest11")  # some group that has plugins in every test environment

    assert list(found) == sorted(found)
    assert all(plugin.name == name for name, plugin in found.items())
    assert found


def test_a_group_without_plugins_is_empty() -> None:
    assert installed("nexuslims.nobody-has-this") == {}


def test_a_plugin_is_what_its_entry_point_names() -> None:
    plugin = Plugin("dumps", EntryPoint("dumps", "json:dumps", "group"))

    assert plugin.load()([1]) == "[1]"


def test_a_plugin_that_cannot_be_imported_names_itself_and_the_remedy() -> None:
    plugin = Plugin("bad", EntryPoint("bad", "no_such_module:thing", "group"))

    with pytest.raises(PluginError, match=r"'bad' \(no_such_module:thing\).*reinstall or remove"):
        plugin.load()
