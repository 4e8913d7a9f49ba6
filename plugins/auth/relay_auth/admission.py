"""May this request enter, and as whom?"""

from __future__ import annotations

from relay import Caller, Code, Exchange, Refused
from relay.ports import PRESENTED_KEY
from relay.values.clock import time
from relay_auth.keyring import Keyring

CODES = (
    Code("no_key", 401, "The request carries no API key."),
    Code("invalid_key", 401, "The API key is not valid."),
    Code("expired_key", 401, "The API key has expired."),
    Code("address_not_allowed", 403, "The API key may not be used from this network."),
    Code("surface_not_allowed", 403, "The API key may not use this operation."),
    Code("model_not_allowed", 403, "The API key may not use this model."),
)
_CHALLENGE = {"www-authenticate": "Bearer"}  # RFC 9110 §11.6.1: a 401 names a scheme.


def admit(keyring: Keyring, exchange: Exchange) -> None:
    """Set the exchange's caller, or refuse it. Where one is set already (a plugin's own call has its parent's), only the scope is checked.

    :raises Refused: with one of `CODES`. Unknown, malformed and disabled keys cannot be told apart.
    """
    presented = exchange.values.pop(PRESENTED_KEY, None)
    if exchange.caller is None:
        if presented is None:
            raise Refused("no_key", headers=_CHALLENGE)
        grant = keyring.find(presented)
        if grant is None or grant.disabled:
            raise Refused("invalid_key", headers=_CHALLENGE)
        if grant.expires_at is not None and time() >= grant.expires_at:
            raise Refused("expired_key", headers=_CHALLENGE)
        if not grant.admits(exchange.client.address):
            raise Refused("address_not_allowed")
        exchange.caller = grant.caller
    _within_scope(exchange.caller, exchange)


def _within_scope(caller: Caller, exchange: Exchange) -> None:
    call = exchange.call
    if not caller.may_ask(call.surface):
        raise Refused("surface_not_allowed", f"The API key may not use the operation '{call.surface.name}'.")
    if call.model is not None and not caller.may_use(call.model):
        raise Refused("model_not_allowed", f"The API key may not use the model {call.model[:100]!r}.")
