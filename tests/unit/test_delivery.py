"""The workflow that checks the bot files of a pull request."""

import subprocess
import sys
from importlib.metadata import packages_distributions

import yaml

from resources.environment import PROJECT

LOADED = """
import sys
from chatbot_assets.cli import main
main(["check"], standalone_mode=False)
print(*{name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names), file=sys.stderr)
"""


def test_the_workflow_runs_check_with_all_that_it_imports() -> None:
    workflow = yaml.safe_load((PROJECT / ".github/workflows/bots.yml").read_text(encoding="utf-8"))
    *_, install, check = (step.get("run", "") for step in workflow["jobs"]["check"]["steps"])
    assert check == "python -m chatbot_assets.cli check"
    installed = set(install.split("requirements.lock")[1].split())
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "8 bots" in done.stdout
    distributions = packages_distributions()
    loaded = {name.lower() for module in done.stderr.split() for name in distributions.get(module, ())}
    brought_along = {"annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"}
    only_if_there = {"charset-normalizer", "chatbot-assets", "setuptools"}
    assert {name.replace("_", "-") for name in loaded} - brought_along - only_if_there <= installed
