"""Why the review page cannot do what it was asked for, in the reader's language."""

from dataclasses import dataclass

from chatbot_assets.process.decisions import ACTIONS
from chatbot_assets.refused import RefusedError
from serving.pages.words import words_of
from serving.pages.writing import Writing


@dataclass(frozen=True)
class Refusal:
    """What the page says, and a developer's words for it (may be empty)."""

    says: str
    detail: str = ""

    @property
    def text(self) -> str:
        """Both, for a script."""
        return f"{self.says} {self.detail}".rstrip()


def refusal(error: RefusedError, language: str) -> Refusal:
    """What a refused filter, choice or decision says to a reader; names of actions are those of the page's buttons."""
    words, write = words_of("review", language), Writing(language)
    facts = {name: write.fact(value) for name, value in error.facts.items()}
    if facts.get("action") in ACTIONS:
        facts["action"] = words[facts["action"]]
    return Refusal(words["problem"][error.problem].format(**facts), facts.get("detail", ""))
