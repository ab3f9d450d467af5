"""The route by which ``verify`` asks a running service what it answers with; such turns are in no conversation."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from chatbot_assets.bot import config_hash
from chatbot_assets.deploy.agreement import answers
from serving.access import Access
from serving.chat import Chat, chat_of
from serving.people.roles import Permission, Person

TEXTS = 50
"""The most texts that are asked at once."""


class VerificationRequest(BaseModel):
    """Texts to be answered, for comparison with what was evaluated."""

    model_config = ConfigDict(extra="forbid")

    texts: list[str] = Field(max_length=TEXTS)
    trial: bool = False
    """Ask the canary or the shadow, if one is tried, instead of what is live."""


def verification_routes(access: Access) -> APIRouter:
    """``POST /v1/bots/{key}/verification``."""
    router = APIRouter(prefix="/v1/bots")

    @router.post("/{key}/verification")
    def verification(
        key: str,
        asked: VerificationRequest,
        asks: Annotated[Person, Depends(access.may(Permission.READ))],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> dict[str, Any]:
        """The deployment that answers, and its first candidate, score and milliseconds for each text."""
        loaded = chat.loaded(asks.tenant, key)
        bot = (loaded.tried if asked.trial else None) or loaded.live
        return {
            "deployment_id": bot.deployment.deployment_id,
            "model_id": bot.deployment.model_id,
            "config_hash": config_hash(bot.deployment.config),
            "answers": [
                {"top": answer.top, "score": answer.score, "milliseconds": answer.milliseconds}
                for answer in answers(bot.responder, asked.texts)
            ],
        }

    return router
