"""Small files beside the tables are whole, whoever writes them at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resources import beside


def test_threads_that_write_a_file_at_once_all_succeed_and_leave_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "matter.json"

    def write(number: int) -> None:
        for _ in range(100):
            beside.write(path, {"number": number, "text": "x" * 10_000})

    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(write, number) for number in range(4)]:
            ended.result()
    found = beside.read(path)
    assert found and found["number"] in range(4) and len(found["text"]) == 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_object_counts_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "matter.json"
    assert beside.read(path) is None
    for content in ("", "[1]", '{"half": '):
        path.write_text(content, encoding="utf-8")
        assert beside.read(path) is None
