"""Dagster's daemon as a process that can be killed, and what its storage says about runs."""

import signal
import subprocess
from typing import Any

from bench.platform import Platform, end
from chatbot_assets.commands.dagster_home import prepare_dagster_home
from chatbot_assets.jobs import BOT_TAG
from resources.environment import PROJECT
from resources.processes import descendants, kill


class Daemon:
    """The daemon with its sensor and run queue. ``runs`` remembers each run that was ever seen."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.runs: dict[str, str] = {}
        self.killed: set[str] = set()
        prepare_dagster_home(platform.home)
        self._process: subprocess.Popen[bytes] | None = None
        self.look()  # makes the storage, which two processes must not do at once
        self.start()

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            arguments = [
                "-m",
                "dagster._daemon",
                "run",
                "-w",
                str(PROJECT / "workspace.yaml"),
                "--log-level",
                "warning",
            ]
            self._process = self.platform.start(arguments, "daemon.log")

    def kill(self) -> None:
        """Kills the daemon with its code server and every run, as a power cut does."""
        self.look()
        for run_id, status in self.runs.items():
            if status == "STARTED":
                self.killed.add(run_id)
        assert self._process is not None
        for pid in descendants(self._process.pid):
            kill(pid)
        end(self._process, signal.SIGKILL)

    def kill_run(self, key: str) -> bool:
        """Kills the process of a bot's run, if one is under way."""
        processes = self._processes(key)
        for run_id, pid in processes:
            self.killed.add(run_id)
            for child in [*descendants(pid), pid]:
                kill(child)
        return bool(processes)

    def forget(self, key: str) -> int:
        """Deletes the history of a bot's ended runs from Dagster's storage."""
        self.look()
        with self._instance() as instance:
            ended = [run for run in instance.get_runs() if run.is_finished and run.tags.get(BOT_TAG) == key]
            for run in ended:
                instance.delete_run(run.run_id)
        return len(ended)

    def look(self) -> int:
        """Notes the runs in the storage; gives how many have not ended."""
        with self._instance() as instance:
            found = instance.get_runs()
        self.runs |= {run.run_id: run.status.value for run in found}
        return sum(not run.is_finished for run in found)

    def stop(self) -> None:
        assert self._process is not None
        for pid in descendants(self._process.pid):
            kill(pid)
        end(self._process, signal.SIGKILL)

    def _instance(self) -> Any:
        import dagster as dg

        return dg.DagsterInstance.from_config(str(self.platform.home.dagster))

    def _processes(self, key: str) -> list[tuple[str, int]]:
        """Run ids and processes of the bot's runs that are under way."""
        from dagster._core.events import EngineEventData

        found = []
        with self._instance() as instance:
            for run in instance.get_runs():
                if run.status.value != "STARTED" or run.tags.get(BOT_TAG) != key:
                    continue
                for record in instance.all_logs(run.run_id):
                    said = record.dagster_event and record.dagster_event.event_specific_data
                    if isinstance(said, EngineEventData) and "pid" in said.metadata:
                        found.append((run.run_id, int(str(said.metadata["pid"].value))))
                        break
        return found
