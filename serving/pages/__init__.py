"""What people see: the pages, their words in each language and what they have in common."""
