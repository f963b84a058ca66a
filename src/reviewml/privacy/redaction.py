"""Remove secrets from texts of other libraries before a user, a log or a file sees them.

Texts of exceptions, URLs and connection strings reach messages through `redact`. Scanners of
source code, such as detect-secrets, answer another question: whether a line may hold a secret, by
entropy, so that they report checksums and overlook short passwords. What is needed here is where
exactly a value begins and ends, by its name, its scheme or its issuer's prefix.
"""

from __future__ import annotations

import re
import unicodedata

MASK = "…"

QUOTE = r"""(?:\\*["'`]|%(?:25)*2[27]|&(?:quot|apos|\#0?34|\#0?39|\#x2[27]);)"""
"""What opens and closes a quoted text, as it is or escaped for JSON, URLs or HTML."""

NAMES = r"""
    pass(?:word|wort|wd|phrase|code|key) | kennwort | pwd | user_?pass
  | (?<![a-z])pass | (?<=[a-z])(?-i:Pass)
  | secret | credentials? | (?<![a-z])creds
  | (?<!pad_)(?<!eos_)(?<!bos_)(?<!unk_)(?<!cls_)(?<!sep_)(?<!mask_)(?<!nexpected[ ])
    token(?!s["']?\s*[=:]\s*\d{1,9}\b)
  | (?:access|account|api|private|secret|shared|encryption|signing|master|client|license|fernet
      |ssh|storage|auth|function|subscription|host)
    [ _.-]?(?:access[ _.-]?)?key
  | connection[ _-]?string | jwt | (?<![a-z])hmac | (?<![a-z])otp
  | (?<![a-z])dsn | (?<=[a-z])(?-i:Dsn) | authorization
  | (?<![a-z])sig(?=["']?\s*(?:[=:]|%3D))
  | (?:session|jsession|php_?sess)[ _-]?id | (?<![a-z])(?:set-)?cookie
  | (?<![a-z])_?o?auth | (?<=[a-z])(?-i:Auth) | (?<![a-z])bearer | key_id(?=\s*=?\s*')
"""
"""How the names of secrets end. What may come before, as in ``AWS_SECRET_ACCESS_KEY``, stays."""

STRING = r"""
    [bru]{0,2}(?P<quote>QUOTE)(?:\\.|(?P=quote)(?P=quote)|(?!(?P=quote)).)*(?:(?P=quote)|\Z)
"""

NO_VALUE = r"""(?:none|null|true|false|undefined|nan|yes|no|\*{3,})(?![^\s,;.:&)\]}"'])"""

PROSE = r"""(?:must|is|are|was|were|should|cannot|can|may|not|has|have|for|of|to|the|an?|and|or|in
    |it|with|check|see|use|set|give|please|make|try|invalid|expired|wrong|found|got|expected|missing
    |required|empty|unknown|failed|denied|string|str|bytes|binary|large_string|text|varchar
    |u?int\d*|integer|float\d*|double|bool|boolean|object|list|dict|timestamp|date|struct)
    (?![^\s,;.:)\]<\[|]) """
"""Words that stand behind a name and a colon in sentences and schemas."""

PLAIN = r"""
    (?:[^\s;&,)\]}"'`<>%] | %(?!(?:25)*(?:26|2[27cC]|3[bB]))
      | ,(?![\s"'`]|[\w.-]+\s*[=:]|$) | [)\]}"'`<>]+(?=[.:?]*[^\s,;.:?)\]}"'`&<>]))+
"""
"""A value without quotes: it may hold brackets, commas and quotes, but does not end with one."""


def _compile_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    for name, part in PARTS.items():
        pattern = pattern.replace(name, part)
    return re.compile(pattern, re.VERBOSE | re.IGNORECASE | flags)


PARTS = {
    "STRING": STRING,
    "NAMES": f"(?:{NAMES})s?(?:[_-]?\\d+)?",
    "PLAIN": PLAIN,
    "PROSE": PROSE,
    "NO_VALUE": NO_VALUE,
    "QUOTE": QUOTE,
}

# Passwords may hold spaces and '@'; what is masked too much does less harm than too little.
PASSWORD = re.compile(r"://[^\s/]*:(?! )[^/\n]*@")
"""A user and a password before the host of a URL."""

