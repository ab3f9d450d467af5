"""The review page: people look at what the bot did not do well, and decide what is right."""
