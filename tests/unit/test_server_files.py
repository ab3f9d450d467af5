"""The example files of a server: Dagster takes them, and they keep up with the files of one machine."""

import configparser
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths

from resources.environment import PROJECT

SERVER = PROJECT / "docs" / "server"
UNITS = sorted(SERVER.glob("*.service"))


def service(unit: Path) -> dict[str, str]:
    """The settings of a unit's service."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit, encoding="utf-8")
    return dict(parser["Service"])


def settings(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_servers_instance_differs_from_that_of_one_machine_by_its_storage_and_the_number_of_runs() -> None:
    servers, own = settings(SERVER / "dagster.yaml"), settings(PROJECT / "dagster.yaml")
    assert list(servers.pop("storage")) == ["postgres"]
    assert servers["concurrency"]["runs"].pop("max_concurrent_runs") > own["concurrency"]["runs"].pop(
        "max_concurrent_runs"
    )
    assert servers == own


def test_dagster_takes_the_servers_instance() -> None:
    config, _ = dagster_instance_config(str(SERVER))
    assert config["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


def test_what_the_instance_takes_from_the_environment_is_in_the_environment_file() -> None:
    lines = (SERVER / "environment").read_text(encoding="utf-8").splitlines()
    given = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    database = settings(SERVER / "dagster.yaml")["storage"]["postgres"]["postgres_db"].values()
    asked = {value["env"] for value in database if isinstance(value, dict)}
    assert asked and asked | {"CHATBOT_HOME", "CHATBOT_BOTS", "DAGSTER_HOME"} <= given


def test_the_workspace_names_the_socket_and_the_location_that_the_code_unit_serves() -> None:
    (origin,) = location_origins_from_yaml_paths([str(SERVER / "workspace.yaml")])
    command = service(SERVER / "chatbot-code.service")["ExecStart"]
    assert f"--socket {getattr(origin, 'socket', None)} " in command
    assert f"--location-name {origin.location_name} " in command


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_a_program_of_the_environment_and_opens_no_port_beyond_loopback(unit: Path) -> None:
    found = service(unit)
    program, *arguments = shlex.split(found["ExecStart"])
    assert Path(program).name in {"dagster", "dagster-daemon", "dagster-webserver", "python"}
    assert Path(program).parent == Path(found["WorkingDirectory"], ".venv", "bin")
    assert ("-p" not in arguments or arguments[arguments.index("-h") + 1] == "127.0.0.1") and "0.0.0.0" not in arguments
    if "-w" in arguments:
        assert (PROJECT / arguments[arguments.index("-w") + 1]).exists()
