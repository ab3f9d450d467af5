"""The code location: builds the Definitions, and nothing else."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from chatbot_assets.alert_sensor import alerts
from chatbot_assets.augment.assets import paraphrase_candidates, paraphrases
from chatbot_assets.checks import VERIFICATIONS
from chatbot_assets.collect.assets import landing
from chatbot_assets.denoise.assets import labels
from chatbot_assets.deploy.assets import deployments
from chatbot_assets.embed.assets import embeddings
from chatbot_assets.feedback.assets import conversations, review_decisions, review_queue, shadow_answers
from chatbot_assets.jobs import maintain, refresh, refresh_all, verify
from chatbot_assets.process.assets import utterances
from chatbot_assets.refreshing import refreshing
from chatbot_assets.schedules import nightly_expiry, nightly_verification, weekly_maintenance
from chatbot_assets.sensors import reconcile
from chatbot_assets.train.assets import models
from chatbot_assets.trial_sensor import trials
from chatbot_assets.validate.assets import evaluations
from chatbot_assets.watching import hourly_watch, watch_deployments, watch_job
from resources.delta_io import DeltaIOManager
from resources.environment import Home
from resources.spark import SparkEngine


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The asset graph with its resources; tests give their own home or engine."""
    overrides = dict(resource_overrides or {})
    home: Home = overrides.get("home") or Home.from_environment()
    engine = overrides.get("engine") or SparkEngine()
    resources = {
        "home": home,
        "engine": engine,
        "delta_io": DeltaIOManager(lake=str(home.lake), engine=engine),
        "refreshing": refreshing,
    }
    return dg.Definitions(
        assets=[
            *(landing, utterances, paraphrase_candidates, embeddings, labels, paraphrases),
            *(models, evaluations, deployments, conversations, shadow_answers, review_decisions, review_queue),
        ],
        asset_checks=[*VERIFICATIONS, watch_deployments],
        jobs=[refresh, refresh_all, verify, maintain, watch_job],
        schedules=[nightly_verification(), hourly_watch(), nightly_expiry(), weekly_maintenance()],
        sensors=[reconcile, alerts, trials],
        resources=resources | overrides,
        executor=dg.in_process_executor,
    )


defs = build_defs()
