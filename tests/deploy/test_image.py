"""The image: which packages it holds, that they suffice, and what of the repository goes into it."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from small_bot import SmallBot

from resources.environment import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
ONLY_FOR_TRAINING = {"torch"}
"""What the project names as its dependencies, and the image leaves out; the rest that it leaves out follows from it."""

IN_THE_IMAGE = """
import json, sys

class LeftOut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in left_out:
            raise ModuleNotFoundError(f"the image has no {name}", name=name)

left_out = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, LeftOut())
import serving.__main__, serving.app, serving.writer, chatbot_assets.definitions
from chatbot_assets.cli import main
for command in json.loads(sys.argv[2]):
    main(command, standalone_mode=False)
"""


def name_of(entry: str) -> str:
    return re.split(r"[\[<>=; ]", entry)[0].lower()


def entries(lock: str) -> dict[str, set[str]]:
    """The packages of a lock, each with those that want it, as the lock's own comments say."""
    found: dict[str, set[str]] = {}
    for entry in re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)[1:]:
        _, _, reasons = entry.partition("# via")
        found.setdefault(name_of(entry), set()).update(re.findall(r"^(?:\s+#\s+| )(\S+)", reasons, re.MULTILINE))
    return found


@cache
def chosen() -> dict[str, set[str]]:
    """What the Dockerfile's own command leaves of the lock."""
    pattern = re.search(r'ARG LEAVE_OUT="(.+)"', DOCKERFILE)
    command = re.search(r"RUN (awk .+) >chosen.lock", DOCKERFILE)
    assert pattern and command
    done = subprocess.run(
        ["sh", "-c", command[1]],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "LEAVE_OUT": pattern[1]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.splitlines()) < set(LOCK.splitlines()), "entries are taken as they are, with their hashes"
    return entries(done.stdout)


def test_the_image_holds_what_the_project_needs_but_for_training_and_nothing_of_its_developers() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {name_of(line) for line in project["dependencies"]} - ONLY_FOR_TRAINING
    locked = entries(LOCK)
    while more := {
        name for name in locked.keys() - wanted - ONLY_FOR_TRAINING if wanted & {name_of(by) for by in locked[name]}
    }:
        wanted |= more
    assert sorted(chosen()) == sorted(wanted), "keep LEAVE_OUT in the Dockerfile in step with requirements.lock"


def test_what_the_image_leaves_out_is_not_needed_to_import_a_deployment_to_answer_and_to_find_what_to_review(
    bot: SmallBot, tmp_path: Path
) -> None:
    kept = set(chosen())
    left_out = [
        module
        for module, names in packages_distributions().items()
        if kept.isdisjoint(name.lower().replace("_", "-") for name in names)
        and module not in ("chatbot_assets", "resources", "serving", "bench")
    ]
    assert {"torch", "playwright", "pytest"} <= set(left_out)
    golden = bot.home.bots.joinpath(*bot.key.split(".")).with_suffix(".golden.jsonl")
    golden.write_text('{"text": "Tell me about my parcel", "intent": "delivery"}\n', encoding="utf-8")
    commands = [
        ["import-deployment", bot.key, "--from", str(bot.home.root)],
        ["check", bot.key, "--answers"],
        ["verify", bot.key],
        ["versions", bot.key],
        ["refresh", bot.key, "--select", "review_queue"],
        ["status"],
        ["ask", bot.key, "Tell me about my parcel", "--json"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_IMAGE, json.dumps(left_out), json.dumps(commands)],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "CHATBOT_HOME": str(tmp_path / "production"), "CHATBOT_BOTS": str(bot.home.bots)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 golden dialogues answered as wanted" in done.stdout
    assert json.loads(done.stdout[done.stdout.rindex("\n{") :])["intent"] == "delivery"


def test_only_what_runs_goes_into_the_image() -> None:
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "what is not named stays out"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert {"requirements.lock", "chatbot_assets", "resources", "serving"} <= let_in
    assert all((PROJECT / name).exists() for name in let_in)
    assert let_in.isdisjoint({".git", ".venv", ".chatbot", "tests", "bench"})


def test_the_image_runs_as_a_numbered_user_other_than_root_and_tells_its_health() -> None:
    lines = DOCKERFILE.splitlines()
    user = next(line for line in lines if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user), "Kubernetes' runAsNonRoot takes no name"
    assert any(line.startswith("HEALTHCHECK") for line in lines)