ISSUED = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12,}
      | eyJ[\w-]{6,}(?:\.[\w-]*){1,4}
      | gh[pousr]_[A-Za-z0-9]{12,} | github_pat_\w{12,}
      | gl(?:pat|oas|dt|rt|cbt|ptt|soat)-[\w.-]{12,} | glsa_\w{12,}
      | xox[a-z](?:\.xox[a-z])?-[\w-]{8,} | xapp-[\w-]{8,}
      | (?:hf|api_org)_[A-Za-z0-9]{12,}
      | sk-(?=[\w-]*\d)[\w-]{16,} | [prs]k_(?:live|test)_\w{8,} | whsec_\w{8,}
      | AIza[\w-]{30,} | ya29\.[\w-]{8,} | GOCSPX-[\w-]{8,}
      | pypi-[\w-]{16,} | npm_[A-Za-z0-9]{16,} | dapi[0-9a-f]{24,} | dckr_pat_[\w-]{8,}
      | SG\.[\w-]{8,}\.[\w-]{8,} | do[opr]_v1_[a-f0-9]{16,} | hv[sb]\.[\w-]{12,}
      | shp(?:at|ca|pa|ss)_\w{12,} | lin_api_\w{12,} | ATATT3[\w=-]{12,} | r8_\w{20,}
      | AGE-SECRET-KEY-1[A-Z0-9]{8,} | [\w~.-]{3}\dQ~[\w~.-]{20,} | nvapi-[\w-]{16,}
      | \d{8,10}:AA[\w-]{30,}
      | MI[IG][A-Za-z0-9][A-Za-z0-9+/]{36,}
        (?:(?:\\n|\s)+[A-Za-z0-9+/]{24,})*(?:(?:\\n|\s)+[A-Za-z0-9+/]+)?={0,2}
    )""",
    re.VERBOSE,
)
"""Tokens that their issuer marks by a prefix, and private keys in base64 without their frame."""

PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)",
    re.DOTALL,
)

SCHEME = _compile_pattern(
    r"""\b(bearer|basic|digest|negotiate|apikey|token|sharedkey(?:lite)?|snowflake\stoken
        |aws4-hmac-sha256)
    (\s+|%20|\+)(?![a-z]{1,15}(?![\w/+=-])|[A-Z][a-z]{1,14}(?![\w/+=-]))
    (?=[^\s]*[\d/+=._~-])(?:QUOTE)?[A-Za-z0-9._~+/=-]{6,}(?:QUOTE)?"""
)
"""Credentials behind the name of a scheme of HTTP: not words, as in "bearer token expired"."""

HEADER = r"(?:proxy-)?authorization|x-(?:[\w-]*-)?(?:api-?key|token)|(?:set-)?cookie"

USER = re.compile(r"://\S*@")
"""What may be a user without a password, or a container: ``abfs://box@account``."""

QUERY = re.compile(r"(://(?:(?!://)[^\s'\"?])*)\?[^\s'\"]*")

RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (PEM, MASK),
    # Headers, whose values may hold spaces, quotes and commas: within quotes, in pairs, alone.
    (_compile_pattern(rf"""(["'])((?:{HEADER})\s*:\s*)(?:(?!\1).)+"""), rf"\1\2{MASK}"),
    (_compile_pattern(rf"""(\(\s*b?["'](?:{HEADER}|NAMES)["']\s*,\s*)STRING"""), rf"\1{MASK}"),
    (
        _compile_pattern(rf"""((?<![\w-])(?:{HEADER})\s*:[ \t]*)(?![\s"'{{\\]|PROSE)[^\n]+"""),
        rf"\1{MASK}",
    ),
    (
        _compile_pattern(
            rf"""((?<![\w-])(?:{HEADER})\s*=\s*)(?!QUOTE|NO_VALUE)(?:[A-Z][\w-]*\s+)?PLAIN"""
        ),
        rf"\1{MASK}",
    ),
    (SCHEME, rf"\1\2{MASK}"),
    # Passwords and queries of URLs.
    (PASSWORD, f"://{MASK}@"),
    (USER, f"://{MASK}@"),
    (
        re.compile(r"(%(?:25)*3A(?:%(?:25)*2F){2}|:%(?:25)*2F%(?:25)*2F)\S*(?:%(?:25)*40|@)", re.I),
        rf"\1{MASK}@",
    ),
    (QUERY, rf"\1?{MASK}"),
    (
        re.compile(r"([?&](?:key|code|k|s|auth|access|sign(?:ature)?)=)[^\s&'\"]+", re.I),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"(hooks\.slack\.com/(?:services|workflows)/|/api/webhooks/)[\w/-]+", re.I),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(?<![\w.+/:-])(?!mailto:)(?=[\d.+%_-]*[A-Za-z])[\w.+%-]+:(?!//)[^\s'\"<>]+@(?!sha\d+:)(?=[\w\[])"
        ),
        f"{MASK}@",
    ),
    # Values behind the name of a secret.
    (
        _compile_pattern(r"""((?:\A|[;"'])\s*(?:NAMES)\s*=\s*)(?!["'{]|NO_VALUE)[^;\n"']+(?=;)"""),
        rf"\1{MASK}",
    ),
    (_compile_pattern(r"""(<(?:[\w:.-]*(?:NAMES))(?:\s[^<>]*)?>)[^<]+"""), rf"\1{MASK}"),
    (
        _compile_pattern(
            r"""((?:NAMES)(?:QUOTE)?\]?\s*(?:=>|:=|=|:|%(?:25)*3[AD])(?:\s|\+|%(?:25)*20)*)
            (?!''(?!')|""(?!"))(?:[A-Za-z_]\w*\()?(?:STRING)(?:\s*(?=["'])(?<=["']\s)["'][^"'\n]*["'](?![\s]*:))*""",
            re.DOTALL,
        ),
        rf"\1{MASK}",
    ),
    (
        _compile_pattern(
            r"""((?:NAMES)(?:QUOTE)?\]?\s*(?:=>|:=|=|:)\s*)
            (?:\{(?:[^{}]|\}\})*\} | \((?:[^()]|\([^()]*\))*\) | \[[^\[\]]+\])"""
        ),
        rf"\1{MASK}",
    ),
    (
        _compile_pattern(r"""((?:NAMES)\s*:\s*)[|>][+-]?\d?[ \t]*(?:\n[ \t]+[^\n]*)+"""),
        rf"\1{MASK}",
    ),
    (
        _compile_pattern(
            r"""((?:NAMES)(?:(?:QUOTE)?\]?\s*(?:=>|:=|=)[ \t]*|(?:%(?:25)*2[27])?%(?:25)*3[AD]))
            (?!\s|NO_VALUE|QUOTE|[=~])PLAIN"""
        ),
        rf"\1{MASK}",
    ),
    (
        _compile_pattern(
            r"""((?:NAMES)(?:QUOTE)?[ \t]*:[ \t]*)(?!\s|NO_VALUE|PROSE|QUOTE|[:/]|…)PLAIN"""
        ),
        rf"\1{MASK}",
    ),
    # Options of commands, netrc, and SQL.
    (_compile_pattern(r"""(--[\w-]*(?:NAMES)\s+)(?!-|QUOTE|NO_VALUE)PLAIN"""), rf"\1{MASK}"),
    (
        _compile_pattern(r"""((?:\s-u|--user|--proxy-user)\s+)(?:STRING|[^\s:]+:\S+)"""),
        rf"\1{MASK}",
    ),
    (re.compile(r"(\blogin\s+\S+\s+password\s+)\S+", re.I), rf"\1{MASK}"),
    (
        _compile_pattern(
            r"""((?:NAMES|\bby|--[\w-]*(?:NAMES))\s+(?:is\s+|was\s+)?)(?<!token\s)STRING"""
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"(\b(?:X-(?:Amz|Goog|Ms)-)?Signature\s*[=:]\s*)[\w%+/=.-]{16,}", re.I),
        rf"\1{MASK}",
    ),
    (ISSUED, MASK),
)

