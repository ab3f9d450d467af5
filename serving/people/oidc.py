"""Single sign-on by OpenID Connect: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 9700).

Who the provider says somebody is becomes a tenant and roles by the rules of a YAML file; whom no rule names, stays out.
"""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.people.roles import ROLES, How
from serving.people.sessions import Identity
from serving.people.store import PeopleError, Store, hash_of, new_secret

ISSUER, CLIENT_ID, CLIENT_SECRET = "CHATBOT_OIDC_ISSUER", "CHATBOT_OIDC_CLIENT_ID", "CHATBOT_OIDC_CLIENT_SECRET"
MAPPING = "CHATBOT_OIDC_MAPPING"
"""Names the YAML file with the rules; ``oidc.yaml`` in the home by default."""
ALGORITHMS = ["RS256", "ES256"]
"""How an ID token may be signed: never without a key, nor with the client's secret."""
ATTEMPT_SECONDS = 10 * 60
KEPT_SECONDS = 3600.0
TIMEOUT_SECONDS = 10.0
LEEWAY_SECONDS = 60
"""How far the provider's clock may be off."""


class OidcError(RuntimeError):
    """A sign-on that failed; the text is for the service's log, not for whoever tried."""


class Rule(BaseModel):
    """Whose claim has (or, as a list, holds) a value belongs to a tenant and has roles there."""

    model_config = ConfigDict(extra="forbid")

    claim: str = Field(min_length=1)
    value: str
    tenant: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    roles: list[str] = Field(min_length=1)


class Mapped(BaseModel):
    """The YAML file: rules, and the claim that names a person in the audit log."""

    model_config = ConfigDict(extra="forbid")

    name: str = "email"
    rules: list[Rule] = Field(min_length=1)


@dataclass(frozen=True)
class Settings:
    """Which provider is trusted, as which client, and what its claims mean here."""

    issuer: str
    client_id: str
    client_secret: str
    mapped: Mapped

    @classmethod
    def from_environment(cls, home: Path) -> "Settings | None":
        """Reads the variables ``CHATBOT_OIDC_…`` and the mapping; None when no issuer is named.

        Raises:
            PeopleError: when something is missing or wrong, with what to do.
        """
        issuer = os.environ.get(ISSUER)
        if not issuer:
            return None
        parts = urlsplit(issuer)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise PeopleError(f"{ISSUER} must be an https address")
        missing = [name for name in (CLIENT_ID, CLIENT_SECRET) if not os.environ.get(name)]
        if missing:
            raise PeopleError(f"{ISSUER} is set; set {' and '.join(missing)} too")
        path = Path(os.environ.get(MAPPING) or home / "oidc.yaml")
        return cls(issuer, os.environ[CLIENT_ID], os.environ[CLIENT_SECRET], read_mapping(path))


def read_mapping(path: Path) -> Mapped:
    """The rules of a YAML file.

    Raises:
        PeopleError: when there is none or it is wrong.
    """
    try:
        mapped = Mapped.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise PeopleError(f"{path} is missing: it says which claims give which tenant and roles") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise PeopleError(f"{path}: {str(error).splitlines()[0]}; see docs/security.md") from None
    unknown = sorted({role for rule in mapped.rules for role in rule.roles} - set(ROLES))
    if unknown:
        raise PeopleError(f"{path}: role {unknown[0]!r} is unknown; roles are {', '.join(ROLES)}")
    return mapped


def identity_of(claims: Mapping[str, Any], mapped: Mapped) -> Identity:
    """Who somebody is here, by the provider's claims.

    Raises:
        OidcError: when no rule names them, or rules name several tenants.
    """
    met = [rule for rule in mapped.rules if _holds(claims.get(rule.claim), rule.value)]
    tenants = sorted({rule.tenant for rule in met})
    if len(tenants) != 1:
        raise OidcError("no rule names this person" if not tenants else f"rules name tenants {', '.join(tenants)}")
    name = str(claims.get(mapped.name) or claims["sub"])[:100]
    return Identity(tenants[0], name, How.OIDC, tuple(sorted({role for rule in met for role in rule.roles})))


def _holds(claim: Any, value: str) -> bool:
    return value in claim if isinstance(claim, list) else claim == value


class SingleSignOn:
    """Sends browsers to the provider, and takes them back."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def begin(self, back: str) -> tuple[str, str]:
        """Where to send the browser, and a secret that it must bring back in a cookie; ``back`` is our own address.

        Raises:
            OidcError: when the provider does not answer.
        """
        state, browser, nonce, verifier = (new_secret() for _ in range(4))
        endpoint = str(self._provider()["authorization_endpoint"])
        with self._client(back) as client:
            url, _ = client.create_authorization_url(endpoint, state=state, code_verifier=verifier, nonce=nonce)
        now = self._store.now()
        with self._store.changing():
            self._store.change("DELETE FROM sign_ons WHERE ends_at < ?", now)
            kept = (hash_of(state), hash_of(browser), nonce, verifier, now + ATTEMPT_SECONDS)
            self._store.change("INSERT INTO sign_ons VALUES (?, ?, ?, ?, ?)", *kept)
        return str(url), browser

    def finish(self, *, code: str, state: str, browser: str, back: str) -> Identity:
        """Who came back with a code. A state can be used once, by the browser that began.

        Raises:
            OidcError: when anything about it is not as it must be.
        """
        with self._store.changing():
            row = self._store.row("SELECT * FROM sign_ons WHERE state = ?", hash_of(state))
            self._store.change("DELETE FROM sign_ons WHERE state = ?", hash_of(state))
        if row is None or row["browser"] != hash_of(browser) or row["ends_at"] < self._store.now():
            raise OidcError("the sign-on was not begun here, or took too long")
        try:
            with self._client(back) as client:
                token = client.fetch_token(
                    str(self._provider()["token_endpoint"]), code=code, code_verifier=row["verifier"]
                )
            claims = self._claims(str(token["id_token"]), row["nonce"])
        except OidcError:
            raise
        except Exception as error:  # of the provider, the network and three libraries
            raise OidcError(f"the provider's answer cannot be used: {type(error).__name__}: {error}") from None
        return identity_of(claims, self._settings.mapped)

    def _client(self, back: str) -> Any:
        from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]

        settings = self._settings
        return OAuth2Session(
            settings.client_id,
            settings.client_secret,
            scope="openid email profile",
            redirect_uri=back,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_SECONDS,
        )

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is signed by the provider, for us, now, and for this sign-on."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jwk import KeySet

        address = str(self._provider()["jwks_uri"])
        for fresh in (False, True):
            try:
                keys = KeySet.import_key_set(self._get(address, fresh=fresh))  # type: ignore[arg-type]
                claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
                break
            except (InvalidKeyIdError, ValueError):
                if fresh:  # otherwise the provider may have new keys
                    raise
        settings = self._settings
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(claims)
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != settings.client_id:
            raise OidcError("the ID token was made for another client")
        return dict(claims)

    def _provider(self) -> dict[str, Any]:
        found = self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._settings.issuer:
            raise OidcError(f"the provider calls itself {found.get('issuer')!r}, not {self._settings.issuer!r}")
        return found

    def _get(self, address: str, *, fresh: bool = False) -> dict[str, Any]:
        with self._lock:
            until, found = self._kept.get(address, (0.0, {}))
            if fresh or time.monotonic() >= until:
                try:
                    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response:
                        found = json.loads(response.read())
                except (OSError, ValueError) as error:
                    raise OidcError(f"{address} does not answer as it should: {error}") from None
                self._kept[address] = (time.monotonic() + KEPT_SECONDS, found)
            return found
