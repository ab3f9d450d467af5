"""Benchmarks: each is a module that prints one JSON object; what they share stands beside them."""

BENCHMARKS = {
    "pipeline": "from landed rows to a deployment, nothing changed, and a hundred rows more",
    "rollback": "how fast a rollback reaches users, and what they notice of swaps under load",
    "automation": "from a landed file to an answer, ticks over many bots, and a hundred files",
    "campaign": "random events against the automation: nothing may be stale, lost, or computed twice",
    "rebuild": "ten deployments of a changing bot, each rebuilt bit for bit",
    "explain": "how long it takes to explain a turn of a bot of 100,000 rows",
    "serving": "the chat service at rising rates, against a plain endpoint over the same model",
    "writing": "bringing turns into the tables while bots are asked all the time: commits and processor time",
    "encoders": "how fast each variant of the encoder is and loads, and what a bot loses by it",
    "answers": "an index of a million answers: recall, memory, and the chat service over it",
    "noise": "wrong labels found, and what taking them out is worth",
    "review": "the review page on a long queue, decisions of two at once, forecasts, and a decision's way to an answer",
    "service_page": "the service page, and what else looks at every bot, of a tenant with hundreds of bots",
    "loop": "what fifty decisions a batch are worth, by how the turns to decide on are chosen",
    "paraphrase": "what paraphrases are worth where there are few rows",
}
"""The names that ``./chatbot bench`` takes, and what each measures."""