UNCERTAIN = (USER, QUERY)
"""What is masked to be safe, and need not be a secret."""

TOKEN_AS_USER = re.compile(r"://(?=[^\s/:@]*\d)[^\s/:@]{20,}@")

SECRET_NAME = _compile_pattern(rf"(?:NAMES|(?<![\w-])(?:{HEADER}))='x'\Z")

PIECES_OF_TEXT = re.compile(
    r"(?!.*(?:access|api|auth|bearer|refresh|secret|session)).*tokens", re.IGNORECASE
)
"""Names of words and their parts, which models of language call tokens too."""


def redact(text: str) -> str:
    """Redact passwords, tokens, keys and signatures in a text.

    Examples
    --------
    >>> redact("s3://key:secret@bucket/reviews.csv")
    's3://…@bucket/reviews.csv'
    >>> redact("abfs://box@account/reviews.csv?sig=secret")
    'abfs://…@account/reviews.csv?…'
    >>> redact("host=db password=secret")
    'host=db password=…'
    >>> redact('{"user": "me", "password": "secret"}')
    '{"user": "me", "password": …}'
    """
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def describe_error(error: BaseException) -> str:
    """Describe an exception by its class and its message, without secrets.

    Examples
    --------
    >>> describe_error(OSError("s3://key:secret@bucket is gone"))
    'OSError: s3://…@bucket is gone'
    """
    return f"{type(error).__name__}: {redact(str(error))}"


def contains_secret(value: str) -> bool:
    """Check whether a text holds something in the format of a secret, whatever its name."""
    return any(rule.search(value) for rule in (PEM, ISSUED, PASSWORD))


def is_secret_name(name: str | bytes) -> bool:
    """Check whether a name is that of a secret, whose value `redact` masks.

    Examples
    --------
    >>> [is_secret_name(name) for name in ("api_key", "X-Auth-Token", "sig", "max_tokens", "key")]
    [True, True, True, False, False]
    """
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    text = unicodedata.normalize("NFKC", text).strip()
    return bool(SECRET_NAME.search(f"{text}='x'")) and not PIECES_OF_TEXT.fullmatch(text)


def is_secret_shown(value: str) -> bool:
    """Check whether `redact` finds a certain secret in a value.

    Examples
    --------
    >>> is_secret_shown("Bearer 4f2a9c1d"), is_secret_shown("account=x;password=hunter2")
    (True, True)
    >>> is_secret_shown("https://models.example/x.onnx?download=true")
    False
    """
    certain = (rule for rule in RULES if rule[0] not in UNCERTAIN)
    return bool(TOKEN_AS_USER.search(value)) or any(
        pattern.sub(replacement, value) != value for pattern, replacement in certain
    )
