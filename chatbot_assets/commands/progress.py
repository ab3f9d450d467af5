"""A progress bar over the assets of a refresh, on standard error when that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress:
    """Shows which asset is being made; silent when nobody watches."""

    def __init__(self, total: int) -> None:
        columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(file=sys.stderr)
        self._bars = Bars(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._total = total
        self._task: TaskID | None = None

    def __enter__(self) -> "Progress":
        self._bars.start()
        self._task = self._bars.add_task("starting", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def following(self, instance: Any) -> Iterator[None]:
        """Follows the events of the run that is executed on a Dagster instance within the block."""
        original = instance.handle_new_event

        def follow(event: Any, **arguments: Any) -> Any:
            happened = event.dagster_event
            if happened is not None and self._task is not None:
                if happened.is_step_start:
                    self._bars.update(self._task, description=happened.step_key)
                elif happened.is_step_materialization:
                    self._bars.advance(self._task)
            return original(event, **arguments)

        instance.handle_new_event = follow
        try:
            yield
        finally:
            instance.handle_new_event = original
