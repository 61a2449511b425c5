"""A small provider of OpenID Connect on this machine: discovery, a page to choose a person, tokens, keys."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "wayline-test"


@dataclass
class Provider:
    """Who can sign in, by name, with the claims that are told of each; `address` is where it answers."""

    persons: Mapping[str, Mapping[str, Any]]
    address: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"}))
    codes: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def discovery(self) -> dict[str, Any]:
        """Return what a client asks first."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def choosing(self, asked: Mapping[str, list[str]]) -> str:
        """Return the page on which a person is chosen."""
        links = []
        for name in self.persons:
            code = secrets.token_urlsafe(12)
            self.codes[code] = (name, asked.get("nonce", [None])[0])
            query = urlencode({"code": code, "state": asked["state"][0]})
            links.append(f'<li><a href="{asked["redirect_uri"][0]}?{query}">{name}</a></li>')
        return f"<html><body><h1>Who are you?</h1><ul>{''.join(links)}</ul></body></html>"

    def token(self, code: str) -> dict[str, Any]:
        """Return the tokens of the person that a code stands for."""
        name, nonce = self.codes.pop(code)
        now = int(time.time())
        claims = {"iss": self.address, "sub": name, "aud": CLIENT, "iat": now, "exp": now + 600, "nonce": nonce}
        signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims | dict(self.persons[name]), self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@contextmanager
def providing(persons: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """Answer on a free port of this machine."""
    provider = Provider(persons=persons)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/authorize":
                self._send(provider.choosing(parse_qs(url.query)), "text/html")
            elif url.path == "/keys":
                self._send(json.dumps({"keys": [provider.key.as_dict(private=False)]}), "application/json")
            else:
                self._send(json.dumps(provider.discovery()), "application/json")

        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._send(json.dumps(provider.token(body["code"][0])), "application/json")

        def _send(self, text: str, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
