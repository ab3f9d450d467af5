"""Personal telephone numbers, by the numbering plans of phonenumbers."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from chatbot_assets.process.digit_groups import Number, numbers_in

RESULT_LIBRARIES = ["phonenumbers"]

_DATE_OR_YEARS = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])|(?:19|20)[0-9]{2})")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def phone_numbers(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where numbers stand that can be dialled in one of ``regions``, or in any country when a plus stands before them.

    Service numbers (toll free, shared cost, premium, short codes) belong to no person and are left out.
    """
    return numbers_in(text, lambda number: _is_phone_number(number, regions))


def is_region(code: str) -> bool:
    """Whether a region (ISO 3166, upper case) has a numbering plan."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


def _is_phone_number(number: Number, regions: Sequence[str]) -> bool:
    digits = number.digits
    if not _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return False
    if number.plus:
        return _is_dialled(f"+{digits}", None)
    # Without a trunk prefix only the grouping tells a number from a date ("2024-01-15"); digits alone may be a date.
    if not digits.startswith("0") and (min(number.shape) < 3 or _DATE_OR_YEARS.fullmatch(digits)):
        return False
    return any(_is_dialled(digits, region) for region in regions)


def _is_dialled(digits: str, region: str | None) -> bool:
    import phonenumbers as plans

    try:
        parsed: Any = plans.parse(digits, region)
    except plans.NumberParseException:
        return False
    kinds = plans.PhoneNumberType
    personal = (
        kinds.FIXED_LINE, kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE, kinds.VOIP, kinds.PERSONAL_NUMBER, kinds.PAGER,
    )  # fmt: skip
    if plans.number_type(parsed) not in personal:
        return False
    # As written at home, with its trunk prefix, or with the country's code: what the parser completes does not count.
    at_home = plans.format_number(parsed, plans.PhoneNumberFormat.NATIONAL)
    abroad = plans.format_number(parsed, plans.PhoneNumberFormat.E164)
    return digits in (re.sub("[^0-9]", "", at_home), abroad, abroad[1:])
