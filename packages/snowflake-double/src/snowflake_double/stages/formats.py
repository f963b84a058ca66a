"""File formats: named ones, those written where a file is read, and what can be set in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snowflake_double.sessions import Session
from snowflake_double.statements import (
    Answer,
    Call,
    exists,
    missing,
    not_understood,
    on,
    status,
)
from snowflake_double.texts import NAME, identifier, options

if TYPE_CHECKING:
    from snowflake_double.double import Double

Format = dict[str, Any]

ANY = {"TYPE", "COMPRESSION", "COMMENT"}
KNOWN = {
    "CSV": {
        *ANY,
        "RECORD_DELIMITER",
        "FIELD_DELIMITER",
        "SKIP_HEADER",
        "PARSE_HEADER",
        "FIELD_OPTIONALLY_ENCLOSED_BY",
        "ESCAPE",
        "ESCAPE_UNENCLOSED_FIELD",
        "NULL_IF",
        "EMPTY_FIELD_AS_NULL",
        "TRIM_SPACE",
        "SKIP_BLANK_LINES",
        "ERROR_ON_COLUMN_COUNT_MISMATCH",
        "ENCODING",
        "MULTI_LINE",
        "REPLACE_INVALID_CHARACTERS",
    },
    "JSON": {*ANY, "STRIP_OUTER_ARRAY", "MULTI_LINE"},
    "PARQUET": {
        *ANY,
        "BINARY_AS_TEXT",
        "USE_LOGICAL_TYPE",
        "USE_VECTORIZED_SCANNER",
        "SNAPPY_COMPRESSION",
    },
}


def checked(given: Format) -> Format:
    """Return a format whose options the double knows.

    Raises
    ------
    Refused
        When it does not know one.
    """
    given = {"TYPE": "CSV", **given}
    if given["TYPE"] not in KNOWN:
        raise not_understood(f"files of TYPE = {given['TYPE']} cannot be read.")
    if strange := sorted(given.keys() - KNOWN[given["TYPE"]]):
        raise not_understood(f"files of TYPE = {given['TYPE']} with {', '.join(strange)}.")
    if str(given.get("ENCODING", "UTF8")).replace("-", "") != "UTF8":
        raise not_understood(f"ENCODING = {given['ENCODING']} cannot be read.")
    return given


@on(
    r"^CREATE (?P<replace>OR REPLACE )?(?P<temporary>(?:SCOPED )?TEMP(?:ORARY)? )?FILE FORMAT "
    rf"(?P<unless>IF NOT EXISTS )?(?P<name>{NAME}|IDENTIFIER\(\?\))(?: (?P<options>.*))?$"
)
def create_file_format(double: Double, call: Call) -> Answer:
    full = call.session.full(identifier(call))
    held = call.session.formats if call.match["temporary"] else double.formats
    if full in held and not call.match["replace"]:
        if call.match["unless"]:
            return status(f"{full[-1]} already exists, statement succeeded.")
        raise exists(".".join(full))
    held[full] = checked(options(call.match["options"] or ""))
    return status(f"File format {full[-1]} successfully created.")


@on(rf"^DROP FILE FORMAT (?P<unless>IF EXISTS )?(?P<name>{NAME}|IDENTIFIER\(\?\))$")
def drop_file_format(double: Double, call: Call) -> Answer:
    full = call.session.full(identifier(call))
    held = call.session.formats if full in call.session.formats else double.formats
    if full not in held and not call.match["unless"]:
        raise missing("File format", ".".join(full))
    held.pop(full, None)
    return status(f"{full[-1]} successfully dropped.")


def find(double: Double, session: Session, asked: Any) -> Format:
    """Return the format that an option FILE_FORMAT means.

    Parameters
    ----------
    asked
        Name of a format, or options, which may name one as FORMAT_NAME.

    Raises
    ------
    Refused
        When there is none of that name, or the double does not know an option.
    """
    if isinstance(asked, dict) and "FORMAT_NAME" not in asked:
        return checked(asked)
    name = asked["FORMAT_NAME"] if isinstance(asked, dict) else asked
    full = session.full(name)
    found = session.formats.get(full) or double.formats.get(full)
    if found is None:
        raise missing("File format", ".".join(full))
    return found
