"""National identity numbers, by region: check digits where there are any, else the structure.

Sources: python-stdnum for KR, JP, US, CN and TH; Taiwan's Ministry of the Interior, Hong Kong's Immigration Department
and Viet Nam's decree 137/2015/ND-CP (as changed by circular 59/2021/TT-BCA) for the others.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from chatbot_assets.process.digit_groups import SEPARATORS, Number, numbers_in

RESULT_LIBRARIES = ["python-stdnum"]

_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""Counts from 10: the order of the counties' letters."""
_TW = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][1289][0-9]{8}(?![A-Za-z0-9])")
_HK = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{1,2})([0-9]{6})\(?([0-9Aa])\)?(?![A-Za-z0-9])")
_CN = re.compile(rf"(?<![A-Za-z0-9])[0-9]{{6}}{SEPARATORS}[0-9]{{8}}{SEPARATORS}[0-9]{{3}}[0-9Xx](?![A-Za-z0-9])")


def identity_numbers(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where identity numbers of ``regions`` (of ``REGIONS``; others have none here) stand in a text."""
    numeric = [_NUMERIC[region] for region in regions if region in _NUMERIC]
    for region in regions:
        for match in _LETTERED[region][0].finditer(text) if region in _LETTERED else ():
            if _LETTERED[region][1](match):
                yield match.span()
    if numeric:
        yield from numbers_in(text, lambda number: any(is_valid(number) for is_valid in numeric))


def _is_korean(number: Number) -> bool:
    from stdnum.exceptions import ValidationError
    from stdnum.kr import rrn

    if len(number.digits) != 13 or number.plus:
        return False
    if rrn.is_valid(number.digits):
        return True
    try:  # those given since October 2020 have no check digit: then the way it is written must tell
        rrn.get_birth_date(number.digits)
    except ValidationError:
        return False
    return number.shape == (6, 7) and number.digits[6] in "12345678"


def _is_japanese(number: Number) -> bool:
    from stdnum.jp import in_

    return number.shape in ((12,), (4, 4, 4)) and not number.plus and in_.is_valid(number.digits)


def _is_american(number: Number) -> bool:
    from stdnum.us import ssn

    return number.shape == (3, 2, 4) and not number.plus and ssn.is_valid(number.digits)


def _is_thai(number: Number) -> bool:
    from stdnum.th import pin

    return number.shape in ((13,), (1, 4, 5, 2, 1)) and not number.plus and pin.is_valid(number.digits)


def _is_vietnamese(number: Number) -> bool:
    """Three digits of a province (001 to 096), one of century and gender, two of the year, six of a serial number."""
    digits = number.digits
    is_shaped = number.shape in ((12,), (3, 3, 3, 3), (4, 4, 4)) and not number.plus
    return is_shaped and 1 <= int(digits[:3]) <= 96 and digits[3] in "0123"


def _is_chinese(match: re.Match[str]) -> bool:
    from stdnum.cn import ric

    return bool(ric.is_valid(re.sub("[^0-9X]", "", match[0].upper())))


def _is_taiwanese(match: re.Match[str]) -> bool:
    number = match[0].upper()
    tens, ones = divmod(_TW_LETTERS.index(number[0]) + 10, 10)
    weighted = (int(digit) * weight for digit, weight in zip(number[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))
    return (tens + 9 * ones + sum(weighted)) % 10 == 0


def _is_of_hong_kong(match: re.Match[str]) -> bool:
    letters = match[1].upper().rjust(2)
    values = [36 if letter == " " else ord(letter) - ord("A") + 10 for letter in letters]
    values += [int(digit) for digit in match[2]] + [10 if match[3] in "Aa" else int(match[3])]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


_NUMERIC: dict[str, Callable[[Number], bool]] = {
    "KR": _is_korean, "JP": _is_japanese, "US": _is_american, "TH": _is_thai, "VN": _is_vietnamese,
}  # fmt: skip
_LETTERED: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]] = {
    "CN": (_CN, _is_chinese), "TW": (_TW, _is_taiwanese), "HK": (_HK, _is_of_hong_kong),
}  # fmt: skip

REGIONS: tuple[str, ...] = tuple(sorted({*_NUMERIC, *_LETTERED}))
"""The regions whose identity numbers are known here, as ISO 3166 codes."""
