"""Signing in by OpenID Connect: authorization code with PKCE, and a token that is verified."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import jwt

from nexuslims_console.errors import ConsoleError
from nexuslims_console.web.settings import ConsoleSettings

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_LEEWAY_S: Final = 60


class OidcError(ConsoleError):
    """Somebody could not be signed in; the message says why."""


class Provider:
    """An OpenID provider.

    Parameters
    ----------
    settings
        The console's.
    client
        To ask it with; verifies certificates.
    """

    def __init__(self, settings: ConsoleSettings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._about: dict[str, Any] = {}

    async def address(self, back: str, flow: Mapping[str, str]) -> str:
        """Return the address at which a visitor signs in.

        Parameters
        ----------
        back
            Where they come back to.
        flow
            ``state``, ``nonce`` and ``verifier``: random texts of this attempt.

        Raises
        ------
        OidcError
            If the provider does not answer.
        """
        about = await self._discover()
        digest = hashlib.sha256(flow["verifier"].encode()).digest()
        question = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": flow["state"],
            "nonce": flow["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{about['authorization_endpoint']}?{urlencode(question)}"

    async def user(self, back: str, answer: Mapping[str, str], flow: Mapping[str, str]) -> str:
        """Return who the provider says has come back.

        Parameters
        ----------
        back
            Where they came back to.
        answer
            What they brought from the provider.
        flow
            As for :meth:`address`.

        Raises
        ------
        OidcError
            If it does not vouch for them.
        """
        if "code" not in answer:
            reason = answer.get("error_description") or answer.get("error") or "no code"
            raise OidcError(f"the provider did not sign you in: {reason}")
        about = await self._discover()
        secret = self._settings.oidc_client_secret
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": back,
            "client_id": self._settings.oidc_client_id,
            "code_verifier": flow["verifier"],
            **({"client_secret": secret.get_secret_value()} if secret else {}),
        }
        tokens = await self._json("POST", about["token_endpoint"], data=form)
        claims = await self._verified(tokens.get("id_token", ""), about)
        if claims.get("nonce") != flow["nonce"]:
            raise OidcError("the provider's answer is to another question: begin again")
        user = str(claims.get(self._settings.oidc_user_claim) or "")
        if not user:
            raise OidcError(
                f"the provider gives no {self._settings.oidc_user_claim!r}:"
                " set NX_CONSOLE_OIDC_USER_CLAIM to a claim that it gives"
            )
        if self._settings.oidc_user_claim == "email" and claims.get("email_verified") is False:
            raise OidcError("the provider has not verified your e-mail address")
        return user

    async def _verified(self, token: str, about: Mapping[str, Any]) -> dict[str, Any]:
        keys = await self._json("GET", about["jwks_uri"])
        try:
            known = {key.key_id: key for key in jwt.PyJWKSet.from_dict(keys).keys}
            wanted = jwt.get_unverified_header(token).get("kid")
            key = known.get(wanted) or (next(iter(known.values())) if len(known) == 1 else None)
            if key is None:
                raise OidcError("the provider signed with a key that it does not publish")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._settings.oidc_client_id,
                issuer=about["issuer"],
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise OidcError(f"the provider's token is not valid: {error}") from error
        return claims

    async def _discover(self) -> dict[str, Any]:
        """Read what the provider says of itself, once."""
        if not self._about:
            issuer = self._settings.oidc_issuer.rstrip("/")
            about = await self._json("GET", f"{issuer}/.well-known/openid-configuration")
            if str(about.get("issuer", "")).rstrip("/") != issuer:
                raise OidcError(
                    f"{issuer} calls itself {about.get('issuer')!r}: correct the issuer"
                )
            self._about = about
        return self._about

    async def _json(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, address, **more)
            answer.raise_for_status()
            document: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise OidcError(f"the OpenID provider does not answer as it should: {error}") from error
        return document
