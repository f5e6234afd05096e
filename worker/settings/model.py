"""Every setting with its name, type and default, for the worker and for each queue. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from worker.core.actions import MayAct
from worker.core.audience import Audience, Reach, WhoseTurn
from worker.core.calendar import Times, Week
from worker.core.delivery import OnUnknown
from worker.core.filters import Conditions, Order
from worker.core.model import RemindIn, Show
from worker.core.owed import Destination
from worker.net.route import Route
from worker.settings.addresses import (
    database_url,
    endpoint,
    heartbeat,
    host_and_port,
    host_names,
    slack_root,
    web_root,
    web_url,
)
from worker.settings.calendars import NO_HOURS, CalendarTable, country_codes, weekly_hours, weekly_times, zone_name
from worker.settings.filters import conditions, order
from worker.settings.names import Name, Need
from worker.settings.network import Network
from worker.settings.people import PersonTable, mentions_or_turn, slack_user, whose_turn
from worker.settings.values import (
    ALL_QUEUES,
    NO_CHANNEL,
    WrittenDuration,
    app_token,
    boolean,
    budget,
    channel_value,
    duration,
    duration_or_never,
    header_value,
    http_token,
    langsmith_key,
    listed_queues,
    one_line,
    one_of,
    open_time,
    open_time_or_never,
    open_time_or_none,
    poll_interval,
    queue_id,
    queue_identity,
    requests_per_second,
    set_of,
    slack_token,
    statuses,
    table_queue,
)

DurationOrNever = Annotated[timedelta | None, PlainValidator(duration_or_never)]
_OpenTimeAlways = Annotated[WrittenDuration, PlainValidator(open_time)]
_MayAct = Annotated[MayAct, PlainValidator(one_of(MayAct))]
OpenTime = Annotated[timedelta, PlainValidator(open_time_or_none)]
OpenTimeOrNever = Annotated[timedelta | None, PlainValidator(open_time_or_never)]
Interval = Annotated[timedelta, PlainValidator(poll_interval)]
_Channel = Annotated[Destination, PlainValidator(channel_value)]
Mentions = Annotated[tuple[str, ...], PlainValidator(mentions_or_turn)]
Turn = Annotated[WhoseTurn, PlainValidator(whose_turn)]
Owner = Annotated[str, PlainValidator(slack_user)]
_Reach = Annotated[Reach, PlainValidator(one_of(Reach))]
Flag = Annotated[bool, PlainValidator(boolean)]
_Shown = Annotated[frozenset[Show], PlainValidator(set_of(Show))]
_Place = Annotated[RemindIn, PlainValidator(one_of(RemindIn))]
Remedy = Annotated[OnUnknown, PlainValidator(one_of(OnUnknown))]
_Conditions = Annotated[Conditions | None, PlainValidator(conditions)]
_Ordered = Annotated[tuple[Order, ...], PlainValidator(order)]
CalendarName = Annotated[str, PlainValidator(one_line)]


class PerQueue(BaseModel):
    """The settings of one queue, or of all: the fields are the keys of `[[queues]]` and `[defaults]`.

    `queue` is the id or name of the queue, empty in the defaults. `channel` is NO_CHANNEL only where none is set and
    the command needs none. `calendar` is empty where none is named, and `owner` where there is none. `tell` says where
    the people are notified whose turn it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    queue: Annotated[str, PlainValidator(table_queue)] = ""
    channel: Annotated[_Channel, Name("WORKER_CHANNEL")] = NO_CHANNEL
    poll_interval: Annotated[Interval, Name("WORKER_POLL_INTERVAL")] = timedelta(seconds=60)
    calendar: Annotated[CalendarName, Name("WORKER_CALENDAR")] = ""
    announce_every: Annotated[OpenTime, Name("WORKER_ANNOUNCE_EVERY")] = timedelta(hours=1)
    stale_after: Annotated[OpenTimeOrNever, Name("WORKER_STALE_AFTER")] = timedelta(hours=4)
    remind_every: Annotated[OpenTimeOrNever, Name("WORKER_REMIND_EVERY")] = WrittenDuration(1)
    escalate_after: Annotated[OpenTimeOrNever, Name("WORKER_ESCALATE_AFTER")] = None
    escalate_every: Annotated[OpenTimeOrNever, Name("WORKER_ESCALATE_EVERY")] = None
    escalate_outside_hours: Annotated[Flag, Name("WORKER_ESCALATE_OUTSIDE_HOURS")] = False
    escalate_to: Annotated[_Channel, Name("WORKER_ESCALATE_TO")] = NO_CHANNEL
    escalate_mention: Annotated[Mentions, Name("WORKER_ESCALATE_MENTION")] = ()
    people: Annotated[Turn, Name("WORKER_PEOPLE")] = Audience.NOBODY
    owner: Annotated[Owner, Name("WORKER_OWNER")] = ""
    tell: Annotated[_Reach, Name("WORKER_TELL")] = Reach.CHANNEL
    remind_reserved: Annotated[Flag, Name("WORKER_REMIND_RESERVED")] = False
    show: Annotated[_Shown, Name("WORKER_SHOW")] = frozenset({Show.NAME, Show.TYPE, Show.AGE, Show.TAGS})
    remind_at: Annotated[Times | None, PlainValidator(weekly_times), Name("WORKER_REMIND_AT")] = None
    report_at: Annotated[Times | None, PlainValidator(weekly_times), Name("WORKER_REPORT_AT")] = None
    remind_in: Annotated[_Place, Name("WORKER_REMIND_IN")] = RemindIn.CHANNEL
    edit_for: Annotated[DurationOrNever, Name("WORKER_EDIT_FOR")] = timedelta(days=7)
    on_unknown: Annotated[Remedy, Name("WORKER_ON_UNKNOWN")] = OnUnknown.RESEND
    only: Annotated[_Conditions, Name("WORKER_ONLY")] = None
    skip: Annotated[_Conditions, Name("WORKER_SKIP")] = None
    order: Annotated[_Ordered, Name("WORKER_ORDER")] = ()

    @property
    def is_direct(self) -> bool:
        """Whether the people whose turn it is are notified directly, besides the channel or in its place."""
        return self.tell is not Reach.CHANNEL and self.people is not Audience.NOBODY

    def overridden_by(self, table: Self) -> Self:
        """These settings, with those of one queue's table in their place."""
        return self.model_copy(update={key: getattr(table, key) for key in table.model_fields_set})

    def filled_in(self) -> Self:
        """These settings with derived ones."""
        # Escalations go to the queue's channel unless another one is set.
        return self if self.escalate_to.place else self.model_copy(update={"escalate_to": self.channel})

    @property
    def queue_id(self) -> UUID | None:
        """The queue's id, where it is named by its id."""
        return queue_id(self.queue)


