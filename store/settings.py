"""Settings: one frozen object, built from defaults < `gaugebook.toml` < `GAUGEBOOK_*` < arguments."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from store.errors import SettingsError

PREFIX = "GAUGEBOOK_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
TEST_PREFIX = f"{PREFIX}TEST_"  # the test suite's own switches are not settings


def default_home() -> Path:
    """Where the embedded server and reports live: root's under /var/lib, anyone else's under the user data folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/gaugebook")  # /root is closed to the user that the server must run as
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "gaugebook"


def _split(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


# In the environment: names with commas between them.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """What a process needs to know. Build it with `load()`; it never changes afterwards."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    dsn: SecretStr | None = Field(None, description="PostgreSQL connection string; none: the embedded server")
    dsn_read: SecretStr | None = Field(None, description="connection string of a replica that analyses read from")
    database: str = Field(
        "gaugebook", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="database on the embedded server"
    )
    home: Path = Field(default_factory=default_home, description="folder of the embedded server")
    reports: Path = Field(Path("reports"), description="folder that reports are written to")
    schedule: Path | None = Field(None, description="schedule (TOML) of `gaugebook tick`; none: the one shipped")
    parallel: int = Field(2, ge=1, le=256, description="jobs of the schedule that a tick makes at the same time")
    dask_scheduler: str | None = Field(
        None, description="address of a Dask cluster for jobs of the schedule with engine = dask"
    )
    keep_report_runs: int | None = Field(
        None, ge=1, description="runs of each report whose pages, notebooks and numbers are kept; none: all"
    )
    keep_report_days: int | None = Field(None, ge=1, description="days that they are kept; none: for ever")
    data: Path | None = Field(None, description="folder of real traces for `gaugebook demo --data` and the tests")
    connect_timeout_s: int = Field(10, ge=1, le=600, description="seconds to wait for the database")
    rabbitmq_url: str = Field(
        "http://guest:guest@127.0.0.1:15672", repr=False, description="RabbitMQ management address"
    )
    rabbitmq_user: str | None = Field(None, description="RabbitMQ user; none: the one in the address")
    rabbitmq_password: SecretStr | None = Field(None, description="its password; none: the one in the address")
    rabbitmq_password_file: Path | None = Field(None, description="file with its password, read again when it changes")
    rabbitmq_token: SecretStr | None = Field(None, description="OAuth 2 token, instead of user and password")
    rabbitmq_token_file: Path | None = Field(None, description="file with the token, read again when it changes")
    rabbitmq_ca: Path | None = Field(None, description="CA (PEM) of the broker's certificate; none: the system's")
    rabbitmq_cert: Path | None = Field(None, description="our certificate (PEM), where the broker asks for one")
    rabbitmq_key: Path | None = Field(None, description="its key (PEM); none: it is in the file of the certificate")
    rabbitmq_timeout_s: float = Field(10.0, gt=0, le=600, description="seconds to wait for one answer of a broker")
    rabbitmq_source: Literal["auto", "native", "management", "kbudde"] = Field(
        "auto",
        description="what is asked: the Prometheus plugin, the management API, an exporter, or the best there is",
    )
    rabbitmq_prometheus_url: Names = Field(
        (), repr=False, description="addresses of the Prometheus plugin, one a node; none: those the broker names"
    )
    rabbitmq_exporter_url: str | None = Field(
        None, repr=False, description="address of a kbudde/rabbitmq_exporter, where the broker itself cannot be asked"
    )
    rabbitmq_interval_s: float = Field(15.0, gt=0, le=3600, description="seconds between two samples of a broker")
    rabbitmq_top: int = Field(
        50, ge=0, le=10_000, description="queues that get detail and rows of their own; the others are added up"
    )
    rabbitmq_detail: Names = Field((), description="queues that are among them whatever their depth: globs, re:REGEX")
    rabbitmq_vhosts: Names = Field((), description="vhosts to look at: globs, re:REGEX, !EXCEPTION; none: all")
    rabbitmq_queues: Names = Field((), description="queues to look at: globs, re:REGEX, !EXCEPTION; none: all")
    rabbitmq_types: Annotated[tuple[Literal["classic", "quorum", "stream"], ...], NoDecode, BeforeValidator(_split)] = (
        Field((), description="types of queues to look at; none: all")
    )
    metrics_address: str = Field("127.0.0.1", description="address that a collector serves /metrics on")
    metrics_port: int = Field(
        9466, ge=0, le=65535, description="port that a collector serves /metrics on; 0: any free one"
    )
    otlp_address: str = Field("127.0.0.1", description="address that OTLP is received on")
    otlp_port: int = Field(4318, ge=0, le=65535, description="port that OTLP is received on; 0: any free one")
    otlp_body_mb: int = Field(16, ge=1, le=256, description="megabytes of one OTLP request, compressed or not, at most")
    otlp_in_flight_mb: int = Field(
        64, ge=1, description="megabytes of OTLP requests in memory at once; beyond it senders are told to come back"
    )
    service_address: str = Field("127.0.0.1", description="address that `gaugebook serve` takes rows on")
    service_port: int = Field(8466, ge=0, le=65535, description="its port; 0: any free one")
    service_keys: Path | None = Field(
        None, description="file of the keys that may send to it; none: `home`/service-keys.json"
    )
    service_cert: Path | None = Field(None, description="certificate (PEM) of `gaugebook serve`; none: plain HTTP")
    service_cert_key: Path | None = Field(None, description="its key (PEM); none: it is in the file of the certificate")
    service_client_ca: Path | None = Field(
        None, description="CA (PEM) of clients, which then need a certificate besides a key; none: a key is enough"
    )
    service_body_mb: int = Field(4, ge=1, le=256, description="megabytes of one batch, compressed or not, at most")
    service_in_flight_mb: int = Field(
        16, ge=1, description="megabytes of batches in memory at once; beyond it senders are told to come back"
    )
    spool: Path | None = Field(None, description="folder where rows wait for the database; none: `home`/spool")
    spool_mb: int = Field(1024, ge=1, description="megabytes that wait at most; beyond it the oldest are dropped")
    spool_fsync: Literal["each", "interval", "none"] = Field(
        "interval", description="when waiting rows are forced to disk: each batch, every second, when the system likes"
    )
    dead_letters: Path | None = Field(None, description="folder of refused rows; none: `home`/dead-letters")
    source_precedence: Names = Field(
        ("tap", "otlp", "otlp_log", "litellm", "langfuse", "helicone"),
        description="of two sources that report one request, the first of these is kept",
    )
    precedence_window_s: float = Field(
        120.0, ge=0, le=3600, description="seconds by which their clocks may differ; 0: every report is a request"
    )
    keep_raw_days: int | None = Field(None, ge=1, description="days that raw rows are kept; none: for ever")
    keep_hourly_days: int | None = Field(None, ge=1, description="days that hourly rollups are kept; none: for ever")
    compress_after_days: int = Field(
        14, ge=1, description="days after which TimescaleDB compresses raw rows into its column store"
    )
    refresh_every_s: float = Field(60.0, ge=1, le=86400, description="seconds between two refreshes of the rollups")
    backups: Path | None = Field(None, description="folder of backups and archived WAL; none: `home`/backups")
    keep_backups: int = Field(7, ge=1, description="full backups to keep, with all that they need")
    prometheus_url: str | None = Field(
        None, description="Prometheus address that `doctor --watch` asks, and whose data is backed up too"
    )
    openai_admin_key: SecretStr | None = Field(None, description="admin key that reads OpenAI's usage and cost reports")
    anthropic_admin_key: SecretStr | None = Field(
        None, description="admin key that reads Anthropic's usage and cost reports"
    )
    llm_prices: Path | None = Field(
        None, description="price file (TOML) that wins over the catalogue; none: the catalogue"
    )
    llm_estimate_usage: bool = Field(
        default=False, description="guess the tokens of an LLM call that the provider does not report"
    )
    llm_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://.", description="OTLP/HTTP address that gen_ai.* metrics are pushed to; none: nowhere"
    )
    llm_otlp_interval_s: float = Field(15.0, gt=0, le=3600, description="seconds between two pushes")
    llm_budgets: Literal["off", "fail_open", "fail_closed"] = Field(
        "off", description="whether budgets hold back LLM calls, and what becomes of calls while their ledger is away"
    )
    llm_lease_s: int = Field(
        600, ge=1, le=86400, description="seconds that a call may take before budgets book its worst case"
    )
    llm_max_output_tokens: int | None = Field(
        None, ge=1, description="output tokens reserved for a call without a maximum; none: all its model can write"
    )
    llm_fit_max_tokens: bool = Field(
        default=False, description="whether a call's maximum of output tokens is lowered to what its budgets have left"
    )
    llm_unpriced: Literal["allow", "refuse"] = Field(
        "allow", description="what becomes of a call that a budget counts and whose price is not known"
    )
    team: str = Field("unassigned", description="team that the LLM calls of this process belong to")
    project: str = Field("unassigned", description="project that the LLM calls of this process belong to")
    environment: str = Field("default", description="environment that the LLM calls of this process belong to")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings  # not among our sources
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def config_file() -> Path:
    """The configuration file: `GAUGEBOOK_CONFIG`, else `gaugebook.toml` in the working folder."""
    return Path(os.environ.get(CONFIG_VARIABLE) or "gaugebook.toml")


