"""The baseline of ``bench serving``: what one writes first, a FastAPI endpoint over the same model, turn by turn.

It keeps no turns, asks for no token and sees no new deployment: all that it does is to answer.
"""

import argparse
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from resources.environment import Home
from serving.bots import load_live


class Turn(BaseModel):
    """One turn of a user."""

    session_id: str
    text: str


def create_app(key: str) -> FastAPI:
    """An application with the one route; loads the bot of the environment's home."""
    live = load_live(Home.from_environment(), key)
    if live is None:
        raise SystemExit(f"{key} is not deployed")
    responder = live.responder
    app = FastAPI()

    @app.post("/chat")
    def chat(turn: Turn) -> dict[str, Any]:
        return responder.respond([turn.text])[0].as_dict()

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bot", required=True)
    options = parser.parse_args()
    uvicorn.run(create_app(options.bot), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
