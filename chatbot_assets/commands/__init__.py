"""What each command does; ``chatbot_assets.cli`` only declares them. Nothing here is imported before it is needed."""


class UserError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""