class LangsmithApi(StrEnum):
    """The one of LangSmith's two listings that is read."""

    AUTO = "auto"
    RUNS = "runs"
    ITEMS = "items"


class LogLevel(StrEnum):
    """The least severe event that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The format of log lines; `auto` is console on a terminal and JSON elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


def _web(parse: Callable[..., Any]) -> PlainValidator:
    """The parameters of the parser of addresses: whether http:// is allowed."""

    def validate(value: object, info: ValidationInfo) -> object:
        return parse(value, allow_http=info.data.get("allow_http", False))

    return PlainValidator(validate)


def _database_url(value: object, info: ValidationInfo) -> str:
    return database_url(value, directory=info.data["directory"])


def _web_root(given: dict[str, Any]) -> str | None:
    return web_root(given["langsmith_endpoint"]) if "langsmith_endpoint" in given else None


def _config(value: object, info: ValidationInfo) -> Path:
    return Path(info.data["directory"], one_line(value))


LANGSMITH_API_KEY = Name(
    "LANGSMITH_API_KEY",
    secret=True,
    need=Need.LANGSMITH,
    fix="create a key in LangSmith (Settings, API keys) and set it, or name its file in LANGSMITH_API_KEY_FILE",
)
SLACK_BOT_TOKEN = Name(
    "SLACK_BOT_TOKEN",
    secret=True,
    need=Need.SLACK,
    fix="set the Bot User OAuth Token of the Slack app (OAuth & Permissions, xoxb-…), or name its file in "
    "SLACK_BOT_TOKEN_FILE",
)
WORKER_QUEUES = Name(
    "WORKER_QUEUES",
    need=Need.QUEUES,
    fix="list ids or names of annotation queues (`review-notifier queues` shows them), or all; or write [[queues]] "
    "in worker.toml",
)

