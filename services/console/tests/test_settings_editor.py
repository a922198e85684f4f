"""The form of the settings in a terminal: what is typed is checked, secrets stay hidden."""

import pytest
from textual.widgets import Input, Select, TabbedContent

from nexuslims_console.settings_editor import LeaveScreen, Row, SettingsEditor
from nexuslims_shared.settings.form import pages

FILE = {
    "NX_INSTRUMENT_DATA_PATH": "/files",
    "NX_DATA_PATH": "/data",
    "NX_LOG_LEVEL": "DEBUG",
    "NX_CDCS_URL": "https://cdcs.example.org/",
    "NX_CDCS_TOKEN": "hunter2",
    "NX_NEMO_ADDRESS_2": "https://nemo.example.org/api/",
    "NX_NEMO_TOKEN_2": "hunter2",
}
SOME = ("NX_LOG_LEVEL", "NX_CDCS_TOKEN", "NX_NEMO_TOKEN_2")


@pytest.fixture
def editor():
    displayed = [
        page for page in pages(FILE, {}) if any(one.variable in SOME for one in page.entries)
    ]
    return SettingsEditor(displayed, FILE)


async def test_a_value_that_is_typed_is_checked_and_saved(editor):
    async with editor.run_test(size=(100, 40)) as pilot:
        level = editor.query_one("#NX_LOG_LEVEL", Select)
        level.value = "ERROR"
        editor.query_one("#NX_FACILITY", Input).value = "no such id!"
        await pilot.pause()
        row = editor.query_one("#row-NX_FACILITY", Row)
        assert row.query_one(".problem").display
        await pilot.press("ctrl+s")
        assert editor.is_running
        assert editor.focused.id == "NX_FACILITY"
        editor.query_one("#NX_FACILITY", Input).value = "ours"
        await pilot.pause()
        assert not row.query_one(".problem").display
        await pilot.press("ctrl+s")
    assert editor.return_value == {"NX_LOG_LEVEL": "ERROR", "NX_FACILITY": "ours"}


async def test_a_secret_is_not_displayed_and_stays(editor):
    async with editor.run_test(size=(100, 40)) as pilot:
        token = editor.query_one("#NX_CDCS_TOKEN", Input)
        assert (token.value, token.password) == ("", True)
        token.value = "new"
        await pilot.pause()
        token.value = ""
        await pilot.pause()
        await pilot.press("ctrl+s")
    assert editor.return_value == {}


async def test_leaving_asks_where_something_was_changed(editor):
    async with editor.run_test(size=(100, 40)) as pilot:
        editor.query_one("#NX_FACILITY", Input).value = "ours"
        await pilot.pause()
        await pilot.press("ctrl+q")
        assert isinstance(editor.screen, LeaveScreen)
        await pilot.click("#stay")
        assert editor.is_running
        await pilot.press("ctrl+q")
        await pilot.click("#leave")
    assert editor.return_value is None


async def test_each_group_has_a_tab(editor):
    async with editor.run_test(size=(100, 40)):
        titles = {str(tab.label) for tab in editor.query_one(TabbedContent).query("ContentTab")}
    assert titles == {"Facility", "Cdcs", "Nemo 2"}
