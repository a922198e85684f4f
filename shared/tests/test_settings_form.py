"""The settings as a form: what is offered, what is wrong, and an .env that keeps its comments."""

import pytest

from nexuslims_contracts.errors import PluginError
from nexuslims_contracts.plugins import installed
from nexuslims_shared.cli import edit
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import form
from nexuslims_shared.settings.core import Settings
from nexuslims_shared.settings.display import GROUP
from nexuslims_shared.settings.form import pages, problems, write

FILE = {
    "NX_INSTRUMENT_DATA_PATH": "/files",
    "NX_DATA_PATH": "/data",
    "NX_LOG_LEVEL": "DEBUG",
    "NX_CDCS_URL": "https://cdcs.example.org/",
    "NX_CDCS_TOKEN": "hunter2",
    "NX_NEMO_ADDRESS_2": "https://nemo.example.org/api/",
    "NX_NEMO_TOKEN_2": "hunter2",
}


def entries(displayed):
    return {entry.variable: entry for page in displayed for entry in page.entries}


def page_of(displayed, variable):
    return next(page for page in displayed if variable in entries([page]))


def test_every_setting_is_offered_with_what_it_is_for():
    found = entries(pages(FILE, {}))
    for name in Settings.model_fields:
        assert Settings.variable(name) in found
    for plugin in installed(GROUP).values():
        model = plugin.load()
        assert any(variable.startswith(model.prefix) for variable in found)
    assert [one.variable for one in found.values() if not one.meaning] == []


def test_values_choices_and_defaults():
    found = entries(pages(FILE, {"NX_DATA_PATH": "/other"}))
    assert found["NX_LOG_LEVEL"].value == "DEBUG"
    assert found["NX_LOG_LEVEL"].choices == ("DEBUG", "INFO", "WARNING", "ERROR")
    assert found["NX_LOG_LEVEL"].default == "INFO"
    assert found["NX_DISABLE_SSL_VERIFY"].choices == form.YES_OR_NO
    assert found["NX_INSTRUMENT_DATA_PATH"].required
    assert found["NX_DATA_PATH"].elsewhere
    assert not found["NX_INSTRUMENT_DATA_PATH"].elsewhere
    assert found["NX_CDCS_TOKEN"].secret


def test_a_family_has_its_instances_and_one_more():
    found = entries(pages(FILE, {}))
    assert {"NX_NEMO_TOKEN_2", "NX_NEMO_TOKEN_3"} <= found.keys()
    assert "NX_NEMO_TOKEN_1" not in found
    assert "NX_ICS_ADDRESS_1" in found


def test_problems_are_named_by_variable_and_without_secrets():
    displayed = pages(FILE, {})
    main, cdcs = page_of(displayed, "NX_LOG_LEVEL"), page_of(displayed, "NX_CDCS_TOKEN")
    assert problems(main, FILE) == {}
    assert problems(cdcs, FILE) == {}
    assert set(problems(main, {**FILE, "NX_LOG_LEVEL": "loud", "NX_DATA_PATH": ""})) == {
        "NX_LOG_LEVEL",
        "NX_DATA_PATH",
    }
    wrong = problems(cdcs, {**FILE, "NX_CDCS_TOKEN": "", "NX_CDCS_USER_OWNED_RECORDS": "perhaps"})
    assert set(wrong) == {"NX_CDCS_TOKEN", "NX_CDCS_USER_OWNED_RECORDS"}
    assert "hunter2" not in str(wrong)


def test_a_group_without_any_value_is_not_used():
    displayed = pages({}, {})
    assert problems(page_of(displayed, "NX_CDCS_TOKEN"), {}) == {}
    assert set(problems(page_of(displayed, "NX_DATA_PATH"), {})) == {
        "NX_DATA_PATH",
        "NX_INSTRUMENT_DATA_PATH",
    }


def test_an_env_keeps_its_comments_and_its_mode(tmp_path):
    file = tmp_path / ".env"
    lines = ("# our facility", "NX_DATA_PATH=/data # since 2019", "NX_LOG_LEVEL=DEBUG", "OTHER=1")
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o640)
    kept = write(file, {"NX_LOG_LEVEL": "", "NX_DATA_PATH": "/it's here", "NX_FACILITY": "ours"})
    text = file.read_text()
    assert text.startswith("# our facility\n")
    assert "OTHER=1\n" in text
    assert "NX_LOG_LEVEL" not in text
    assert form_values(file) == {
        "NX_DATA_PATH": "/it's here",
        "OTHER": "1",
        "NX_FACILITY": "ours",
    }
    assert file.stat().st_mode & 0o777 == 0o640
    assert "DEBUG" in (tmp_path / kept).read_text()
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_a_new_env_is_for_its_owner_alone(tmp_path):
    assert write(tmp_path / ".env", {"NX_DATA_PATH": "/data"}) == ""
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def form_values(file):
    from nexuslims_shared.settings.groups import file_variables  # noqa: PLC0415 - next to its use

    return file_variables(file)


class Editor:
    """Stands for what an operator does in the form."""

    def __init__(self, changes):
        self.changes = changes

    def load(self):
        return lambda displayed, given: self.changes if entries(displayed) and given else {}


def test_what_was_changed_in_the_form_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NX_DATA_PATH=/data\n")
    monkeypatch.setattr(edit, "installed", lambda group: {"one": Editor({"NX_FACILITY": "ours"})})
    edit.edit_form()
    assert form_values(tmp_path / ".env") == {"NX_DATA_PATH": "/data", "NX_FACILITY": "ours"}
    assert "NX_FACILITY" in capsys.readouterr().err
    monkeypatch.setattr(edit, "installed", lambda group: {"one": Editor({})})
    edit.edit_form()
    assert "nothing was changed" in capsys.readouterr().err


class Broken:
    """Stands for the form where its extra is not installed."""

    def load(self):
        raise PluginError("No module named 'textual'")


@pytest.mark.parametrize("editors", [{}, {"one": Broken()}])
def test_without_a_form_the_own_editor_is_named(tmp_path, monkeypatch, editors):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(edit, "installed", lambda group: editors)
    with pytest.raises(SettingsError, match="--plain"):
        edit.edit_form()
