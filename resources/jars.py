"""The jars that JVM engines need beside PySpark's own: locked by hash, fetched once, checked at each start.

They are fetched by Ivy, the resolver that comes with PySpark, from Maven Central or a mirror of it; nothing fetches
them on its own. They lie in a folder of the user's, so that several checkouts and homes share them.
"""

import hashlib
import os
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from resources.environment import PROJECT
from resources.java import EngineError, Java

LOCK = PROJECT / "spark_conf" / "jars.lock"
SETUP = "./chatbot setup local"
FETCH_SECONDS = 600


@dataclass(frozen=True)
class Jar:
    """One jar, by its Maven coordinates and its hash."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"


def locked_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of a lock file: on each line ``group:name:version`` and the SHA-256, ``#`` for comments."""
    jars = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            coordinates, sha256 = text.split()
            group, name, version = coordinates.split(":")
            jars.append(Jar(group, name, version, sha256))
    return tuple(jars)


def jars_folder() -> Path:
    """Where the jars are kept: ``CHATBOT_JARS``, else a folder in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("CHATBOT_JARS") or cache / "chatbot" / "jars").absolute()


def missing_jars(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    """The jars that are not in the folder, or not with the bytes that the lock names."""
    return [jar for jar in jars if not _is_good(folder / jar.file, jar)]


def require_jars() -> list[Path]:
    """The locked jars' files.

    Raises:
        EngineError: when one is missing or damaged.
    """
    jars, folder = locked_jars(), jars_folder()
    missing = missing_jars(jars, folder)
    if missing:
        names = ", ".join(jar.file for jar in missing)
        raise EngineError(f"engine 'local' needs {names} in {folder}; fetch with: {SETUP} (or use --engine sail)")
    return [folder / jar.file for jar in jars]


def fetch_jars(java: Java, jars: Sequence[Jar], folder: Path, repository: str | None = None) -> None:
    """Downloads jars, checks their hashes, and puts each into the folder whole or not at all.

    Args:
        java: runs Ivy.
        jars: what to fetch; exactly these, and nothing that they depend on.
        folder: where to; made when there is none.
        repository: URL of a Maven repository instead of Maven Central. ``HTTPS_PROXY`` and its like are heeded.

    Raises:
        EngineError: when a jar cannot be had, or is not the one that the lock names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as name:
        fetched = Path(name)
        _run_ivy(java, jars, fetched, repository)
        for jar in jars:
            path = fetched / jar.file
            if not path.exists():
                raise EngineError(
                    f"{jar.file} could not be fetched; look at the network, or name a mirror: {SETUP} --repository URL"
                )
            if not _is_good(path, jar):
                raise EngineError(
                    f"{jar.file} as fetched is not the one in {LOCK.name}; fetch it from another repository"
                )
        for jar in jars:
            os.replace(fetched / jar.file, folder / jar.file)


def _is_good(path: Path, jar: Jar) -> bool:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _run_ivy(java: Java, jars: Sequence[Jar], folder: Path, repository: str | None) -> None:
    import pyspark

    (ivy,) = sorted((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    root = f" root={quoteattr(repository.rstrip('/') + '/')}" if repository else ""
    # Without descriptors (usepoms) Ivy asks for the jars alone.
    settings = f"""<ivysettings>
      <settings defaultResolver="maven"/>
      <resolvers><ibiblio name="maven" m2compatible="true" usepoms="false"{root}/></resolvers>
    </ivysettings>"""
    dependencies = "".join(
        f'<dependency org="{jar.group}" name="{jar.name}" rev="{jar.version}" transitive="false"/>' for jar in jars
    )
    module = f"""<ivy-module version="2.0">
      <info organisation="chatbot" module="jars"/>
      <dependencies>{dependencies}</dependencies>
    </ivy-module>"""
    (folder / "settings.xml").write_text(settings, encoding="utf-8")
    (folder / "ivy.xml").write_text(module, encoding="utf-8")
    command = [java.program, *_proxy_options(), "-jar", str(ivy), "-error"]
    command += ["-settings", str(folder / "settings.xml"), "-ivy", str(folder / "ivy.xml")]
    command += ["-cache", str(folder / "ivy"), "-retrieve", str(folder / "[artifact]-[revision].[ext]")]
    try:
        subprocess.run(command, capture_output=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(
            f"the jars did not come within {FETCH_SECONDS} s; look at the network and try again"
        ) from None


def _proxy_options() -> list[str]:
    """Java reads no proxy variables: gives them as the properties that it does read."""
    options = []
    proxies = urllib.request.getproxies()
    for scheme in ("http", "https"):
        proxy = urllib.parse.urlsplit(proxies.get(scheme, ""))
        if proxy.hostname:
            options += [f"-D{scheme}.proxyHost={proxy.hostname}", f"-D{scheme}.proxyPort={proxy.port or 3128}"]
    direct = [name.strip() for name in proxies.get("no", "").split(",") if name.strip()]
    if direct:
        patterns = [f"*{name}" if name.startswith(".") else name for name in direct]
        options.append(f"-Dhttp.nonProxyHosts={'|'.join(patterns)}")
    return options
