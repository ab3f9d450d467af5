"""A bot's configuration: one YAML a bot, over its language's defaults, over the platform's.

``load_bot`` gives the *effective* configuration, in which every choice that a stage makes is visible. Its hash stands
in each commit and deployment, so that two bots (or two days) with equal hashes were configured alike.
"""

import functools
import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator

from chatbot_assets.bot_key import KEY, check_key
from chatbot_assets.bot_key import BotError as BotError
from chatbot_assets.collect.sources import Sources
from chatbot_assets.deploy.share import CANARY, SHADOW, SHARES
from chatbot_assets.golden import SUFFIX, GoldenDialogue, read_golden
from chatbot_assets.languages import LANGUAGES, defaults_file, language_defaults
from chatbot_assets.modules import ModuleRef, Section
from chatbot_assets.process import PRIVACY
from resources.remembered import Remembered, fingerprint

GOLDEN = "golden"
"""Stands for the golden dialogues among the parts of the configuration that decide a table's rows."""


class Process(Section):
    """How raw text becomes an utterance, and which share of the utterances is held out for testing.

    ``privacy`` masks what users wrote, and answers that were read from conversations; ``answer_privacy`` masks answers
    that the bot's owner gave, which may well name a telephone number on purpose.
    """

    normaliser: ModuleRef
    segmenter: ModuleRef
    language_check: ModuleRef
    privacy: ModuleRef = ModuleRef(use=PRIVACY)
    answer_privacy: ModuleRef = ModuleRef.model_validate({"use": PRIVACY, "with": {"kinds": ["card", "id"]}})
    test_share: float = Field(0.1, ge=0.0, le=0.5)

    @property
    def modules(self) -> tuple[ModuleRef, ...]:
        """All modules of the stage, the one that takes longest to load first."""
        return (self.segmenter, self.privacy, self.answer_privacy, self.normaliser, self.language_check)


class Augment(Section):
    """Paraphrases for small data: intents with fewer than ``up_to`` rows to learn from get some, up to that number.

    ``flows`` are rules applied one after the other, by their names; ``limit`` is the most candidates for one text, and
    ``weight`` what a paraphrase counts in training beside an utterance's 1.
    """

    rules: tuple[ModuleRef, ...] = ()
    flows: tuple[tuple[str, ...], ...] = ()
    limit: int = Field(8, ge=1)
    gate: ModuleRef = ModuleRef(use="chatbot_assets.augment.gate:NearAndFaithful")
    up_to: int = Field(30, ge=0)
    weight: float = Field(0.5, gt=0.0, le=1.0)


class Denoise(Section):
    """How labels are judged, and whether verdicts act on training (``automatic``) or are only shown (``manual``)."""

    judge: ModuleRef = ModuleRef(use="chatbot_assets.denoise.judge:ConfidentLearning")
    policy: Literal["automatic", "manual"] = "automatic"


class Embed(Section):
    """The sentence encoder."""

    encoder: ModuleRef = ModuleRef(use="chatbot_assets.embed.encoders:MultilingualEncoder")


class Train(Section):
    """The classifier of intents, the index of answers, and the precisions that part answered, similar and failed."""

    classifier: ModuleRef = ModuleRef(use="chatbot_assets.train.intent_model:LinearIntents")
    index: ModuleRef = ModuleRef(use="chatbot_assets.train.answer_index:FaissIndex")
    answer_precision: float = Field(0.9, gt=0.0, lt=1.0)
    suggest_precision: float = Field(0.3, gt=0.0, lt=1.0)

    @field_validator("classifier", "index")
    @classmethod
    def _takes_its_parameters(cls, value: ModuleRef) -> ModuleRef:
        return _asked_for_its_parameters(value)


def _asked_for_its_parameters(module: ModuleRef) -> ModuleRef:
    """A bundled module is asked when the bot is read; one from elsewhere is imported only when it runs."""
    if module.parameters and module.use.startswith("chatbot_assets."):
        try:
            module.load()
        except ValidationError as error:
            raise ValueError("; ".join(_plain_parameter(module, problem) for problem in error.errors())) from None
    return module


