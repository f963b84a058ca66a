"""Recognize values that identify a person, so that no model, report or message keeps them.

E-mail and IP addresses, telephone, card and account numbers, and secrets have a form. Names and
street addresses have none, and are not found.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from reviewml.privacy.redaction import contains_secret

EMAIL = re.compile(
    r"[^\s@<>,;:]{1,64}@[\w-]+(?:\.[\w-]+)+"
    r"|[^\s@<>,;:]{1,64} ?(?:@|%40|&\#0?64;) ?[\w-]{1,63}(?: ?\. ?[\w-]{1,63}){0,7} ?\. ?[a-z]{2,}"
    # Around words in brackets, as in user [at] example [dot] com; a dot may also be itself.
    r"|[\w.+-]{1,64}\s{0,3}[\[({<]\s?(?:at|@|a)\s?[\])}>]\s{0,3}[\w-]{1,63}\s{0,3}"
    r"(?:\.|[\[({<]\s?(?:dot|\.|punkt|punto|point)\s?[\])}>]|\bdot\b)\s{0,3}\w"
    # Words alone: only before the end of an address, or a polka dot dress would be one.
    r"|[^\W_](?:\s{1,3}at\s{1,3}|[_-]at[_-])(?:[^\W_]|-){1,63}?"
    r"(?:(?:\s{1,3}|[_-])dot(?:\s{1,3}|[_-])(?:[^\W_]|-){1,63}?){0,4}"
    r"(?:(?:\s{1,3}|[_-])dot(?:\s{1,3}|[_-])|\.)"
    r"(?:com|net|org|edu|gov|info|biz|app|dev|shop|store|example|co|io|eu|de|uk|fr|es|nl|ch|se|pl"
    r"|cz|ru|br|jp|cn|kr|au|ca|mx|ie|fi|dk|pt|gr|hu|ro|tr|za|nz)\b",
    re.IGNORECASE,
)
"""An address, or one that is written so that programs shall not find it."""

IP_ADDRESS = re.compile(
    r"(?<![\d.])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?![\d.])"
)

COLONS = re.compile(
    r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?:\.\d+){3})?(?![\w:])", re.I
)
"""What may be an IPv6 address, or a time."""

MOMENT = re.compile(
    r"(?<!\d)(?:[12]\d{3}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:[12]\d)?\d\d"
    r"|[12]\d{3}[01]\d[0-3]\d)(?!\d)(?:[T ]?\d{1,2}:?\d\d(?::?\d\d(?:\.\d+)?)?)?"
    r"(?:Z|[+-]\d\d:?\d\d)?(?!\d)"
)
"""A date, and what time may follow: digits that say when, not who."""

HASH = re.compile(
    r"\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=(?:\d*[a-f]){3})[0-9a-f]{20,})\b",
    re.IGNORECASE,
)
"""A checksum or a UUID: the digits in it are random."""

LONG_NUMBER = re.compile(r"(?<![\d.,])\d{9,}(?![.,]?\d)")
"""A customer, an account, a card; or a product."""

PRODUCT = re.compile(r"(?<![\d.,+])(?:\d{8}|\d{12,14})(?!\d)")

ACCOUNT = re.compile(r"(?<![^\W_])(?=([A-Z]{2}[ .-]?\d{2}(?:[ .-]?[A-Z\d]){11,30}))", re.IGNORECASE)
"""What may be an IBAN, in groups of any size."""

GROUPED_NUMBER = re.compile(
    r"""
      (?<!\d)\d{3}[ -]\d{2}[ -]\d{4}(?!\d)                # social security
    | (?<![\w+])(?:\+|00[ ]?(?=[1-9]))[ ]?\d(?:[ ().\-/]{0,3}\d){6,14}(?!\d)  # from abroad
    | (?<!\d)\(0?\d{2,5}\)[ ./-]?\d(?:[ .\-/]?\d){4,9}(?!\d)   # area in brackets
    | (?<![\d.,])0[1-9]\d{1,4}[ ./-]{1,3}\d(?:[ .\-/]?\d){4,9}(?!\d)  # at home
    | (?<!\d)0[1-9](?:[ .-]\d\d){4}(?!\d)                 # in France
    | (?<!\d)\d{3}([ .-])\d{3}\1\d{4}(?!\d)               # in the United States
    | (?<!\d)\d{4}([ .-])\d{4}\2\d{4}\2\d{4}(?!\d)       # a card, in groups
    | (?<!\d)\d{4}[ -]\d{6}[ -]\d{5}(?!\d)               # American Express
    """,
    re.VERBOSE,
)

CHECKED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?<![^\W_]){form}(?![^\W_])", re.VERBOSE | re.IGNORECASE), kind)
    for form, kind in (
        # Payment cards.
        (r"[2-6]\d{3}(?P<card>[ .-])\d{4}(?P=card)\d{4}(?P=card)\d{1,4}(?:(?P=card)\d{1,3})?",
         "luhn"),
        (r"3\d{3}(?P<card>[ .-])\d{6}(?P=card)\d{4,5}", "luhn"),
        # Persons.
        (r"\d{3}\.\d{3}\.\d{3}-\d\d", "br.cpf"),
        (r"[12][ ]?\d\d[ ]?[0-9]\d[ ]?(?:\d\d|2[AB])[ ]?\d{3}[ ]?\d{3}[ ]?\d\d", "fr.nir"),
        (r"\d{8}-?[A-Z]", "es.dni"),
        (r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
        (r"\d{6}[-+A]\d{3}[\dA-Y]", "fi.hetu"),
        (r"\d{6}[-+]\d{4}", "se.personnummer"),
        (r"[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
        (r"[2-9]\d{3}[ ]\d{4}[ ]\d{4}", "in_.aadhaar"),
    )
)  # fmt: skip
"""Forms that products have too, and the module of stdnum that knows their check digits."""

SEPARATORS = re.compile(r"[ .-]")
HYPHENS = re.compile(r"[\u2010-\u2015\u2212]")


def is_personal(value: Any) -> bool:
    """Check whether a value is text that holds personal data or a secret.

    Examples
    --------
    >>> [is_personal(v) for v in ("me@shop.example", "+49 170 1234567", "2024-01-31", "XL", 5)]
    [True, True, False, False, False]
    """
    if not isinstance(value, str):
        return False
    text = _normalize(value)
    if EMAIL.search(text) or IP_ADDRESS.search(text) or contains_secret(text):
        return True
    if any(map(_is_ipv6, COLONS.findall(text))) or _has_account(text):
        return True
    return _has_number_of_person(HASH.sub(" ", MOMENT.sub(" ", text)))


def _normalize(value: str) -> str:
    """Normalize a text: compatibility forms, plain hyphens, no invisible characters."""
    text = HYPHENS.sub("-", unicodedata.normalize("NFKC", value))
    if text.isascii():
        return text
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


def _is_ipv6(text: str) -> bool:
    # Where zeros are left out: B1::A2, or Bed::Bad, may be two levels of categories.
    if "::" in text and (len(text) < SHORTEST_ADDRESS or not any(map(str.isdigit, text))):
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _has_account(text: str) -> bool:
    numbers = (SEPARATORS.sub("", number) for number in ACCOUNT.findall(text))
    # Other words may follow the number.
    return any(
        _is_valid("iban", number[:length])
        for number in numbers
        for length in range(SHORTEST_IBAN, len(number) + 1)
    )


def _has_number_of_person(text: str) -> bool:
    text = PRODUCT.sub(lambda match: " " if _is_product(match[0]) else match[0], text)
    if LONG_NUMBER.search(text) or GROUPED_NUMBER.search(text):
        return True
    return any(
        _is_valid(kind, match.group()) for form, kind in CHECKED for match in form.finditer(text)
    )


def _is_product(digits: str) -> bool:
    """Check whether digits can be a GTIN: an EAN, a UPC or an ISBN of 13 digits."""
    return _is_valid("ean", digits)


def _is_valid(kind: str, number: str) -> bool:
    """Check whether a number has the check digits of its kind, a module of stdnum."""
    # Imported by name, since a warehouse that runs our code has no stdnum, and asks for none.
    valid: bool = importlib.import_module(f"stdnum.{kind}").is_valid(number)
    return valid


def count_personal(values: Iterable[Any]) -> int:
    """Count the values that hold personal data."""
    return sum(map(is_personal, values))


def describe_value(value: Any) -> str:
    """Describe a value for an error message, without quoting reviews or personal data.

    Examples
    --------
    >>> [describe_value(value) for value in (17, "grid", "me@shop.example", "I love this dress so")]
    ['17', "'grid'", 'a text of 15 characters', 'a text of 20 characters']
    """
    if not isinstance(value, str | bytes):
        return repr(value)
    if isinstance(value, bytes) or len(value) > LONGEST or value.count(" ") > 2:
        return f"a text of {len(value):,} characters"
    # One in ten long numbers has the check digit of a product by chance.
    if LONG_NUMBER.search(value) or is_personal(value):
        return f"a text of {len(value):,} characters"
    return repr(value)


SHORTEST_IBAN = 15
"""Characters, in Norway."""

SHORTEST_ADDRESS = 7
"""Characters of an IPv6 address, such as ``fe80::1``: fewer may be a code."""

LONGEST = 40
"""Characters of a key or a label that an error quotes; a longer one may be a review."""
