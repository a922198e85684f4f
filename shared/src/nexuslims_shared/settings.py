"""Settings: ``NX_*`` from the environment or ``.env``, secrets also from files."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.secret_names import is_secret


class Environment(BaseSettings):
    """A group of settings: a model that :func:`read` fills; a prefix longer than ``NX_`` is its."""

    model_config = SettingsConfigDict(
        env_prefix="NX_", env_file=".env", extra="ignore", frozen=True, validate_default=True
    )


class Settings(Environment):
    """Every setting of the spine; names and defaults of the incumbent where it has them.

    Relative paths start at the working directory, the facility's folder.
    """

    instrument_data_path: Annotated[
        Path, Field(description="Where the instruments' files are; only ever read")
    ]
    data_path: Annotated[Path, Field(description="Where previews, metadata, records are written")]
    records_path: Annotated[
        Path | None, Field(description="Where records are written; NX_DATA_PATH/records if unset")
    ] = None
    state_path: Annotated[
        Path, Field(description="Embedded broker, read model and logs; on a local disk")
    ] = Path("state")
    log_path: Annotated[Path | None, Field(description="NX_STATE_PATH/logs if unset")] = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    nats_url: Annotated[
        str,
        Field(
            description="The broker; the embedded one if empty",
            validation_alias=AliasChoices("NATS_URL", "NX_NATS_URL", "nats_url"),
        ),
    ] = ""
    stream_replicas: Annotated[int, Field(ge=1, le=5, description="1 or, in a cluster, 3")] = 1
    database_url: Annotated[
        str, Field(description="Read model; SQLite in NX_STATE_PATH if empty")
    ] = ""
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="Health and metrics; 0: off")] = 0
    shutdown_grace: Annotated[float, Field(gt=0, description="Seconds to finish work in")] = 20.0

    instruments_file: Path = Path("instruments.toml")
    calendar_file: Path = Path("calendar.toml")
    harvest_interval: Annotated[float, Field(gt=0, description="Seconds between harvests")] = 60.0
    harvest_overlap_days: Annotated[
        float, Field(ge=0, le=3650, description="How far behind the last session edits are found")
    ] = 7.0

    file_strategy: Literal["exclusive", "inclusive"] = "exclusive"
    ignore_patterns: Annotated[tuple[str, ...], NoDecode] = ("*.mib", "*.db", "*.emi", "*.hdr")
    file_delay_days: Annotated[
        float, Field(gt=0, description="How long after its end files of a session may appear")
    ] = 2.0

    local_profiles_path: Annotated[
        Path | None, Field(description="Python files with the facility's instrument profiles")
    ] = None
    extractor_workers: Annotated[int, Field(ge=1)] = 2
    extractor_timeout: Annotated[float, Field(gt=0, description="Seconds for one file")] = 300.0
    extractor_memory_mb: Annotated[int, Field(ge=256, description="For one worker")] = 4096
    extractor_recycle: Annotated[
        int, Field(ge=1, description="Files a worker reads in its life")
    ] = 200

    clustering_sensitivity: Annotated[float, Field(ge=0)] = 1.0
    clustering_method: Literal["kde", "gaps"] = "kde"

    export_strategy: Literal["all", "first_success", "best_effort"] = "all"
    upload_concurrency: Annotated[int, Field(ge=1, description="Sessions uploaded at once")] = 4
    destinations: Annotated[
        tuple[str, ...] | None,
        NoDecode,
        Field(description="Where records go; the archive, and all that have settings, if unset"),
    ] = None

    @field_validator("ignore_patterns", "destinations", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """Take a JSON list, as the incumbent does, or names separated by commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            import json  # noqa: PLC0415 - only for this form

            return tuple(json.loads(value))
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("destinations", mode="before")
    @classmethod
    def _is_unset(cls, value: Any) -> Any:
        """Take an empty text, as compose files write, for none."""
        return None if value == "" else value

    @property
    def records(self) -> Path:
        """Where records are written."""
        return self.records_path or self.data_path / "records"

    @property
    def logs(self) -> Path:
        """Where ``nexuslims up`` writes the services' logs."""
        return self.log_path or self.state_path / "logs"

    @property
    def read_model_url(self) -> str:
        """SQLAlchemy address of the read model."""
        return self.database_url or f"sqlite:///{self.state_path / 'nexuslims.db'}"


E = TypeVar("E", bound=Environment)


def read_settings(**overrides: Any) -> Settings:
    """Read the settings of the spine; see :func:`read`."""
    return read(Settings, **overrides)


def read(model: type[E], **overrides: Any) -> E:
    """Read a group of settings; values given here win over the environment.

    Parameters
    ----------
    model
        The group; a plugin that has settings of its own makes a model for them.

    Raises
    ------
    SettingsError
        If one is missing or wrong: its name, its value (never a secret's) and the remedy.
    """
    try:
        return model(**{**_from_files(model), **overrides})
    except ValidationError as error:
        lines = [_explain(model, detail) for detail in error.errors(include_url=False)]
        raise SettingsError("\n".join(lines)) from None


@lru_cache(maxsize=1)
def variable_names() -> frozenset[str]:
    """Names of all environment variables that the settings read."""
    return frozenset(variable_of(Settings, name) for name in Settings.model_fields)


def make_folder(path: Path, setting: str) -> Path:
    """Make the folder that a setting names, if it is not there.

    Raises
    ------
    SettingsError
        If that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"{setting}={path}: cannot be made a folder ({reason})") from error
    return path


def any_given(prefix: str) -> bool:
    """Tell whether a setting whose name begins so is given; an empty one is not.

    Nor is one that is to come from a file which is not there.
    """
    given = {**dotenv_values(".env"), **os.environ}
    return any(
        not name.endswith("_FILE") or Path(value).exists()
        for name, value in given.items()
        if value and name.startswith(prefix)
    )


def _from_files(model: type[Environment]) -> dict[str, Any]:
    """Read ``NX_<NAME>_FILE`` for each setting that is not given itself."""
    given = {**dotenv_values(".env"), **os.environ}
    found: dict[str, Any] = {}
    for name in model.model_fields:
        variable = variable_of(model, name)
        path = given.get(f"{variable}_FILE")
        if path and variable not in given and f"{variable}_FILE" not in variable_names():
            try:
                found[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                raise SettingsError(f"{variable}_FILE={path}: cannot be read ({reason})") from error
    return found


def variable_of(model: type[Environment], name: str) -> str:
    """Name of the environment variable of a setting."""
    if name == "nats_url":  # as every program calls it
        return "NATS_URL"
    return f"{model.model_config['env_prefix']}{name}".upper()


def _explain(model: type[Environment], detail: Any) -> str:
    name = str(detail["loc"][0])
    variable = name if name.isupper() else variable_of(model, name)
    if detail["type"] == "missing":
        return f"{variable} is not set: put it into the environment or into .env"
    secret = is_secret(variable) or "@" in str(detail["input"])
    value = "(hidden)" if secret else repr(str(detail["input"]))
    return f"{variable}={value}: {detail['msg'].removeprefix('Value error, ')}"
