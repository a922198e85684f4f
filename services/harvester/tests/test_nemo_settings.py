"""Settings of a NEMO: where they come from, what is refused, how times are written and read."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from nexuslims_harvester.app import calendars
from nexuslims_harvester.nemo.settings import NemoSettings, read_nemo_settings
from nexuslims_shared.errors import SettingsError

NOON = datetime(2025, 3, 9, 12, tzinfo=UTC)


def nemo(**more):
    return NemoSettings(address="https://nemo.example.org/api/", token=SecretStr("t"), **more)


def test_the_environment_wins_over_the_file_and_numbers_are_apart(
    nemo_settings, tmp_path, monkeypatch
):
    (tmp_path / "token").write_text("from-a-file\n")
    (tmp_path / ".env").write_text(
        "NX_NEMO_ADDRESS_1=https://other.example.org/api/\n"
        "NX_NEMO_ADDRESS_2=https://two.example.org/api\n"
        "NX_NEMO_TOKEN_2_FILE=token\n"
        "NX_NEMO_TZ_2=America/Denver\n"
    )
    one, two = read_nemo_settings("1"), read_nemo_settings("2")
    assert one.address == "https://nemo.example.org/api/"
    assert two.address == "https://two.example.org/api/"
    assert two.token.get_secret_value() == "from-a-file"
    assert (one.zone.key, two.zone.key) == ("UTC", "America/Denver")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ADDRESS", "nemo.example.org", "NX_NEMO_ADDRESS_1='nemo.example.org': not an address"),
        (
            "ADDRESS",
            "https://me:pass-word@nemo.org/",
            "NX_NEMO_ADDRESS_1='https://(hidden)@nemo.org/'",
        ),
        ("TOKEN", "pass-word\nX-Other: 1", "NX_NEMO_TOKEN_1=(hidden): not a token"),
        ("TOKEN", "pass-wörd", "NX_NEMO_TOKEN_1=(hidden): not a token"),
        ("TZ", "Mars/Olympus", "NX_NEMO_TZ_1='Mars/Olympus': not an IANA time zone"),
        ("SINCE", "soon", "NX_NEMO_SINCE_1='soon'"),
        ("SINCE", "0001-01-01", "NX_NEMO_SINCE_1='0001-01-01': not from 1970 on"),
    ],
)
def test_what_is_wrong_is_named_without_the_secret(
    nemo_settings, monkeypatch, variable, value, words
):
    monkeypatch.setenv(f"NX_NEMO_{variable}_1", value)
    with pytest.raises(SettingsError) as caught:
        read_nemo_settings("1")
    assert words in str(caught.value)
    assert "pass-w" not in str(caught.value)


def test_what_is_missing_is_named(nemo_settings):
    with pytest.raises(SettingsError, match="NX_NEMO_ADDRESS_3 is not set") as caught:
        read_nemo_settings("3")
    assert "NX_NEMO_TOKEN_3 is not set" in str(caught.value)


def test_a_file_that_is_not_there_is_named(nemo_settings, monkeypatch):
    monkeypatch.delenv("NX_NEMO_TOKEN_1")
    monkeypatch.setenv("NX_NEMO_TOKEN_1_FILE", "/nowhere")
    with pytest.raises(SettingsError, match="NX_NEMO_TOKEN_1_FILE=/nowhere: cannot be read"):
        read_nemo_settings("1")


def test_a_token_given_instead_of_its_file_is_not_repeated(nemo_settings, monkeypatch):
    monkeypatch.delenv("NX_NEMO_TOKEN_1")
    monkeypatch.setenv("NX_NEMO_TOKEN_1_FILE", "pass-word")
    with pytest.raises(SettingsError, match=r"NX_NEMO_TOKEN_1_FILE=\(hidden\)") as caught:
        read_nemo_settings("1")
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('calendar = "nemo-1"\ncalendar_id = "1"', None),
        ('calendar = "nemo-1"', "calendar_id = '' must be the number of its tool"),
        ('calendar = "outlook"', "calendar 'outlook' is of no kind that is installed (file, "),
        ('calendar = "nemo-2"\ncalendar_id = "1"', "NX_NEMO_ADDRESS_2 is not set"),
    ],
)
def test_an_instrument_names_a_calendar_that_is_there(nemo_settings, tmp_path, more, words):
    (tmp_path / "instruments.toml").write_text(
        f'[[instrument]]\npid = "titan"\nfilestore_path = "Titan"\n{more}\n'
    )
    if words is None:
        assert [one.name for one in calendars(nemo_settings)] == ["nemo-1"]
    else:
        with pytest.raises(SettingsError) as caught:
            calendars(nemo_settings)
        assert words in str(caught.value)


def test_times_are_instants_whatever_the_zone_setting_says():
    """The zone is for times without an offset; an offset that is given is never replaced."""
    settings = nemo(tz="America/Denver")
    assert settings.read("2025-03-09T12:00:00+00:00") == NOON
    assert settings.read("2025-03-09T06:00:00-06:00") == NOON
    assert settings.read("2025-03-09T06:00:00") == NOON
    assert settings.read("2025-03-09T06:00:00.500000") == NOON + timedelta(seconds=0.5)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_that_nobody_can_reckon_with_are_refused(text):
    with pytest.raises(ValueError, match="is in no year"):
        nemo().read(text)


def test_times_are_written_in_the_form_asked_for():
    assert nemo().written(NOON) == "2025-03-09T12:00:00Z"
    assert nemo(strftime_fmt="%Y-%m-%dT%H:%M:%S%z").written(NOON) == "2025-03-09T12:00:00+0000"
    local = nemo(tz="America/Denver", strftime_fmt="%Y-%m-%d %H:%M")
    assert local.written(NOON) == "2025-03-09 06:00"


def test_a_form_of_times_that_does_not_fit_all_of_them():
    settings = nemo(strptime_fmt="%Y-%m-%dT%H:%M:%S%z")
    assert settings.read("2025-03-09T12:00:00+0000") == NOON
    assert settings.read("2025-03-09T12:00:00.5+00:00") == NOON + timedelta(seconds=0.5)
    assert nemo(strptime_fmt="%d.%m.%Y %H:%M").read("09.03.2025 12:00") == NOON
