"""Payment card numbers: ISO/IEC 7812 issuer prefixes and lengths, and the Luhn check digit."""

import re
from collections.abc import Iterator

from chatbot_assets.process.digit_groups import Number, numbers_in

RESULT_LIBRARIES = ["python-stdnum"]

_ISSUED = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}"  # JCB
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}"  # Discover
    r"|62[0-9]{14,17}"  # UnionPay
    r"|9[0-9]{15}"  # Korean domestic cards
)


def payment_cards(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand in a text."""
    return numbers_in(text, _is_card)


def _is_card(number: Number) -> bool:
    from stdnum import luhn

    digits = number.digits
    return _ISSUED.fullmatch(digits) is not None and not number.plus and bool(luhn.is_valid(digits))