Config = Annotated[Path | None, PlainValidator(_config)]
ApiKey = Annotated[SecretStr | None, PlainValidator(langsmith_key)]
Token = Annotated[SecretStr | None, PlainValidator(slack_token)]
AppToken = Annotated[SecretStr | None, PlainValidator(app_token)]
Endpoint = Annotated[str, _web(endpoint)]
WorkspaceId = Annotated[str | None, PlainValidator(header_value)]
WebUrl = Annotated[str | None, _web(web_url)]
SlackRoot = Annotated[str, _web(slack_root)]
Listed = Annotated[tuple[str, ...], PlainValidator(listed_queues)]
OptionalChannel = Annotated[Destination | None, PlainValidator(channel_value)]
Statuses = Annotated[tuple[str, ...], PlainValidator(statuses)]
_Api = Annotated[LangsmithApi, PlainValidator(one_of(LangsmithApi))]
_Budget = Annotated[int, PlainValidator(budget)]
Rate = Annotated[float, PlainValidator(requests_per_second)]
DatabaseUrl = Annotated[str, PlainValidator(_database_url)]
Address = Annotated[tuple[str, int] | None, PlainValidator(host_and_port)]
Zone = Annotated[str, PlainValidator(zone_name)]
Hours = Annotated[Week | None, PlainValidator(weekly_hours)]
Countries = Annotated[tuple[str, ...], PlainValidator(country_codes)]
_HttpToken = Annotated[SecretStr | None, PlainValidator(http_token)]
Hosts = Annotated[tuple[str, ...], PlainValidator(host_names)]
_Heartbeat = Annotated[SecretStr | None, _web(heartbeat)]
Duration = Annotated[timedelta, PlainValidator(duration)]
Level = Annotated[LogLevel, PlainValidator(one_of(LogLevel))]
Format = Annotated[LogFormat, PlainValidator(one_of(LogFormat))]


class _Source(PydanticBaseSettingsSource):
    """A layer, whose values have the names of the fields already.

    pydantic-settings' own looks for a field's other names, in each layer again: half of what reading settings costs.
    """

    def __init__(self, settings_cls: type[BaseSettings], layer: Mapping[str, object]) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  as its base has it
        return self._layer.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._layer)


