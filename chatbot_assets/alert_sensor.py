"""The sensor that announces each bot's blockages, healings, failed verifications and changes of what answers."""

import json
import os

import dagster as dg

from chatbot_assets.alerts import WEBHOOK, AlertError, Announced, deliver, host_of, standing
from chatbot_assets.bot import bot_keys
from chatbot_assets.code_version import one_look
from resources.environment import Home
from resources.lakehouse import Lake

EVERY_SECONDS = 30
AT_ONCE = 5
"""Alerts that one tick sends: a receiver that takes its time must not hold up the daemon."""


@dg.sensor(minimum_interval_seconds=EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SensorResult:
    """Posts one JSON object to the webhook for each bot that was blocked, healed, found damaged or deployed anew.

    The cursor holds what was announced of each bot, and advances only with what the webhook has taken. The first tick
    takes deployments as known and announces the bots that are blocked or failed their verification.
    """
    url = os.environ.get(WEBHOOK, "").strip()
    if not url:
        return dg.SensorResult(skip_reason=f"no webhook: {WEBHOOK} is not set", cursor=context.cursor)
    lake, keys = Lake(home.lake), bot_keys(home.bots)
    with one_look():
        standings = [standing(home, lake, key) for key in keys]
    if context.cursor:
        announced = {key: Announced(*found) for key, found in json.loads(context.cursor).items() if key in keys}
    else:
        announced = {bot.key: Announced(deployment=bot.deployment, rejected=bot.rejected) for bot in standings}
    news = [item for bot in standings for item in bot.news(announced.get(bot.key, Announced()))]
    sent = 0
    said = "nothing to announce"
    try:
        for alert, then in news[:AT_ONCE]:
            deliver(url, alert)
            announced[alert.bot] = then
            sent += 1
            context.log.info(f"announced: {alert.text}")
        if sent:
            said = f"sent {sent} of {len(news)} alerts to {host_of(url)}"
    except AlertError as error:
        said = f"sent {sent} of {len(news)} alerts; trying again: {error}"
    known = {key: list(found) for key, found in sorted(announced.items()) if found != Announced()}
    return dg.SensorResult(skip_reason=said, cursor=json.dumps(known))