def load(**overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment, which wins over the file.

    Raises:
        SettingsError: a key is unknown or a value does not fit; names the key and where it was found.

    >>> load(rabbitmq_interval_s=5).rabbitmq_interval_s
    5.0
    """
    if CONFIG_VARIABLE in os.environ and not config_file().is_file():
        raise SettingsError("config", CONFIG_VARIABLE, f"there is no file {config_file()}")
    for variable in os.environ:
        key = variable.removeprefix(PREFIX).lower()
        known = variable == CONFIG_VARIABLE or variable.startswith(TEST_PREFIX) or key in Settings.model_fields
        if variable.startswith(PREFIX) and not known:
            raise SettingsError(key, variable, _unknown(key))
    try:
        return Settings(**overrides)
    except TOMLDecodeError as error:
        raise SettingsError("config", str(config_file()), f"is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        reason = _unknown(key) if first["type"] == "extra_forbidden" else first["msg"]
        raise SettingsError(key, _source(key, overrides), reason) from None  # the cause would print the DSN


def _source(key: str, overrides: dict[str, Any]) -> str:
    if key in overrides:
        return "argument"
    variable = PREFIX + key.upper()
    return variable if variable in os.environ else str(config_file())


def _unknown(key: str) -> str:
    close = get_close_matches(key, Settings.model_fields, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(Settings.model_fields)}"
    return f"is not a setting; {hint}"
