"""What to do about bytes that are not text."""

from __future__ import annotations

import re

UTF8_LETTER = re.compile(
    rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
"""Bytes that are one letter of UTF-8; in other encodings few are so by chance."""


def explain_undecodable(content: bytes) -> str:
    """Explain that bytes are not valid text, and suggest an encoding."""
    return f"not valid UTF-8, or not in the encoding given: {advise_encoding(content)}"


def advise_encoding(content: bytes) -> str:
    r"""Describe what encoding to pass for bytes that are not valid UTF-8.

    Windows writes cp1252 where its users say Latin-1. Both have the same letters, but 0x80 to
    0x9F are quotation marks, dashes and the euro sign in one and control characters in the other.

    Examples
    --------
    >>> advise_encoding(b"\x93Great\x94")
    "pass encoding='cp1252', or whatever the file was written in"
    """
    if content.startswith(b"\x1f\x8b"):
        return "it is compressed with gzip: let its name end in .gz"
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if 2 * zeros.count(0) > len(zeros):
            return f"pass encoding={encoding!r}"
    others = sum(byte > 0x7F for byte in content)
    if 2 * sum(map(len, UTF8_LETTER.findall(content))) > others:
        return "most of its letters are UTF-8, so the bytes were damaged before"
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "pass encoding=, such as 'cp1251', 'shift_jis' or whatever the file was written in"
    return "pass encoding='cp1252', or whatever the file was written in"
