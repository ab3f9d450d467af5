"""People and machines that ask: accounts, sessions, API tokens and single sign-on; imports no web framework."""