def _plain_parameter(module: ModuleRef, problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {problem['msg']}"
    name, _, attribute = module.use.partition(":")
    section: Any = getattr(importlib.import_module(name), attribute)
    for part in place[:-1]:
        section = section.model_fields[part].annotation
    return f"{'.'.join(place)}: unknown parameter; allowed: {', '.join(section.model_fields)}"


class Validate(Section):
    """What a model must reach before it may be deployed.

    ``gate`` judges it on the held-out rows. Of the ``golden`` dialogues it must answer ``all`` as wanted, or
    (``no-worse``) all but those that the model which is live fails too.
    """

    gate: ModuleRef = ModuleRef(use="chatbot_assets.validate.gate:NoWorseThanChampion")
    minimum_accuracy: float = Field(0.4, ge=0.0, le=1.0)
    maximum_drop: float = Field(0.03, ge=0.0, le=1.0)
    golden: Literal["no-worse", "all"] = "no-worse"
    minimum_out_of_scope_recall: float = Field(0.0, ge=0.0, le=1.0)
    maximum_p50_ms: float = Field(250.0, gt=0.0)
    maximum_megabytes: float = Field(4096.0, gt=0.0)

    @field_validator("gate")
    @classmethod
    def _takes_its_parameters(cls, value: ModuleRef) -> ModuleRef:
        return _asked_for_its_parameters(value)


class Watch(Section):
    """How much worse with users than the deployment before it a live one may fare before it is taken back.

    It is watched for ``hours``, once both have served so many ``turns``: how much greater the shares of ``failed``
    turns, of ``errors`` (turns that could not be answered) and of ``dissatisfied`` verdicts may be, and how many times
    as late (``slower``) the 95th percentile of the latency.
    """

    hours: float = Field(24.0, gt=0.0)
    turns: int = Field(100, ge=1)
    failed: float = Field(0.1, ge=0.0, le=1.0)
    errors: float = Field(0.02, ge=0.0, le=1.0)
    dissatisfied: float = Field(0.1, ge=0.0, le=1.0)
    slower: float = Field(3.0, ge=1.0)


class Canary(Section):
    """How a new deployment is tried on a ``share`` of the sessions, under the limits of :class:`Watch`.

    It is judged once it and the live one have each served so many ``turns`` in the same period, and not before so many
    ``hours``; after ``max_hours`` with the turns that there are.
    """

    share: float = Field(SHARES[CANARY], gt=0.0, le=0.9)
    turns: int = Field(200, ge=1)
    hours: float = Field(1.0, ge=0.0)
    max_hours: float = Field(72.0, gt=0.0)


class Shadow(Section):
    """How a new deployment answers a ``share`` of the turns unseen, and is judged after so many of its ``turns``.

    Then it waits for ``promote`` (``manual``), or goes live by itself if it does no worse (``automatic``).
    """

    share: float = Field(SHARES[SHADOW], gt=0.0, le=1.0)
    turns: int = Field(500, ge=1)
    then: Literal["automatic", "manual"] = "manual"


class Deploy(Section):
    """Whether a verified model goes live by itself, is tried first or waits for ``promote``, and how it is watched."""

    policy: Literal["automatic", "canary", "shadow", "manual"] = "automatic"
    verification: ModuleRef = ModuleRef(use="chatbot_assets.deploy.verification:AnswersAsEvaluated")
    canary: Canary = Canary()
    shadow: Shadow = Shadow()
    watch: Watch = Watch()


class Serve(Section):
    """How a deployed model is computed.

    ``variant`` names one way to compute the encoder (``reference``, or for the bundled one ``onnx``, ``onnx-int8``…);
    ``auto`` measures those that there are and takes the fastest whose answers are as good.
    """

    variant: str = Field("auto", pattern=r"^[a-z0-9][a-z0-9-]*$")


class RefreshAfter(Section):
    """When decisions start a refresh: ``minutes`` after the last of them, or at once when so many ``decisions`` wait.

    Whatever else makes a bot stale, a landed file say, does not wait, and takes the decisions along.
    """

    minutes: float = Field(0.2, ge=0.0)
    decisions: int = Field(20, ge=1)


class Review(Section):
    """Which served turns people should look at, in which order, and what follows from what they decide."""

    triage: ModuleRef = ModuleRef(use="chatbot_assets.feedback.triage:FailedAndDissatisfied")
    order: ModuleRef = ModuleRef(use="chatbot_assets.feedback.ordering:ExpectedValue")
    every_minutes: float = Field(10.0, ge=0.0)
    refresh_after: RefreshAfter = RefreshAfter()

    @field_validator("order")
    @classmethod
    def _takes_its_parameters(cls, value: ModuleRef) -> ModuleRef:
        return _asked_for_its_parameters(value)


class Messages(Section):
    """What the bot says when it offers suggestions and when it has not understood."""

    similar: str = Field(min_length=1)
    failed: str = Field(min_length=1)


class Resources(Section):
    """What the heavy modules may use; changes no result, so it makes nothing stale."""

    processes: int | None = Field(None, ge=1)


class Retention(Section):
    """How long things are kept.

    ``days`` is for how long a version of a table can be read after another one has taken its place, and
    ``conversations_days`` for how long served turns stay in ``conversations`` (None: for ever). What people decided
    about such turns goes on to be learnt from (``decisions: keep``) or leaves with them (``leave``).
    """

    days: float = Field(90.0, ge=1.0)
    conversations_days: float | None = Field(None, ge=1.0)
    decisions: Literal["keep", "leave"] = "keep"


class Privacy(Section):
    """Whether the ids of users are kept as they come (``plain``) or as something that nobody can turn back."""

    user_ids: Literal["plain", "pseudonym"] = "plain"


class Security(Section):
    """Which accounts of a tenant must have a second factor: they can do nothing before they set it up."""

    second_factor: Literal["optional", "administrators", "everyone"] = "optional"


class Bot(Section):
    """One chatbot of one tenant in one language, with every default filled in."""

    key: str
    language: str
    description: str = ""
    engine: Literal["sail", "local"] = "sail"
    sources: Sources = Sources()
    process: Process
    augment: Augment = Augment()
    denoise: Denoise = Denoise()
    embed: Embed = Embed()
    train: Train = Train()
    validate_: Validate = Field(default_factory=Validate, alias="validate")
    deploy: Deploy = Deploy()
    serve: Serve = Serve()
    review: Review = Review()
    messages: Messages
    resources: Resources = Resources()
    retention: Retention = Retention()
    privacy: Privacy = Privacy()
    _golden: tuple[GoldenDialogue, ...] = PrivateAttr(())

    @property
    def golden(self) -> tuple[GoldenDialogue, ...]:
        """The dialogues of the bot's golden file; they decide what may be deployed, and nothing of what is."""
        return self._golden

    @property
    def tenant(self) -> str:
        return self.key.partition(".")[0]

    def effective(self) -> dict[str, Any]:
        """The whole configuration as plain data, defaults included."""
        return self.model_dump(mode="json", by_alias=True)

    @functools.cached_property
    def _effective(self) -> dict[str, Any]:
        return self.effective()

    def config_hash(self, *paths: str) -> str:
        """A stable hash of the effective configuration, or of only its parts at the given dotted paths.

        The path ``golden`` stands for the golden dialogues, which are no part of the whole.
        """
        return config_hash({path: self._part(path) for path in paths} if paths else self._effective)

    def _part(self, path: str) -> Any:
        return [one.plain() for one in self._golden] if path == GOLDEN else _at(self._effective, path)

    def module_versions(self, *paths: str) -> dict[str, str]:
        """The code version of each module that the parts at the given dotted paths name, by its place in the YAML.

        Raises:
            BotError: when the source of one cannot be found.
        """
        found: dict[str, str] = {}
        for path in paths:
            value: Any = self
            for name in path.split("."):
                value = getattr(value, name + "_" if name == "validate" else name)
            try:
                found.update(_module_versions(path, value))
            except ValueError as error:
                raise BotError(f"{self.key}: {path}: {error}") from error
        return found


def config_hash(config: Mapping[str, Any]) -> str:
    """The hash of an effective configuration, or of parts of one, as plain data."""
    canonical = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def _module_versions(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, ModuleRef):
        yield path, value.version()
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _module_versions(f"{path}.{name}", getattr(value, name))
    elif isinstance(value, tuple):
        for place, one in enumerate(value):
            yield from _module_versions(f"{path}.{place}", one)


def bot_file(bots: Path, key: str) -> Path:
    """Where a bot's YAML belongs, whether it exists or not."""
    tenant, _, name = check_key(key).partition(".")
    return bots / tenant / f"{name}.yaml"


def golden_file(bots: Path, key: str) -> Path:
    """Where a bot's golden dialogues belong, whether there are any or not."""
    return bot_file(bots, key).with_suffix(SUFFIX)


def tenant_file(bots: Path, key: str) -> Path:
    """Where what holds for a bot's whole tenant belongs (``TENANT_SECTIONS`` and ``SECURITY``); it may not exist."""
    return bot_file(bots, key).with_name(TENANT_FILE)


def bot_keys(bots: Path) -> list[str]:
    """The keys of all bot files, sorted; files whose names cannot be keys are left out."""
    keys = (f"{path.parent.name}.{path.stem}" for path in bots.glob("*/*.yaml"))
    return sorted(key for key in keys if KEY.match(key))


def load_bot(bots: Path, key: str) -> Bot:
    """Reads a bot's YAML, fills in the defaults, and reads its golden dialogues.

    Raises:
        BotError: with one line that names the file, the key (or line) and what is allowed.
    """
    path, golden, tenant = bot_file(bots, key), golden_file(bots, key), tenant_file(bots, key)
    # The defaults of all languages: which one the file names is known only after reading it.
    files = (path, *map(defaults_file, LANGUAGES), *(one for one in (golden, tenant) if one.exists()))
    return _bots.get(path, fingerprint(*files), lambda: _read_bot(bots, key))


def bot_mistakes(bots: Path, key: str) -> list[str]:
    """Every mistake that shows in a bot's files, each in one line; modules are looked for, and not loaded."""
    found = []
    try:
        _read_yaml(bots, key).module_versions(*SECTIONS)
    except BotError as error:
        found.append(str(error))
    return [*found, *read_golden(golden_file(bots, key))[1]]


TENANT_FILE = "_tenant.yaml"
TENANT_SECTIONS = ("retention", "privacy")
"""What may be said for all bots of a tenant at once; a bot's own file says otherwise where it must."""
SECURITY = "security"
"""The section of a tenant's file that is about its people, and no bot's business."""
SECTIONS = ("sources", "process", "augment", "denoise", "embed", "train", "validate", "deploy", "review")
"""The parts of the configuration that name modules."""
_bots: Remembered[Bot] = Remembered()
_tenants: Remembered[Security] = Remembered()


def _read_bot(bots: Path, key: str) -> Bot:
    bot = _read_yaml(bots, key)
    dialogues, mistakes = read_golden(golden_file(bots, key))
    if mistakes:
        more = f" (mistakes: {len(mistakes)}; all of them: ./chatbot check {key})" if len(mistakes) > 1 else ""
        raise BotError(mistakes[0] + more)
    bot._golden = dialogues
    return bot


def _read_yaml(bots: Path, key: str) -> Bot:
    path = bot_file(bots, key)
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(bot_keys(bots)) or "none yet"
        raise BotError(f"there is no bot {key}: {path} does not exist (bots: {known})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BotError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise BotError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict):
        raise BotError(f"{path}: must hold keys and values, for instance 'language: en'")
    language = own.get("language")
    if not isinstance(language, str) or language not in LANGUAGES:
        raise BotError(f"{path}: language: {language!r} is unknown; allowed: {', '.join(LANGUAGES)}")
    if "key" in own:
        raise BotError(f"{path}: key: is given by the file's name ({key}); remove it")
    try:
        defaults = {name: value for name, value in language_defaults(language).items() if name != "name"}
        shared, _ = _read_tenant(tenant_file(bots, key))
        defaults = _merge(_without_foreign_flows(defaults, own), shared)
        bot = Bot.model_validate(_merge(defaults, own) | {"key": key})
        bot.config_hash()
    except ValidationError as error:
        raise BotError(f"{path}: {'; '.join(_plain(problem) for problem in error.errors())}") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise BotError(f"{path}: holds half a character ({half}); write characters as themselves, in UTF-8") from None
    return bot


def tenant_security(bots: Path, tenant: str) -> Security:
    """What a tenant's file demands of its people.

    Raises:
        BotError: with one line that names the file, the key and what is allowed.
    """
    path = bots / tenant / TENANT_FILE
    return _tenants.get(path, fingerprint(path), lambda: _read_tenant(path)[1])


def _read_tenant(path: Path) -> tuple[dict[str, Any], Security]:
    """What a tenant's file says for its bots, and for its people."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}, Security()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BotError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    allowed = (*TENANT_SECTIONS, SECURITY)
    unknown = sorted(map(str, set(found) - set(allowed))) if isinstance(found, dict) else [str(found)]
    if unknown:
        raise BotError(f"{path}: {', '.join(unknown)}: unknown; allowed: {', '.join(allowed)}")
    try:
        security = Security.model_validate(found.pop(SECURITY, None) or {})
    except ValidationError:
        demands = ", ".join(get_args(Security.model_fields["second_factor"].annotation))
        raise BotError(f"{path}: {SECURITY}: may hold second_factor alone, which is one of {demands}") from None
    return found, security


def _without_foreign_flows(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A language's flows name its rules, so they are no default for a bot with rules of its own."""
    augment = own.get("augment")
    if not isinstance(augment, dict) or "rules" not in augment:
        return defaults
    return defaults | {"augment": {k: v for k, v in defaults.get("augment", {}).items() if k != "flows"}}


def _merge(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for name, value in own.items():
        below = merged.get(name)
        is_section = isinstance(below, dict) and isinstance(value, dict) and "use" not in value
        merged[name] = _merge(below, value) if is_section else value  # type: ignore[arg-type]
    return merged


def _plain(problem: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed(place[:-1]))
        return f"{'.'.join(place)}: unknown key; allowed: {allowed}"
    if problem["type"] == "missing":
        return f"{'.'.join(place)}: is missing"
    return f"{'.'.join(place)}: {problem['msg'].removeprefix('Value error, ')} (found {problem['input']!r})"


def _allowed(place: list[str]) -> list[str]:
    model: Any = Bot
    for part in place:
        if part.isdigit():
            model = get_args(model)[0]
            continue
        by_name = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        model = by_name[part]
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [name for name in names if name != "key"]


def _at(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data[name]
    return data
