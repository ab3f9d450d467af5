"""Forgets a person: finds what a bot holds of them, removes it everywhere, and proves that nothing of it is left.

The steps, each of which can be done again after it was interrupted:

1. *find* (``subject``): the person's rows in all versions, and what was derived from them alone;
2. *remove* (``sources``, ``landing_rows``): recorded changes of the tables that the rest is made from;
3. *refresh*: the graph computes what follows, and a new model takes the place of one that learnt from the person;
4. *forget* (``history``, ``elsewhere``): old versions, logs, caches and databases lose the person's rows and texts;
5. *search* (``search``): every byte of the home is read again, decoded as well, and the receipt says what was found.

Old versions stay readable, without the person. Models that learnt from them are removed and marked as ``erased``.
"""
