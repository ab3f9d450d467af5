"""Benchmarks: each is a module that prints one JSON object; what they share stands beside them."""

BENCHMARKS = {
    "pipeline": "from landed rows to a deployment, nothing changed, and a hundred rows more",
    "automation": "from a landed file to an answer, ticks over many bots, and a hundred files",
    "campaign": "random events against the automation: nothing may be stale, lost, or computed twice",
    "serving": "the chat service at rising rates, against a plain endpoint over the same model",
    "noise": "wrong labels found, and what taking them out is worth",
    "paraphrase": "what paraphrases are worth where there are few rows",
}
"""The names that ``./chatbot bench`` takes, and what each measures."""
