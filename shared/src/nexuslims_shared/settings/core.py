"""The settings of the facility as a whole, of the services and of the command line."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from nexuslims_contracts.periods import PeriodLength
from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings.groups import Environment, read


class Settings(Environment):
    """Every setting of the services; names and defaults of the incumbent where it has them.

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
    facility: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9._-]{0,64}$",
            description="Id of the facility, which its log carries; made by provision if empty",
        ),
    ] = ""
    log_path: Annotated[Path | None, Field(description="NX_STATE_PATH/logs if unset")] = None
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least level of the logs")
    ] = "INFO"

    nats_url: Annotated[str, Field(description="The broker; the embedded one if empty")] = ""
    nats_nkey: Annotated[
        SecretStr | None, Field(description="Seed of this process's user at the broker")
    ] = None
    nats_credentials: Annotated[
        Path | None, Field(description="Folder with a seed for each user, USER.nk; instead of one")
    ] = None
    nats_ca: Annotated[
        str, Field(description="Certificates of the broker to trust, alone: PEM, or its file")
    ] = ""
    stream_replicas: Annotated[int, Field(ge=1, le=5, description="1 or, in a cluster, 3")] = 1
    periods: Annotated[
        PeriodLength, Field(description="How long the log's periods are, each a stream of its own")
    ] = "all"
    database_url: Annotated[
        str, Field(description="Read model; SQLite in NX_STATE_PATH if empty")
    ] = ""
    http_host: Annotated[str, Field(description="Where health and metrics are served")] = (
        "127.0.0.1"
    )
    http_port: Annotated[int, Field(ge=0, le=65535, description="Health and metrics; 0: off")] = 0
    free_space_mb: Annotated[
        int, Field(ge=0, description="What must be free on the disks that are written to")
    ] = 500
    stalled_minutes: Annotated[
        float, Field(gt=0, description="How long due work may wait before somebody is to look")
    ] = 30.0
    shutdown_grace: Annotated[float, Field(gt=0, description="Seconds to finish work in")] = 20.0

    instruments_file: Annotated[Path, Field(description="The instruments")] = Path(
        "instruments.toml"
    )
    calendar_file: Annotated[Path, Field(description="The calendar that is a file")] = Path(
        "calendar.toml"
    )
    harvest_interval: Annotated[float, Field(gt=0, description="Seconds between harvests")] = 60.0
    harvest_overlap_days: Annotated[
        float, Field(ge=0, le=3650, description="How far behind the last session edits are found")
    ] = 7.0
    harvest_sweep_hours: Annotated[
        float, Field(ge=0, le=8760, description="Each session ever harvested is compared; 0: never")
    ] = 24.0
    harvest_quiet_hours: Annotated[
        str,
        Field(pattern=r"^([01]?\d|2[0-3])-([01]?\d|2[0-4])$", description="Preferred for sweeps"),
    ] = "1-5"
    harvest_brake: Annotated[
        int, Field(ge=0, description="Sessions that may vanish in a day without an operator's word")
    ] = 10
    consent_answers: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="Answers that are consent; any other answer is a refusal"),
    ] = ("agree", "I agree", "yes", "accept", "consent", "true")

    file_strategy: Annotated[
        Literal["exclusive", "inclusive"], Field(description="Files of known formats, or all files")
    ] = "exclusive"
    ignore_patterns: Annotated[
        tuple[str, ...], Field(description="Names that are never a session's files")
    ] = ("*.db", "*.emi", "*.hdr")
    file_delay_days: Annotated[
        float, Field(gt=0, description="How long after its end files of a session may appear")
    ] = 2.0
    file_settle_seconds: Annotated[
        float, Field(ge=0, description="How long size and time of a file hold still before it is")
    ] = 5.0
    file_grace_minutes: Annotated[
        float, Field(ge=0, le=1440, description="How long after its end a session's files close")
    ] = 10.0
    file_sweep_hours: Annotated[
        float, Field(gt=0, description="How often the whole store is looked through")
    ] = 24.0
    file_watch: Annotated[
        Literal["auto", "off"], Field(description="Whether local disks tell of changes at once")
    ] = "auto"

    local_profiles_path: Annotated[
        Path | None, Field(description="Python files with the facility's instrument profiles")
    ] = None
    extractor_workers: Annotated[int, Field(ge=1, description="Files read at once")] = 2
    extractor_timeout: Annotated[float, Field(gt=0, description="Seconds for one file")] = 300.0
    extractor_memory_mb: Annotated[int, Field(ge=256, description="For one worker")] = 4096
    extractor_recycle: Annotated[
        int, Field(ge=1, description="Files a worker reads in its life")
    ] = 200

    clustering_sensitivity: Annotated[
        float, Field(ge=0, description="Higher: more activities; 0: one")
    ] = 1.0
    clustering_method: Annotated[
        Literal["gaps", "kde"], Field(description="By pauses, or by density as the incumbent does")
    ] = "gaps"
    clustering_evidence: Annotated[
        bool, Field(description="Whether techniques and acquisition times count beside file times")
    ] = True

    record_vendor_trees: Annotated[
        bool, Field(description="Whether records hold all tags of the vendors' software too")
    ] = False

    earlier_records: Annotated[
        Literal["rebuild", "upload", "off"],
        Field(description="What a new builder does with records of an earlier release"),
    ] = "rebuild"
    earlier_records_share: Annotated[
        float, Field(gt=0, le=1, description="Of one builder's time, for those records")
    ] = 0.25

    export_strategy: Annotated[
        Literal["all", "first_success", "best_effort"],
        Field(description="Which destinations have to hold a record"),
    ] = "all"
    curation_look_hours: Annotated[
        float, Field(ge=0, description="How often what people added is looked for; 0: never")
    ] = 24.0
    verify_hours: Annotated[
        float, Field(ge=0, description="How often each record is verified slowly; 0: never")
    ] = 168.0
    data_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://\S+)?$", description="Of NX_DATA_PATH, as readers' links have it"
        ),
    ] = ""
    instrument_data_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://\S+)?$",
            description="Of NX_INSTRUMENT_DATA_PATH, as readers' links have it",
        ),
    ] = ""
    upload_concurrency: Annotated[int, Field(ge=1, description="Sessions uploaded at once")] = 4
    destinations: Annotated[
        tuple[str, ...] | None,
        Field(description="Where records go; the archive, and all that have settings, if unset"),
    ] = None

    @field_validator("nats_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        """Refuse what the client would only stumble over when it connects."""
        for server in filter(None, map(str.strip, value.split(","))):
            try:
                parts = urlsplit(server if "://" in server else f"nats://{server}")
                usable = bool(parts.hostname) and parts.port != 0
            except ValueError:
                usable = False
            if not usable:
                raise ValueError("not an address such as nats://broker.example.org:4222")
        return value

    @field_validator("ignore_patterns", "destinations", "consent_answers", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        """Take a JSON list, as the incumbent does, or names separated by commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            import json  # noqa: PLC0415 - only for this form

            return tuple(json.loads(value))
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("destinations", "nats_nkey", "nats_credentials", mode="before")
    @classmethod
    def _is_unset(cls, value: Any) -> Any:
        """Take an empty text, as compose files write, for none."""
        return None if value == "" else value

    @classmethod
    def variable(cls, name: str, number: str = "") -> str:
        """Return the environment variable of a field; the broker's is what all programs call it."""
        return "NATS_URL" if name == "nats_url" else super().variable(name, number)

    @classmethod
    def aliases(cls, name: str) -> tuple[str, ...]:
        """Return the other name of the broker's address."""
        return ("NX_NATS_URL",) if name == "nats_url" else ()

    @property
    def has_periods(self) -> bool:
        """Whether the log has more than one period."""
        return self.periods != "all"

    @property
    def quiet_hours(self) -> tuple[int, int]:
        """When few people are at work: the first hour, and the one after the last, local time."""
        first, after = self.harvest_quiet_hours.split("-")
        return int(first), int(after)

    @property
    def stalled_seconds(self) -> float:
        """How long due work may wait before somebody is to look."""
        return self.stalled_minutes * 60

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


def read_settings(**overrides: Any) -> Settings:
    """Read the settings of the facility; see :func:`nexuslims_shared.settings.read`."""
    return read(Settings, **overrides)


def make_state_folder(path: Path) -> Path:
    """Make the folder of ``NX_STATE_PATH``, if it is not there, for its owner's eyes only.

    Logs and the read model have titles of sessions and names of people. A folder that is there
    stays as it is: whoever made it decides who may look.

    Raises
    ------
    SettingsError
        If that is not possible.
    """
    return make_folder(path, "NX_STATE_PATH", mode=0o700)


def make_folder(path: Path, setting: str, *, mode: int = 0o777) -> Path:
    """Make the folder that a setting names, if it is not there.

    Parameters
    ----------
    path
        Of the folder.
    setting
        The variable, for the message.
    mode
        Who may look into a new one, as far as the umask allows.

    Raises
    ------
    SettingsError
        If that is not possible.
    """
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"{setting}={path}: cannot be made a folder ({reason})") from error
    return path
