"""Evaluates the sensor `reconcile` on the home of the environment, as the daemon does; prints one JSON object.

Beside it stands one tick of Dagster's own automation on as many assets and partitions, of which nothing has changed.
"""

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from typing import Any


def reconcile_ticks(count: int) -> dict[str, Any]:
    """Seconds of the first tick of a process, which knows nothing yet, and of those after it.

    ``all_seen_after_ticks`` is after how many of them each bot has been looked at.
    """
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    from chatbot_assets.bot import bot_keys
    from chatbot_assets.definitions import build_defs
    from chatbot_assets.sensors import reconcile
    from resources.environment import Home

    logging.getLogger("dagster").setLevel(logging.ERROR)
    home = Home.from_environment()
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        definitions = build_defs({"home": home})
        seconds, cursor, requests, seen = [], None, 0, 0
        for _ in range(count):
            context = dg.build_sensor_context(
                instance=instance,
                instance_ref=InstanceRef.from_dir(folder),
                cursor=cursor,
                definitions=definitions,
                resources={"home": home},
            )
            started = time.monotonic()
            data = reconcile.evaluate_tick(context)
            seconds.append(time.monotonic() - started)
            cursor, requests = data.cursor, requests + len(data.run_requests or [])
            if not seen and not json.loads(cursor or "{}")["left_from"]:
                seen = len(seconds)
            for change in data.dynamic_partitions_requests or []:
                instance.add_dynamic_partitions(change.partitions_def_name, list(change.partition_keys))
    return {
        "bots": len(bot_keys(home.bots)),
        "first_seconds": round(seconds[0], 3),
        "later_seconds": [round(one, 3) for one in seconds[1:]],
        "all_seen_after_ticks": seen,
        "runs_requested": requests,
    }


def eager_ticks(partitions: int, assets: int = 12) -> dict[str, float]:
    """Seconds of the first and of a second tick of eager conditions over a chain of assets."""
    import dagster as dg

    bots = dg.DynamicPartitionsDefinition(name="bots")

    def made(number: int) -> dg.AssetsDefinition:
        @dg.asset(
            name=f"asset_{number}",
            deps=[f"asset_{number - 1}"] if number else [],
            partitions_def=bots,
            automation_condition=dg.AutomationCondition.eager(),
        )
        def asset() -> None: ...

        return asset

    definitions = dg.Definitions([made(number) for number in range(assets)])
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("bots", [f"bot-{number}" for number in range(partitions)])
        seconds, cursor = [], None
        for _ in range(2):
            started = time.monotonic()
            result = dg.evaluate_automation_conditions(definitions, instance=instance, cursor=cursor)
            seconds.append(time.monotonic() - started)
            cursor = result.cursor
    return {"first_seconds": round(seconds[0], 3), "later_seconds": round(seconds[1], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ticks", type=int, required=True)
    parser.add_argument("--partitions", type=int, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = reconcile_ticks(options.ticks)
    unit = 1 if sys.platform == "darwin" else 1024
    found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
    print(json.dumps(found | {"eager": eager_ticks(options.partitions)}))


if __name__ == "__main__":
    main()
