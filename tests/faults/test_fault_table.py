"""The fault table promises only what is tried."""

from pathlib import Path

from fault_table import faults


def test_every_fault_of_the_table_is_tried_and_none_loses_or_doubles_anything() -> None:
    tried = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert len(faults()) >= 10
    for name, fault in faults().items():
        assert f'"{name}"' in tried, f"no test tries: {name}"
        assert (fault.lost, fault.doubled) == ("0", "0")
        assert fault.state and fault.seen
