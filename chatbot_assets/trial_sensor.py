"""The sensor that judges canaries and shadows: each goes live, or is taken back, within a minute of being decided."""

import dagster as dg

from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.code_version import one_look
from chatbot_assets.deploy.record import Trial, history
from resources.environment import Home
from resources.lakehouse import Lake
from resources.remembered import Remembered, fingerprint

EVERY_SECONDS = 60
_trials: Remembered[Trial | None] = Remembered()


@dg.sensor(minimum_interval_seconds=EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
def trials(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SensorResult:
    """Compares each deployment that is tried with the live one, and ends its trial when that is decided.

    Reads turns only of bots that try a deployment. Starts no run: a judgement is one commit, by compare-and-set.
    """
    from chatbot_assets.deploy.trial import judge

    lake = Lake(home.lake)
    with one_look():
        tried = [key for key in bot_keys(home.bots) if _trial(lake, key)]
    said = []
    for key in tried:
        try:
            found = judge(lake, key, load_bot(home.bots, key).deploy, actor="trials (sensor)")
        except BotError as error:
            said.append(str(error))
        except Exception as error:  # one bot's broken tables must not stop the others
            said.append(f"{key}: its trial cannot be judged: {type(error).__name__}: {error}")
        else:
            said += [f"{key}: {found.said}"] if found else []
    for line in said:
        context.log.info(line)
    return dg.SensorResult(skip_reason="; ".join(said) or "no deployment is being tried")


def _trial(lake: Lake, key: str) -> Trial | None:
    table = lake.table(key, "deployments")
    return _trials.get(table.path, fingerprint(table.path / "_delta_log"), lambda: history(table).trial)
