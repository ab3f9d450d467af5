"""A small OpenID provider on loopback, for tests: real HTTP, real signatures, and a say in what goes wrong."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "chatbot", "a client's secret: with + and /"


@dataclass
class Provider:
    """What it says of whoever comes; ``claims`` override those of the ID token, ``signs`` is the key that it uses."""

    issuer: str = ""
    algorithm: str = "RS256"
    who: dict[str, Any] = field(default_factory=lambda: {"sub": "u1", "email": "kim@acme.example", "groups": ["cs"]})
    claims: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, Any] = field(
        default_factory=lambda: {"RS256": RSAKey.generate_key(2048), "ES256": ECKey.generate_key("P-256")}
    )
    published: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys["ES256"] = ECKey.generate_key("P-256")
        for key in self.keys.values():
            key.ensure_kid()
        self.published = dict(self.keys)

    def authorize(self, query: dict[str, str]) -> str:
        """What the sign-in at the provider ends with: where the browser is sent."""
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT and "openid" in query["scope"].split()
        code = f"code-{len(self.asked)}"
        self.asked[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The ID token for a code; None when client, code or PKCE's verifier are wrong."""
        asked = self.asked.pop(form.get("code", ""), None)
        client = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or authorization != f"Basic {client}" or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        if asked["code_challenge"] != base64.urlsafe_b64encode(challenge).decode().rstrip("="):
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        return {"access_token": "a", "token_type": "Bearer", "id_token": self.signed(claims | self.who | self.claims)}

    def signed(self, claims: dict[str, Any]) -> str:
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."
        key = self.keys[self.algorithm]
        return jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key)


@contextmanager
def provider() -> Iterator[Provider]:
    """Runs one until the end of the block."""
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/.well-known/openid-configuration":
                places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                self.answer({"issuer": found.issuer} | {name: f"{found.issuer}/{at}" for name, at in places.items()})
            elif address.path == "/keys":
                self.answer({"keys": [key.as_dict(private=False) for key in found.published.values()]})
            elif address.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(address.query).items()}
                self.send_response(303)
                self.send_header("Location", found.authorize(query))
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            said = found.token(form, self.headers.get("Authorization", ""))
            self.answer(said or {"error": "invalid_grant"}, 200 if said else 400)

        def answer(self, what: dict[str, Any], status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(what).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
