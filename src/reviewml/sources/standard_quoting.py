"""Rewriting blocks of any dialect as RFC 4180, which Arrow parses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewml.sources.dialect import LETTERS, NEWLINES, QUOTE, Dialect
from reviewml.sources.scan_quotes import Block, has_line


def rewrite_standard(block: Block, dialect: Dialect, filler: bytes) -> tuple[bytes, str]:
    r"""Rewrite records as RFC 4180; return them and the quote, which may be empty.

    Parameters
    ----------
    block
        Whole records.
    dialect
        How they are written.
    filler
        A record that stands for each malformed one, with its newline.

    Examples
    --------
    >>> dialect = Dialect(quote="'", escape="\\", scope="quoted")
    >>> rewrite_standard(Block(b"1,'it\\'s'\n"), dialect, b"")
    (b"1,'it''s'\n", "'")
    """
    content = b"".join(_with_filler(block, filler)) if block.malformed else block.content
    if has_line(content, dialect.comment):
        content = _drop_comments(content, dialect)
    escapes = bool(dialect.escape) and dialect.escape.encode() in content
    if escapes or dialect.has_newline_letters(content):
        return _rewrite_cells(content, dialect), dialect.quote or QUOTE
    return content, dialect.quote


def _with_filler(block: Block, filler: bytes) -> Iterator[bytes]:
    done = 0
    for malformed in block.malformed:
        yield block.content[done : malformed.start]
        yield filler
        done = malformed.stop
    yield block.content[done:]


def _drop_comments(content: bytes, dialect: Dialect) -> bytes:
    records = re.compile(rb"(%s)|%s" % (dialect.record.pattern, dialect.line.pattern))
    comment, pieces, position = dialect.comment.encode(), [], 0
    while match := records.match(content, position):
        if not match[0].startswith(comment):
            pieces.append(match[0])
            position = match.end()
        else:
            # A quote in a comment opens nothing.
            line = dialect.line.match(content, position)
            position = line.end() if line else match.end()
    return b"".join(pieces)


def _rewrite_cells(content: bytes, dialect: Dialect) -> bytes:
    """Quote cells with escapes or lone carriage returns, and double the quotes in them."""
    quote = (dialect.quote or QUOTE).encode()
    special = re.escape(quote.decode() + dialect.escape + dialect.delimiter)
    escaped = re.compile(rf"{re.escape(dialect.escape)}([{special}\r\n])".encode())

    def double_quote(match: re.Match[bytes]) -> bytes:
        return 2 * quote if match[1] == quote else match[1]

    def rewrite(match: re.Match[bytes]) -> bytes:
        if match["quoted"] is not None:
            return quote + escaped.sub(double_quote, match["quoted"]) + quote
        if match["unquoted"] is not None:
            text = match["unquoted"]
            if dialect.scope == "anywhere":
                text = escaped.sub(rb"\1", text)
            return quote + text.replace(quote, 2 * quote) + quote
        return match[0]

    return _compile_cells_to_rewrite(dialect).sub(rewrite, content)


def _compile_cells_to_rewrite(dialect: Dialect) -> re.Pattern[bytes]:
    """Compile a pattern of the cells to rewrite and of the text between them."""
    quote, escape = re.escape(dialect.quote or QUOTE), re.escape(dialect.escape)
    delimiter = re.escape(dialect.delimiter)
    ends = delimiter + r"\r\n"
    end = rf"(?:{delimiter}|{NEWLINES[dialect.newline]})"
    outside = escape if dialect.scope == "anywhere" else ""
    pattern = rf"[^{quote}{outside}{ends}][^{outside}{ends}]*+"
    quoted = "(?!)(?P<quoted>)"
    if dialect.quote:
        pattern += rf"|{quote}[^{quote}{escape}]*+(?:{quote}{quote}[^{quote}{escape}]*+)*+{quote}"
    if dialect.quote and escape:
        inside = rf"[^{quote}{escape}]++|{quote}{quote}|{escape}[\s\S]"
        quoted = rf"{quote}(?P<quoted>(?:{inside})*+){quote}"
    letters = rf"[^{outside}{ends}]++" + (rf"|{outside}[\s\S]" if outside else "")
    unquoted = rf"(?P<unquoted>(?:{letters}|{LETTERS[dialect.newline]})++)"
    return re.compile(rf"(?:(?:{pattern}|){end})++|{quoted}|{unquoted}".encode())
