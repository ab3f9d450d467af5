"""Tells a tenant why one of its bots answered a turn as it did."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header

from chatbot_assets.explain.explanation import explain_turn
from chatbot_assets.explain.words import Words
from chatbot_assets.tables import CONVERSATIONS
from resources.environment import Home
from resources.tenancy import TenantLake
from serving.access import Access
from serving.chat import Chat, chat_of
from serving.languages import chosen_language
from serving.people.roles import Permission, Person


class Explaining:
    """Explanations of served turns, for the API and for the pages."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def of(self, chat: Chat, owner: str, key: str, turn_id: str, words: Words) -> dict[str, Any]:
        """The explanation of a turn, also of one that is not written yet, in the language of the words.

        Raises:
            HTTPException: 404 when the tenant's bot never served it.
        """
        turn = chat.turn(owner, key, turn_id, CONVERSATIONS.schema.names)
        return explain_turn(TenantLake(self._home.lake, owner), self._home.cache, key, turn, words)


def explain_routes(access: Access, explaining: Explaining) -> APIRouter:
    """The API's route; the tenant comes from the token or the session, never from the request."""
    router = APIRouter(prefix="/v1/bots")

    @router.get("/{key}/turns/{turn_id}/explain")
    def explain(
        key: str,
        turn_id: str,
        asks: Annotated[Person, Depends(access.may(Permission.READ))],
        chat: Annotated[Chat, Depends(chat_of)],
        accept_language: Annotated[str, Header()] = "",
    ) -> dict[str, Any]:
        """Why a turn was answered as it was, in the language that the request likes best."""
        return explaining.of(chat, asks.tenant, key, turn_id, Words(chosen_language(accept_language)))

    return router
