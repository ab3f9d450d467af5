"""What modules cost is counted by their places in the bot's YAML."""

import threading
import time
from collections import defaultdict
from types import SimpleNamespace

import pytest

from resources import metering
from resources.metering import Cost, Meter, timed


def test_a_meter_counts_what_modules_took_since_it_was_made_and_the_slowest_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def work(module: str, rows: int, seconds: float) -> None:
        nonlocal now
        with timed(module, rows):
            now += seconds

    monkeypatch.setattr(metering, "time", SimpleNamespace(perf_counter=lambda: now, monotonic=lambda: now))
    work("process.normaliser", 5, 8)
    meter = Meter()
    work("process.normaliser", 7, 1)
    work("process.segmenter", 7, 3)
    work("process.normaliser", 3, 0.5)
    meter.stop()
    found = meter.modules
    assert list(found) == ["process.segmenter", "process.normaliser"]
    assert found["process.normaliser"].rows == 10
    assert found["process.normaliser"].seconds == pytest.approx(1.5) and meter.seconds == 4.5


def test_threads_are_added_up_and_a_module_that_fails_is_counted_too() -> None:
    meter = Meter()

    def work() -> None:
        with timed("embed.encoder", 2):
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(ValueError, match="broken"), timed("embed.encoder", 1):
        raise ValueError("broken")
    meter.stop()
    assert meter.modules["embed.encoder"].rows == 7 and meter.modules["embed.encoder"].seconds >= 0.03


def test_a_meter_is_read_while_other_threads_come_to_further_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "_costs", defaultdict(Cost))
    meter = Meter()

    def work() -> None:
        for number in range(10_000):
            with timed(f"module-{number}", 1):
                pass

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        assert all(cost.rows == 1 for cost in meter.modules.values())
    assert len(meter.modules) == 10_000


def test_a_meter_stands_still_when_it_was_stopped() -> None:
    meter = Meter()
    meter.stop()
    stopped = meter.seconds
    time.sleep(0.01)
    assert meter.seconds == stopped
