"""The engines' own needs: profiles, Java and the locked jars. What is missing is told in one line."""

import dataclasses
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resources.jars import Jar, fetch_jars, locked_jars, missing_jars, require_jars
from resources.java import EngineError, Java, find_java, require_java
from resources.spark import ENGINES, SparkEngine, read_profile

BYTES = b"not really a jar"
JAR = Jar("com.example", "some-library", "1.2.3", hashlib.sha256(BYTES).hexdigest())
needs_java = [
    pytest.mark.java,
    pytest.mark.skipif(find_java() is None and "java" not in os.environ.get("CHATBOT_REQUIRE", ""), reason="no Java"),
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Maven repository with one jar."""
    folder = tmp_path / "repository/com/example/some-library/1.2.3"
    folder.mkdir(parents=True)
    (folder / JAR.file).write_bytes(BYTES)
    return tmp_path / "repository"


@pytest.fixture
def java() -> Java:
    return require_java()


# -- engines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_works_in_utc_and_listens_on_loopback_alone(name: str) -> None:
    profile = read_profile(name)
    assert profile["spark.sql.session.timeZone"] == "UTC"
    assert all(value == "127.0.0.1" for key, value in profile.items() if key.endswith((".host", ".bindAddress")))


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EngineError, match="'flink' is unknown; allowed: sail, local"):
        _ = SparkEngine(engine="flink").session


def test_a_second_engine_in_one_process_is_refused_with_one_line(engine: SparkEngine) -> None:
    running = engine.engine or "sail"
    assert engine.session.range(1).count() == 1
    (other,) = set(ENGINES) - {running}
    with pytest.raises(EngineError, match=f"this process runs engine '{running}'.*use another process"):
        _ = SparkEngine(engine=other).session


def test_an_engine_named_for_a_run_wins_over_the_bot_s() -> None:
    assert SparkEngine(engine="local").or_else("sail").engine == "local"
    assert SparkEngine().or_else("local").engine == "local"


# -- Java ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_392", 8), ("25-ea", 25), ("", 0)])
def test_java_s_major_version_is_read_from_what_it_says(version: str, major: int) -> None:
    assert Java("java", version).major == major


def test_without_java_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"^engine 'local' needs Java 17 .*none on the PATH; install .* sail$"):
        require_java()


def test_an_old_java_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs Java 17 or newer, and \S+/bin/java is 11\.0\.2; install"):
        require_java()


# -- jars ---------------------------------------------------------------------------------------------------------


def test_the_lock_names_the_delta_of_the_installed_package() -> None:
    from importlib.metadata import version

    delta = version("delta-spark")
    assert {jar.name: jar.version for jar in locked_jars()} == {"delta-spark_4.1_2.13": delta, "delta-storage": delta}
    assert all(len(jar.sha256) == 64 for jar in locked_jars())


def test_without_its_jars_an_engine_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATBOT_JARS", str(tmp_path))
    with pytest.raises(EngineError, match=r"^engine 'local' needs delta-spark.* fetch with: \./chatbot setup local"):
        require_jars()


def test_a_damaged_jar_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / JAR.file).write_bytes(BYTES)
    assert missing_jars([JAR], tmp_path) == []
    (tmp_path / JAR.file).write_bytes(BYTES[:-1])
    assert missing_jars([JAR], tmp_path) == [JAR]


class TestFetching:
    """From a repository on this machine, by the real resolver."""

    pytestmark = needs_java

    def test_a_jar_of_a_named_repository_comes_whole(self, java: Java, repository: Path, tmp_path: Path) -> None:
        fetch_jars(java, [JAR], tmp_path / "jars", repository.as_uri())
        assert [path.name for path in (tmp_path / "jars").iterdir()] == [JAR.file]
        assert missing_jars([JAR], tmp_path / "jars") == []

    def test_a_jar_with_other_bytes_than_the_lock_s_is_refused_and_not_kept(
        self, java: Java, repository: Path, tmp_path: Path
    ) -> None:
        other = dataclasses.replace(JAR, sha256="0" * 64)
        with pytest.raises(EngineError, match=rf"{JAR.file} as fetched is not the one in jars\.lock"):
            fetch_jars(java, [other], tmp_path / "jars", repository.as_uri())
        assert list((tmp_path / "jars").iterdir()) == []

    def test_a_jar_that_is_not_there_is_one_line(self, java: Java, repository: Path, tmp_path: Path) -> None:
        other = dataclasses.replace(JAR, version="9")
        with pytest.raises(EngineError, match=r"^some-library-9\.jar could not be fetched; look at the network"):
            fetch_jars(java, [other], tmp_path / "jars", repository.as_uri())

    def test_a_proxy_is_heeded(
        self,
        java: Java,
        repository: Path,
        proxy: tuple[str, list[str]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        address, asked = proxy
        monkeypatch.setenv("http_proxy", address)
        fetch_jars(java, [JAR], tmp_path / "jars", "http://repository.invalid/maven2")
        assert missing_jars([JAR], tmp_path / "jars") == []
        assert f"http://repository.invalid/maven2/com/example/some-library/1.2.3/{JAR.file}" in asked

    @pytest.fixture
    def proxy(self, repository: Path) -> Iterator[tuple[str, list[str]]]:
        """An HTTP proxy that answers for every repository; gives its address and what it was asked for."""
        asked: list[str] = []

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                path = repository / self.path.partition("/maven2/")[2]
                self.send_response(200 if path.is_file() else 404)
                body = path.read_bytes() if path.is_file() else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if self.command == "GET" else b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}", asked
            server.shutdown()
            thread.join()
