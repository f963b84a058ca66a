"""Functions of texts and bytes."""

from __future__ import annotations

Overloads = list[tuple[str, str]]

SF = "memory.main.sf_"
T = f"{SF}text"


def once(body: str) -> str:
    """Return a macro of ``a`` that computes its argument once, however often its body names it.

    Macros are written out where they are called: without this, a call within a call within a call
    would be written out as often as the product of how often each names its argument.
    """
    return f"list_transform([a], lambda a: {body})[1]"


MACROS: dict[str, Overloads] = {
    # A value as text, as where a text is expected. Floating point as far as it is known how
    # Snowflake writes it.
    "float_text": [
        (
            "a",
            "CASE WHEN a IS NULL THEN NULL "
            "WHEN a = trunc(a) AND abs(a) < 1e15 THEN printf('%.0f', a + 0.0) "
            "WHEN abs(a) >= 1e-4 AND abs(a) < 1e15 AND length(regexp_replace(ltrim("
            "CAST(abs(a) AS VARCHAR), '0.'), '[.]', '')) <= 15 THEN CAST(a AS VARCHAR) "
            "WHEN isnan(a) THEN 'NaN' WHEN isinf(a) THEN if(a > 0, 'inf', '-inf') "
            "ELSE error('391900: the double does not know how this FLOAT is written as text') END",
        )
    ],
    # Typed overloads cannot be told apart where another macro hands on an argument of any type.
    "text": [
        (
            "a",
            once(
                "CASE typeof(a) WHEN 'VARCHAR' THEN CAST(a AS VARCHAR) "
                "WHEN 'JSON' THEN json_extract_string(to_json(a), '$') "
                f"WHEN 'DOUBLE' THEN {SF}float_text(TRY_CAST(CAST(a AS VARCHAR) AS DOUBLE)) "
                "WHEN 'TIMESTAMP' THEN moment_to_text(TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMP), "
                "'YYYY-MM-DD HH24:MI:SS.FF3') "
                "WHEN 'TIME' THEN left(CAST(a AS VARCHAR), 8) "
                "WHEN 'BLOB' THEN hex(TRY_CAST(a AS BLOB)) "
                "WHEN 'TIMESTAMP WITH TIME ZONE' THEN CASE WHEN a IS NULL THEN NULL ELSE error("
                "'391900: the double does not write a TIMESTAMP_LTZ without a format') "
                "END ELSE CAST(a AS VARCHAR) END"
            ),
        )
    ],
    "bytes_text": [
        (
            "a, f",
            "CASE upper(f) WHEN 'HEX' THEN hex(a) WHEN 'BASE64' THEN base64(a) "
            "WHEN 'UTF-8' THEN decode(a) WHEN 'UTF8' THEN decode(a) "
            "ELSE error('391900: TO_VARCHAR of BINARY with another format') END",
        )
    ],
    "piece": [
        (
            "a",
            "CASE WHEN typeof(a) = 'BLOB' THEN error('391900: || of more than two BINARY') "
            f"ELSE {T}(a) END",
        )
    ],
    "concat": [("a BLOB, b BLOB", "a || b"), ("a, b", f"{T}(a) || {T}(b)")],
    "LENGTH": [("a BLOB", "octet_length(a)"), ("a", f"length({T}(a))")],
    "OCTET_LENGTH": [("a BLOB", "octet_length(a)"), ("a", f"strlen({T}(a))")],
    "UPPER": [("a", f"upper({T}(a))")],
    "LOWER": [("a", f"lower({T}(a))")],
    "TRIM": [("a", f"trim({T}(a), ' ')"), ("a, b", f"trim({T}(a), b)")],
    "LTRIM": [("a", f"ltrim({T}(a), ' ')"), ("a, b", f"ltrim({T}(a), b)")],
    "RTRIM": [("a", f"rtrim({T}(a), ' ')"), ("a, b", f"rtrim({T}(a), b)")],
    "SUBSTR": [
        ("a, n", f"{SF}part({T}(a), n, CAST(2147483647 AS BIGINT))"),
        ("a, n, m", f"{SF}part({T}(a), n, m)"),
    ],
    "part": [
        (
            "a, n, m",
            "CASE WHEN a IS NULL OR n IS NULL OR m IS NULL THEN NULL WHEN m <= 0 THEN '' "
            "WHEN n < -length(a) THEN error('391900: SUBSTR from before the start of a text') "
            "ELSE substr(a, if(n = 0, 1, CAST(n AS BIGINT)), CAST(m AS BIGINT)) END",
        )
    ],
    "LEFT": [("a, n", f"if(n < 0, '', left({T}(a), CAST(n AS BIGINT)))")],
    "RIGHT": [("a, n", f"if(n <= 0, '', right({T}(a), CAST(n AS BIGINT)))")],
    "SPLIT_PART": [
        (
            "a, b, n",
            f"CASE WHEN {T}(a) IS NULL OR b IS NULL OR n IS NULL THEN NULL "
            f"WHEN b = '' THEN if(n IN (-1, 0, 1), {T}(a), '') "
            f"ELSE split_part({T}(a), b, if(n = 0, 1, CAST(n AS BIGINT))) END",
        )
    ],
    "SPLIT": [("a, b", f"to_json(if(b = '', [{T}(a)], string_split({T}(a), b)))")],
    "STARTSWITH": [("a, b", f"starts_with({T}(a), {T}(b))")],
    "ENDSWITH": [("a, b", f"suffix({T}(a), {T}(b))")],
    "CONTAINS": [("a, b", f"contains({T}(a), {T}(b))")],
    "CHARINDEX": [
        ("a, b", f"CAST(instr({T}(b), {T}(a)) AS BIGINT)"),
        (
            "a, b, n",
            f"CASE WHEN n < 1 THEN error('391900: CHARINDEX from a position before 1') "
            f"WHEN instr(substr({T}(b), n), {T}(a)) = 0 THEN 0 "
            f"ELSE instr(substr({T}(b), n), {T}(a)) + n - 1 END",
        ),
    ],
    "REPLACE": [
        ("a, b", f"replace({T}(a), {T}(b), '')"),
        ("a, b, c", f"replace({T}(a), {T}(b), {T}(c))"),
    ],
    "REPEAT": [("a, n", f"repeat({T}(a), n)")],
    "REVERSE": [
        ("a", f"array_to_string(list_reverse(regexp_extract_all({T}(a), '(?s).')), '')"),
    ],
    "SPACE": [("n", "repeat(' ', n)")],
    "LPAD": [
        ("a, n", f"lpad({T}(a), CAST(n AS INTEGER), ' ')"),
        ("a, n, b", f"if(b = '', left({T}(a), n), lpad({T}(a), CAST(n AS INTEGER), b))"),
    ],
    "RPAD": [
        ("a, n", f"rpad({T}(a), CAST(n AS INTEGER), ' ')"),
        ("a, n, b", f"if(b = '', left({T}(a), n), rpad({T}(a), CAST(n AS INTEGER), b))"),
    ],
    "ASCII": [("a", f"if({T}(a) = '', 0, ascii({T}(a)))")],
    "TRANSLATE": [("a, b, c", f"translate({T}(a), b, c)")],
    "MD5": [("a", f"md5({T}(a))"), ("a BLOB", "md5(a)")],
    "SHA1": [("a", f"sha1({T}(a))"), ("a BLOB", "sha1(a)")],
    "SHA2": [
        ("a", f"sha256({T}(a))"),
        ("a BLOB", "sha256(a)"),
        (
            "a, n",
            f"if(n IN (0, 256), sha256({T}(a)), error('391900: SHA2 of other than 256 bits'))",
        ),
    ],
    "SHA2_BINARY": [("a", f"unhex(sha256({T}(a)))"), ("a BLOB", "unhex(sha256(a))")],
    "HEX_ENCODE": [("a BLOB", "hex(a)"), ("a", f"hex({T}(a))")],
    "HEX_DECODE_STRING": [("a", "decode(unhex(a))")],
    "HEX_DECODE_BINARY": [("a", "unhex(a)")],
    "BASE64_ENCODE": [("a BLOB", "base64(a)"), ("a", f"base64(encode({T}(a)))")],
    "BASE64_DECODE_STRING": [("a", "decode(from_base64(a))")],
    "BASE64_DECODE_BINARY": [("a", "from_base64(a)")],
    "TO_BINARY": [
        ("a BLOB", "a"),
        ("a", "unhex(CAST(a AS VARCHAR))"),
        (
            "a, f",
            "CASE upper(f) WHEN 'HEX' THEN unhex(a) WHEN 'BASE64' THEN from_base64(a) "
            "WHEN 'UTF-8' THEN encode(a) WHEN 'UTF8' THEN encode(a) "
            "ELSE error('391900: TO_BINARY with another format') END",
        ),
    ],
    "TRY_TO_BINARY": [
        (
            "a",
            "if(regexp_full_match(a, '([0-9a-fA-F]{2})*'), unhex(a), NULL)",
        ),
    ],
    "TO_CHAR": [
        ("a", f"{T}(a)"),
        (
            "a, f",
            "CASE WHEN typeof(a) = 'BLOB' THEN "
            f"{SF}bytes_text(TRY_CAST(a AS BLOB), f) WHEN typeof(a) IN ('TIMESTAMP', 'DATE', "
            "'TIMESTAMP WITH TIME ZONE', 'TIMESTAMP_NS') OR a IS NULL "
            f"THEN moment_to_text({SF}naive(a), f) WHEN typeof(a) = 'TIME' "
            "THEN moment_to_text(TRY_CAST('1970-01-01 ' || CAST(a AS VARCHAR) AS TIMESTAMP), f) "
            "ELSE error('391900: TO_VARCHAR with a format, of other than times and bytes') END",
        ),
    ],
    "REGEXP_LIKE": [
        ("a, p", f"{SF}matches({T}(a), p, 'c')"),
        ("a, p, o", f"{SF}matches({T}(a), p, o)"),
    ],
    "REGEXP_COUNT": [
        ("a, p", f"CAST(len(regexp_extract_all({T}(a), '(?-s)' || p)) AS BIGINT)"),
    ],
    "REGEXP_REPLACE": [
        ("a, p", f"regexp_replace({T}(a), '(?-s)' || p, '', 'g')"),
        ("a, p, r", f"regexp_replace({T}(a), '(?-s)' || p, r, 'g')"),
    ],
    "REGEXP_SUBSTR": [
        ("a, p", f"{SF}found({T}(a), '(?-s)' || p, 0, 1)"),
        ("a, p, n", f"{SF}found(substr({T}(a), n), '(?-s)' || p, 0, 1)"),
        ("a, p, n, i", f"{SF}found(substr({T}(a), n), '(?-s)' || p, 0, i)"),
        (
            "a, p, n, i, o",
            f"{SF}found(substr({T}(a), n), {SF}flags(o) || "
            "if(strpos(o, 'i') > strpos(o, 'c'), '(?i)', '') || p, "
            "if(contains(o, 'e'), 1, 0), i)",
        ),
        (
            "a, p, n, i, o, g",
            f"{SF}found(substr({T}(a), n), {SF}flags(o) || "
            "if(strpos(o, 'i') > strpos(o, 'c'), '(?i)', '') || p, g, i)",
        ),
    ],
    "found": [("a, p, g, i", "list_extract(regexp_extract_all(a, p, g), i)")],
    "flags": [
        (
            "o",
            "CASE WHEN regexp_full_match(o, '[cise]*') THEN if(contains(o, 's'), '(?s)', '(?-s)') "
            "ELSE error('391900: these parameters of regular expressions') END",
        )
    ],
    "matches": [
        (
            "a, p, o",
            f"CASE WHEN o IS NULL THEN NULL WHEN strpos(o, 'i') > strpos(o, 'c') "
            f"THEN regexp_full_match(a, {SF}flags(o) || '(?i)' || p) "
            f"ELSE regexp_full_match(a, {SF}flags(o) || p) END",
        )
    ],
}
"""By name: parameters and body, of each overload."""

SYNONYMS = {
    "LEN": "LENGTH",
    "CHAR_LENGTH": "LENGTH",
    "SUBSTRING": "SUBSTR",
    "TO_VARCHAR": "TO_CHAR",
    "SHA1_HEX": "SHA1",
    "SHA2_HEX": "SHA2",
    "MD5_HEX": "MD5",
    "RLIKE": "REGEXP_LIKE",
}
MACROS |= {name: MACROS[other] for name, other in SYNONYMS.items()}
