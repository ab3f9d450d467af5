"""What cannot be done is refused by a name with facts, so that it can be said in any language."""

from typing import Any


class RefusedError(ValueError):
    """Somebody asked for what cannot be done; pages say why in the reader's language, commands in the error's text.

    Attributes:
        problem: names the sentence.
        facts: what fills its gaps.
    """

    def __init__(self, problem: str, text: str | None = None, **facts: Any) -> None:
        super().__init__(text or problem)
        self.problem = problem
        self.facts = facts
