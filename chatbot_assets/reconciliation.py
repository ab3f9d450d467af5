"""Writes into Dagster's storage what the lake knows and Dagster does not: after its loss nothing is computed again.

Each event is what a refresh that found nothing to do would have left there, so Dagster itself then calls an asset stale
exactly when its table's record says so.
"""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.events import DagsterEventType
from dagster._core.instance.utils import RUNLESS_JOB_NAME

from chatbot_assets.automation import NOT_WRITTEN_YET
from chatbot_assets.checks import MAY_BE_DEPLOYED, check_result, check_specs, may_be_deployed
from chatbot_assets.code_version import code_version
from chatbot_assets.quality.findings import from_notes
from chatbot_assets.tables import EVALUATIONS, MATERIALISED, SOURCES, TABLES, Table
from resources.delta_io import recorded_metadata
from resources.lakehouse import Commit, InputVersion, Lake, Record

BEFORE_ALL_EVENTS = "-1"
"""The pointer to an input of which Dagster has no event with the version that was read."""


@dataclass(frozen=True)
class Reported:
    """How many events were written about one bot."""

    materialisations: int = 0
    observations: int = 0
    checks: int = 0


def report_bot(instance: dg.DagsterInstance, lake: Lake, key: str) -> Reported:
    """Reports each table's last commit that Dagster does not know, inputs before what was made from them.

    Raises:
        LakeError: when a table cannot be read.
    """
    observations = materialisations = checks = 0
    for table in SOURCES:
        last = lake.table(key, table.name).last()
        newest = _latest(instance, table.name, key)
        if last is not None and (newest is None or _version(newest) != last.data_version):
            tags = _version_tags(last.data_version)
            instance.report_runless_asset_event(dg.AssetObservation(table.name, partition=key, tags=tags))
            observations += 1
    for table in MATERIALISED:
        lake_table = lake.table(key, table.name)
        last = lake_table.last()
        if last is None or last.record is None:
            continue
        if _is_known(instance, table, key, last.record):
            continue
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                table.name,
                partition=key,
                metadata=recorded_metadata(lake_table, last, last.record) | _own_metadata(last),
                tags=_tags(instance, table, key, last.record),
            )
        )
        materialisations += 1
        for evaluation in _checks(instance, table, key, last.record):
            _report_check(instance, evaluation, last.record.run_id or str(uuid.uuid4()))
            checks += 1
    return Reported(materialisations, observations, checks)


def _own_metadata(commit: Commit) -> dict[str, dg.MetadataValue]:
    # The event's own time is when it was reported.
    return {
        "reconciled": dg.MetadataValue.bool(True),
        "committed_at": dg.MetadataValue.timestamp(commit.committed_at),
    }


def _version_tags(data_version: str) -> dict[str, str]:
    return {DATA_VERSION_TAG: data_version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}


def _tags(instance: dg.DagsterInstance, table: Table, key: str, record: Record) -> dict[str, str]:
    """The tags by which Dagster knows what a materialisation was made from, as its own runs write them."""
    tags = _version_tags(record.data_version) | {CODE_VERSION_TAG: _code_version(table, record)}
    for name, read in _inputs(table, record).items():
        newest = _latest(instance, name, key)
        if read == NOT_WRITTEN_YET and newest is None:
            version, pointer = DEFAULT_DATA_VERSION.value, NULL_EVENT_POINTER
        else:
            # Of a partitioned input Dagster writes a hash over its partitions' materialisations; an observed one has
            # none. What it decides by is the pointer alone.
            versions = "" if TABLES[name] in SOURCES else read.data_version
            version = hashlib.sha256(versions.encode()).hexdigest()
            pointer = str(newest.storage_id) if newest and _version(newest) == read.data_version else BEFORE_ALL_EVENTS
        tags[get_input_data_version_tag(dg.AssetKey(name))] = version
        tags[get_input_event_pointer_tag(dg.AssetKey(name))] = pointer
    return tags


def _inputs(table: Table, record: Record) -> dict[str, InputVersion]:
    return {name: record.signature.inputs.get(name, NOT_WRITTEN_YET) for name in table.inputs}


def _code_version(table: Table, record: Record) -> str:
    """The code version in force, when it gives the rows of the record, else the one that made them."""
    now = code_version(table.code)
    if not table.inputs:
        return now  # landed rows are not read again when the code changes
    made = record.signature.code.get(table.stage, "")
    return now if record.accepted.get(now, now) == made else made


def _is_known(instance: dg.DagsterInstance, table: Table, key: str, record: Record) -> bool:
    """Whether Dagster's newest materialisation tells of these rows, and of no older inputs than those they are from."""
    event = _latest(instance, table.name, key)
    if event is None or _version(event) != record.data_version:
        return False
    tags = _tags_of(event)
    if tags.get(CODE_VERSION_TAG) != _code_version(table, record):
        return False
    for name, read in _inputs(table, record).items():
        newest = _latest(instance, name, key)
        pointer = tags.get(get_input_event_pointer_tag(dg.AssetKey(name)), NULL_EVENT_POINTER)
        if newest is None or _version(newest) != read.data_version or pointer == NULL_EVENT_POINTER:
            continue  # to report it again would make no difference
        if int(pointer) >= newest.storage_id:
            continue
        said = _latest(instance, name, key, until=int(pointer))
        if said is None or _version(said) != read.data_version:
            return False
    return True


def _latest(instance: dg.DagsterInstance, name: str, key: str, until: int | None = None) -> dg.EventLogRecord | None:
    """The newest event (with a storage id of at most ``until``) that gives a table's DataVersion."""
    before = None if until is None else until + 1
    return instance.get_latest_data_version_record(dg.AssetKey(name), TABLES[name] in SOURCES, key, before)


def _version(event: dg.EventLogRecord) -> str | None:
    return _tags_of(event).get(DATA_VERSION_TAG)


def _tags_of(event: dg.EventLogRecord) -> dict[str, str]:
    return dict(event.event_log_entry.tags or {})


def _checks(instance: dg.DagsterInstance, table: Table, key: str, record: Record) -> Iterator[dg.AssetCheckEvaluation]:
    """The checks that the commit noted, about the materialisation that was just reported."""
    target = _latest(instance, table.name, key)
    assert target is not None
    specs = {spec.name: spec for spec in check_specs(table)}
    noted = from_notes(record.notes).values()
    results = [check_result(finding, table) for finding in noted if finding.check in specs]
    if table is EVALUATIONS:
        results += may_be_deployed(record.notes)
        specs[MAY_BE_DEPLOYED.name] = MAY_BE_DEPLOYED
    for result in results:
        name = result.check_name or ""
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(table.name),
            check_name=name,
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=target.storage_id, run_id=target.run_id, timestamp=target.timestamp
            ),
            severity=result.severity,
            description=result.description,
            blocking=specs[name].blocking,
            partition=key,
        )


def _report_check(instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation, run_id: str) -> None:
    """Reports a check as made by a run, if only by one that Dagster has lost: it keeps one without a run only once."""
    event = dg.DagsterEvent(
        DagsterEventType.ASSET_CHECK_EVALUATION.value, RUNLESS_JOB_NAME, event_specific_data=evaluation
    )
    instance.report_dagster_event(event, run_id)