class Settings(BaseSettings):
    """Everything that can be set. `load` makes it; nothing else reads the environment or a file of settings.

    Relative paths begin at `directory`; `config` is the `worker.toml` that was read. `listed` are the queues of
    WORKER_QUEUES, `common` the defaults of queues, and `tables` those of `[[queues]]`: use `all_queues`, `queues`,
    `defaults` and `for_queue`, which put the three together. `unknown` and `shadowed` are lines on probable mistakes
    that do no harm. `network` has the proxies and certificates of the environment. `zone`, `hours` and
    `holidays` are the calendar of queues that name none. `persons` are the tables of `[people]` by e-mail.
    `database_url` may contain a password.
    """

    # hide_input_in_errors: an input may be a secret, and only `load` knows which may be shown
    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False, hide_input_in_errors=True)

    directory: Path
    config: Annotated[Config, Name("WORKER_CONFIG")] = None
    allow_http: Annotated[Flag, Name("WORKER_ALLOW_HTTP")] = False
    langsmith_api_key: Annotated[ApiKey, LANGSMITH_API_KEY] = None
    langsmith_endpoint: Annotated[Endpoint, Name("LANGSMITH_ENDPOINT")] = "https://api.smith.langchain.com"
    langsmith_workspace_id: Annotated[WorkspaceId, Name("LANGSMITH_WORKSPACE_ID", aliases=("LANGSMITH_TENANT_ID",))] = (
        None
    )
    langsmith_web_url: Annotated[WebUrl, Name("LANGSMITH_WEB_URL")] = Field(default_factory=_web_root)
    slack_bot_token: Annotated[Token, SLACK_BOT_TOKEN] = None
    slack_app_token: Annotated[AppToken, Name("SLACK_APP_TOKEN", secret=True)] = None
    slack_base_url: Annotated[SlackRoot, Name("SLACK_BASE_URL")] = "https://slack.com/api/"
    listed: Annotated[Listed, WORKER_QUEUES] = ()
    common: PerQueue = PerQueue()
    tables: tuple[PerQueue, ...] = ()
    zone: Annotated[Zone, Name("WORKER_ZONE")] = ""
    hours: Annotated[Hours, Name("WORKER_HOURS")] = None
    holidays: Annotated[Countries, Name("WORKER_HOLIDAYS")] = ()
    calendars: Mapping[str, CalendarTable] = Field(default_factory=dict)
    persons: Mapping[str, PersonTable] = Field(default_factory=dict)
    nag_per_run: Annotated[_Budget, Name("WORKER_NAG_PER_RUN")] = 3
    nag_per_person_day: Annotated[_Budget, Name("WORKER_NAG_PER_PERSON_DAY")] = 3
    actions_claim_for: Annotated[_OpenTimeAlways, Name("WORKER_ACTIONS_CLAIM_FOR")] = WrittenDuration(1)
    actions_who: Annotated[_MayAct, Name("WORKER_ACTIONS_WHO")] = MayAct.ANYONE
    statuses: Annotated[Statuses, Name("WORKER_STATUSES")] = ("needs_my_review",)
    ops_channel: Annotated[OptionalChannel, Name("WORKER_OPS_CHANNEL")] = None
    langsmith_api: Annotated[_Api, Name("WORKER_LANGSMITH_API")] = LangsmithApi.AUTO
    requests_per_second: Annotated[Rate, Name("WORKER_REQUESTS_PER_SECOND")] = 20.0
    database_url: Annotated[DatabaseUrl, Name("WORKER_DATABASE_URL", secret=True)] = Field(
        default="sqlite:///worker.db", validate_default=True, repr=False
    )
    http_address: Annotated[Address, Name("WORKER_HTTP_ADDRESS")] = None
    http_hosts: Annotated[Hosts, Name("WORKER_HTTP_HOSTS")] = ()
    http_token: Annotated[_HttpToken, Name("WORKER_HTTP_TOKEN", secret=True)] = None
    http_open: Annotated[Flag, Name("WORKER_HTTP_OPEN")] = False
    heartbeat_url: Annotated[_Heartbeat, Name("WORKER_HEARTBEAT_URL", secret=True)] = None
    keep_deliveries: Annotated[Duration, Name("WORKER_KEEP_DELIVERIES")] = timedelta(days=30)
    keep_reviews: Annotated[Duration, Name("WORKER_KEEP_REVIEWS")] = timedelta(days=90)
    log_level: Annotated[Level, Name("WORKER_LOG_LEVEL")] = LogLevel.INFO
    log_format: Annotated[Format, Name("WORKER_LOG_FORMAT")] = LogFormat.AUTO
    network: Network = Field(default=Network(), repr=False)
    unknown: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()

    def __init__(self, layers: Sequence[Mapping[str, object]]) -> None:
        """Take each value from the first layer that has it. Raises pydantic's ValidationError."""
        super().__init__(layers=layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the four names are pydantic-settings'
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the layers that `load` has read be the sources, the first of them the strongest."""
        layers = cast("InitSettingsSource", init_settings).init_kwargs["layers"]
        return tuple(_Source(settings_cls, layer) for layer in layers)

    @property
    def all_queues(self) -> bool:
        """Whether every queue that the key can see is polled."""
        return ALL_QUEUES in self.listed

    @property
    def hears_people(self) -> bool:
        """Whether people can act where they read messages."""
        return self.slack_app_token is not None

    def calendar_table(self, name: str) -> CalendarTable:
        """The settings of a calendar by its name; where none is named, what stands outside of all tables."""
        flat = CalendarTable.model_construct(zone=self.zone)
        if name in self.calendars:
            table = self.calendars[name]
            return table if table.zone else table.model_copy(update={"zone": self.zone})
        return flat if name == NO_HOURS else flat.model_copy(update={"hours": self.hours, "holidays": self.holidays})

    @cached_property
    def defaults(self) -> PerQueue:
        """The settings of a queue that has none of its own."""
        return self.common.filled_in()

    @cached_property
    def queues(self) -> tuple[PerQueue, ...]:
        """The queues that are named, those with a table first."""
        tabled = {queue_identity(table.queue) for table in self.tables} | {ALL_QUEUES}
        listed = (queue for queue in self.listed if queue_identity(queue) not in tabled)
        tables = (self.common.overridden_by(table) for table in self.tables)
        others = (self.common.model_copy(update={"queue": queue}) for queue in listed)
        return tuple(named.filled_in() for named in (*tables, *others))

    @cached_property
    def tabled(self) -> Mapping[UUID | str, PerQueue]:
        """The queues that have a table, by id where that is how it names them, else by name."""
        return {queue.queue_id or queue.queue: queue for queue in self.queues[: len(self.tables)]}

    @cached_property
    def listed_only(self) -> Mapping[UUID | str, PerQueue]:
        """The queues that WORKER_QUEUES alone names: the defaults hold for them."""
        return {queue.queue_id or queue.queue: queue for queue in self.queues[len(self.tables) :]}

    def for_queue(self, queue_id: UUID | str, name: str) -> PerQueue:
        """The settings of one queue: of the table with its id, else of the one with its name, else the defaults."""
        # However WORKER_QUEUES names it: that says which queues are polled, not how.
        known = (self.tabled.get(queue_id), self.tabled.get(name), self.listed_only.get(queue_id))
        return next((settings for settings in known if settings), self.defaults)

    def has_two_tables(self, queue_id: UUID | str, name: str) -> bool:
        """Whether one table has the queue's id and another its name, so that the second has no effect."""
        return queue_id in self.tabled and name in self.tabled

    def route(self, root: str) -> Route:
        """The route to one of the services."""
        # `load` has checked that the services that a command needs can be reached.
        return self.network.route(root)

    def unknown_names(self) -> tuple[str, ...]:
        """A line on each `WORKER_…` name in the environment or `.env` that is no setting."""
        return self.unknown


def _named(model: type[BaseModel]) -> Mapping[str, Name]:
    found = {
        field: [part for part in info.metadata if isinstance(part, Name)] for field, info in model.model_fields.items()
    }
    return {field: parts[0] for field, parts in found.items() if parts}


SINGLE: Mapping[str, Name] = _named(Settings)
"""The settings with one value for all, by their field in `Settings`."""

PER_QUEUE: Mapping[str, Name] = _named(PerQueue)
"""The settings that each queue may have for itself, by their field in `PerQueue`, which is their key as well."""

EVERY: Mapping[str, Name] = {**SINGLE, **PER_QUEUE}
