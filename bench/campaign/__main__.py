"""Random events against the automation of three bots: afterwards nothing may be stale, lost, or computed twice.

Rows land, YAMLs and modules are edited (and edited back), checks fail, the daemon and runs are killed at random
moments, and the history of runs is deleted. Then the daemon may finish, and the tables are compared with those of a
refresh from scratch on the same files. Everything is drawn from one seed; what the clock makes of it differs.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.campaign.daemon import Daemon
from bench.campaign.verdict import computed_twice, differences, lost_rows, runs_without_commits, stale_tables
from bench.campaign.world import BOTS, World
from bench.platform import wait_until
from bench.report import Target, report

EVENTS = {
    "land": 38, "edit YAML": 14, "edit module": 10, "kill run": 12, "kill daemon": 7, "fail check": 6,
    "mend check": 5, "delete history": 8,
}  # fmt: skip
"""How often each kind of event is drawn, in a hundred."""
PAUSE_SECONDS = 4.0
SETTLE_SECONDS = 1_500


def happen(world: World, daemon: Daemon, kind: str) -> str:
    """Lets one event of a kind happen; says what it was."""
    key = world.draw.choice(BOTS)
    if kind == "land":
        return world.land(key, world.draw.randint(1, 12))
    if kind == "edit YAML":
        return world.edit_yaml(key)
    if kind == "edit module":
        return world.edit_module()
    if kind == "fail check":
        return world.fail_check(key)
    if kind == "mend check":
        return world.mend_check(key)
    if kind == "kill run":
        return f"kill the run of {key}" if daemon.kill_run(key) else f"kill no run of {key}: there is none"
    if kind == "kill daemon":
        daemon.kill()
        time.sleep(world.draw.uniform(0, 2))
        daemon.start()
        return "kill the daemon and all runs"
    return f"delete the history of {key}: {daemon.forget(key)} runs"


def campaign(events: int, seed: int, pause: float) -> dict[str, Any]:
    """The whole campaign."""
    with tempfile.TemporaryDirectory(prefix="chatbot-campaign-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        world = World(folder, seed)
        daemon = Daemon(world.platform)
        started = time.monotonic()
        counts: Counter[str] = Counter()
        try:
            for number in range(events):
                kind = world.draw.choices(list(EVENTS), list(EVENTS.values()))[0]
                counts[kind] += 1
                print(f"campaign: {number + 1:3} {happen(world, daemon, kind)}", file=sys.stderr, flush=True)
                time.sleep(world.draw.uniform(0, pause))
                daemon.look()
            for key in BOTS:
                world.mend_check(key)
            eventful = time.monotonic() - started
            settled = wait_until(lambda: _is_settled(world, daemon), SETTLE_SECONDS, "all bots are up to date", 3.0)
        finally:
            daemon.stop()
        scratch = world.again_from_scratch(folder / "scratch")
        began = time.monotonic()
        for key in BOTS:
            scratch.command("refresh", key)
        from_scratch = time.monotonic() - began
        platform = world.platform
        problems = {
            "stale": stale_tables(platform, BOTS),
            "different from a refresh from scratch": differences(platform, scratch, BOTS),
            "lost rows": lost_rows(platform, world.landed),
            "computed twice": computed_twice(platform, BOTS),
        }
        ended = Counter("killed" if run in daemon.killed else status for run, status in daemon.runs.items())
        succeeded = [run for run, status in daemon.runs.items() if status == "SUCCESS" and run not in daemon.killed]
        figures = {
            "events": dict(counts),
            "seed": seed,
            "seconds": {"of events": round(eventful, 1), "until all was up to date": round(settled, 1)},
            "runs": dict(ended),
            "runs_that_found_nothing_to_do": runs_without_commits(platform, BOTS, succeeded),
            "rows_landed": dict(world.landed),
            "problems": problems,
        }
    targets = [Target(what, len(found), "exactly", 0) for what, found in problems.items()]
    baseline = {"what": "a refresh from scratch of the same files", "seconds": round(from_scratch, 1)}
    return report("campaign", figures, baseline, targets)


def _is_settled(world: World, daemon: Daemon) -> bool:
    return not daemon.look() and not stale_tables(world.platform, BOTS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between two events, at most")
    options = parser.parse_args(arguments)
    found = campaign(options.events, options.seed, options.pause)
    print(json.dumps(found, ensure_ascii=False))
    sys.exit(0 if all(target["met"] for target in found["targets"]) else 1)


if __name__ == "__main__":
    main()
