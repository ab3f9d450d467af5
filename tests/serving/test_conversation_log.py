"""The log of served turns: soon in the table, none lost and none doubled, whatever the table does meanwhile."""

import threading
import uuid
from typing import Any

from small_bot import KEY, OTHER, wait_for

from resources.lakehouse import Lake
from serving.conversation_log import FLUSH_SECONDS, ConversationLog


def turn(text: str = "hi") -> dict[str, Any]:
    return {"turn_id": uuid.uuid4().hex, "text": text}


def texts(lake: Lake, key: str = KEY) -> list[str]:
    return sorted(lake.table(key, "conversations").arrow(["text"]).column("text").to_pylist())


def test_turns_are_written_together_a_moment_later(lake: Lake) -> None:
    log = ConversationLog(lake)
    for number in range(20):
        log.add(KEY, turn(f"{number:02}"))
    seconds = wait_for(lambda: len(texts(lake)) == 20)
    assert seconds < FLUSH_SECONDS + 1
    last = lake.table(KEY, "conversations").last()
    assert last and last.version <= 2, "many turns are few commits"
    log.close()


def test_closing_writes_what_is_waiting(lake: Lake) -> None:
    log = ConversationLog(lake)
    log.add(KEY, turn("the last words"))
    log.close()
    assert texts(lake) == ["the last words"]


def test_each_bot_s_turns_go_to_its_own_table(lake: Lake) -> None:
    log = ConversationLog(lake)
    log.add(KEY, turn("ours"))
    log.add(OTHER, turn("theirs"))
    log.close()
    assert (texts(lake), texts(lake, OTHER)) == (["ours"], ["theirs"])


def test_turns_whose_table_cannot_be_written_wait_and_hold_up_nobody_else(lake: Lake) -> None:
    obstacle = lake.table(KEY, "conversations").path
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("a file where the table belongs", encoding="utf-8")
    log = ConversationLog(lake)
    log.add(KEY, turn("patient"))
    log.add(OTHER, turn("swift"))
    wait_for(lambda: texts(lake, OTHER) == ["swift"])
    log.flush()
    obstacle.unlink()
    log.add(KEY, turn("later"))
    log.close()
    assert texts(lake) == ["later", "patient"]


def test_turns_from_many_threads_and_two_services_are_all_there_once(lake: Lake) -> None:
    logs = [ConversationLog(lake), ConversationLog(lake)]

    def serve(log: ConversationLog, name: str) -> None:
        for number in range(50):
            log.add(KEY, turn(f"{name} {number}"))

    threads = [
        threading.Thread(target=serve, args=(log, f"{place} {thread}"))
        for place, log in enumerate(logs)
        for thread in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.close()
    assert len(texts(lake)) == len(set(texts(lake))) == 400
