"""No secret stays in a text, and what is no secret stays as it is."""

import base64
import json
import random
import string
import urllib.parse

import pytest

from reviewml.privacy.redaction import contains_secret, is_secret_name, is_secret_shown, redact

RANDOM = random.Random(0)
"""Not that of `secrets`: processes that run the tests must name them alike."""

WORD = "hunter2-" + RANDOM.randbytes(4).hex()
"""A password that people make up."""

ODD = "p@ss/w0rd#" + RANDOM.randbytes(4).hex() + "!"
LETTERS = "".join(RANDOM.choice(string.ascii_letters) for _ in range(32)) + "7"
HEX = RANDOM.randbytes(20).hex()
BASE64 = base64.b64encode(RANDOM.randbytes(64)).decode()
ENCODED = urllib.parse.quote(BASE64, "")
DER = "MIIE" + base64.b64encode(RANDOM.randbytes(96)).decode()
LINES = "\n".join(DER[at : at + 64] for at in range(0, len(DER), 64))
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINES}\n-----END PRIVATE KEY-----\n"


def make_segment(size: int) -> str:
    return base64.urlsafe_b64encode(RANDOM.randbytes(size)).decode()


JWT = f"eyJhbGciOiJIUzI1NiJ9.{make_segment(24)}.{make_segment(24)}"
AWS_ID = "AKIA" + "".join(RANDOM.choice(string.ascii_uppercase) for _ in range(16))
AWS_KEY = base64.b64encode(RANDOM.randbytes(30)).decode()

FORMS = {
    # Headers.
    "bearer": (f"Authorization: Bearer {LETTERS}", LETTERS),
    "bearer in a sentence": (f"the server refused Bearer {HEX} with 401", HEX),
    "bearer in lower case": (f"authorization: bearer {WORD}", WORD),
    "basic": (f"Authorization: Basic {BASE64}", BASE64),
    "basic in single quotes": (f"{{'Authorization': 'Basic {BASE64}'}}", BASE64),
    "header as JSON": (json.dumps({"Authorization": f"Bearer {LETTERS}"}), LETTERS),
    "header in JSON in JSON": (json.dumps(json.dumps({"Authorization": f"Bearer {WORD}"})), WORD),
    "headers of httpx": (f"Headers([(b'authorization', b'Bearer {LETTERS}')])", LETTERS),
    "header of curl": (f"curl -H 'Authorization: Token {HEX}' https://host/x", HEX),
    "header in double quotes": (f'curl -H "X-Api-Key: {HEX}" https://host', HEX),
    "digest": (f'Authorization: Digest username="me", response="{HEX}"', HEX),
    "proxy": (f"Proxy-Authorization: Basic {BASE64}\nHost: x", BASE64),
    "header with =": (f"headers Authorization=Bearer {LETTERS} were sent", LETTERS),
    "API key": (f"x-api-key: {HEX}", HEX),
    "cookie": (f"Cookie: a=b; session={HEX}", HEX),
    "set-cookie": (f"Set-Cookie: sid={HEX}; Path=/", HEX),
    "Snowflake's own": (f'Authorization: Snowflake Token="{HEX}"', HEX),
    "signature of AWS": (f"Credential={AWS_ID}/x, SignedHeaders=host, Signature={HEX}", HEX),
    "token of Databricks": (f"X-Databricks-Token: {HEX}", HEX),
    # JSON, YAML, TOML, XML, reprs.
    "JSON": (f'{{"user": "me", "password": "{WORD}"}}', WORD),
    "JSON without blanks": (f'{{"password":"{WORD}","user":"me"}}', WORD),
    "JSON over lines": (f'{{"password":\n  "{WORD}"\n}}', WORD),
    "JSON with an escaped quote": (json.dumps({"password": f'a"{WORD}'}), WORD),
    "JSON in JSON": (json.dumps({"x": json.dumps({"password": WORD})}), WORD),
    "JSON of a number": ('{"password": 4711471147, "user": "me"}', "4711471147"),
    "JSON in camel case": (f'{{"accessToken":"{LETTERS}"}}', LETTERS),
    "JSON of a list": (f'{{"api_keys": ["{LETTERS}", "{HEX}"]}}', HEX),
    "repr of a dict": (f"{{'user': 'me', 'password': '{WORD}'}}", WORD),
    "repr of bytes": (f"{{'password': b'{WORD}'}}", WORD),
    "repr with another quote": ("{'password': \"it's" + WORD + '"}', WORD),
    "repr of a private key": (f"{{'private_key': b'0\\x82\\x04{WORD}', 'user': 'me'}}", WORD),
    "keyword arguments": (f"connect(user='me', password='{WORD}', account='x')", WORD),
    "arguments without quotes": (f"Connection(user=me, password={WORD}, port=1)", WORD),
    "argument in a wrapper": (f"Settings(token=SecretStr('{WORD}'))", WORD),
    "auth as a pair": (f"httpx.get(url, auth=('me', '{WORD}'))", WORD),
    "nested credentials": (f"credentials={{'id': 'me', 'x': '{WORD}'}}", WORD),
    "storage options": (f"{{'key': 'x', 'secret': '{AWS_KEY}'}}", AWS_KEY),
    "text that was cut off": (f"{{'user': 'me', 'password': '{WORD}", WORD),
    "YAML": (f"user: me\npassword: {WORD}\nhost: db", WORD),
    "YAML in quotes": (f'password: "{WORD}"', WORD),
    "YAML of a block": (f"private_key: |\n  {WORD}\n  {HEX}\nuser: me", HEX),
    "YAML in one line": (f"{{user: me, password: {WORD}, host: db}}", WORD),
    "TOML": (f'[shop]\npassword = "{WORD}"', WORD),
    "INI": (f"[shop]\npassword = {WORD}\nuser = me", WORD),
    "properties": (f"db.password={WORD}", WORD),
    "XML": (f"<user>me</user><password>{WORD}</password>", WORD),
    "attribute of XML": (f'<add key="x" password="{WORD}" />', WORD),
    "HTML": (f"{{&quot;password&quot;:&quot;{WORD}&quot;}}", WORD),
    "hash of Ruby": (f'"password"=>"{WORD}"', WORD),
    "dataclass": (f"Config(host='x', api_key='{HEX}')", HEX),
    # DSNs and connection strings.
    "DSN": (f"cannot connect to me:{WORD}@db.shop/reviews", WORD),
    "DSN with an @": (f"cannot connect to me:{ODD}@db.shop/reviews", ODD),
    "URL": (f"postgresql://me:{WORD}@db/reviews", WORD),
    "URL with an @": (f"s3://me:{ODD}@bucket/x", ODD),
    "URL with a blank": (f"sftp://me:two {WORD}@host/x", WORD),
    "URL without a user": (f"redis://:{WORD}@host:1/0", WORD),
    "URL with a token": (f"https://{HEX}@github.com/x", HEX),
    "URL of SQLAlchemy": (f"mysql+pymysql://me:{WORD}@db:3306/x?charset=utf8", WORD),
    "JDBC": (f"jdbc:postgresql://db/x?user=me&password={WORD}", WORD),
    "JDBC of SQL Server": (f"jdbc:sqlserver://db;user=me;password={WORD};x=1", WORD),
    "libpq": (f"host=db user=me password={WORD} port=5432", WORD),
    "libpq, first": (f"password={WORD} host=db", WORD),
    "libpq in quotes": (f"host=db password='it\\'s {WORD}'", WORD),
    "libpq with a comma": (f"password=a,{WORD} host=db", WORD),
    "ODBC": (f"Driver={{x}};Server=db;UID=me;PWD={WORD};", WORD),
    "ODBC in braces": (f"UID=me;PWD={{a;}}}}b {WORD}}};Server=db", WORD),
    "ODBC with blanks": (f"UID=me;PWD=my own {WORD};Server=db", WORD),
    "Azure storage": (f"AccountName=x;AccountKey={BASE64};EndpointSuffix=y", BASE64),
    "Azure service bus": (f"SharedAccessKeyName=x;SharedAccessKey={BASE64}", BASE64),
    "blank in a name": (f"Account Key={BASE64};", BASE64),
    "netrc": (f"machine host login me password {WORD}", WORD),
    "DuckDB": (f"CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET '{AWS_KEY}')", AWS_KEY),
    "Snowflake": (f"ALTER USER x SET PASSWORD = '{WORD}'", WORD),
    "Snowflake's stage": (f"CREDENTIALS=(AWS_KEY_ID='{HEX}' AWS_SECRET_KEY='{AWS_KEY}')", HEX),
    "Snowflake's passphrase": (f"private_key_file_pwd={WORD}", WORD),
    "SQL": (f"CREATE USER x IDENTIFIED BY '{WORD}'", WORD),
    "SQL with a doubled quote": (f"PASSWORD = 'it''s {WORD}'", WORD),
    # Signatures and keys in queries, with and without a URL.
    "SAS": (f"sv=2022-11-02&sp=r&sig={BASE64}", BASE64),
    "SAS, encoded": (f"sv=2022-11-02&sig={ENCODED}&se=x", ENCODED[:12]),
    "SAS in a URL": (f"https://x.blob.core.windows.net/y?sv=1&sig={HEX}", HEX),
    "SAS in a path": (f"Max retries exceeded with url: /box?sv=1&sig={HEX} (Caused by x)", HEX),
    "presigned by S3": (f"X-Amz-Credential={HEX}&X-Amz-Signature={HEX[::-1]}", HEX[::-1]),
    "credential of S3": (f"X-Amz-Credential={HEX}&X-Amz-Date=1", HEX),
    "token of S3": (f"X-Amz-Security-Token={LETTERS}&x=1", LETTERS),
    "presigned by Google": (f"X-Goog-Signature={HEX}", HEX),
    "key in a query": (f"/v1/models?key={HEX}&alt=json", HEX),
    "fragment": (f"https://host/x#access_token={HEX}&state=1", HEX),
    "form": (f"grant_type=password&client_secret={HEX}&user=me", HEX),
    "encoded query": (f"next=%2Fx%3Fpassword%3D{WORD}%26user%3Dme", WORD),
    "encoded URL": (urllib.parse.quote(f"https://me:{WORD}@host/x", ""), WORD),
    "encoded JSON": (urllib.parse.quote(json.dumps({"password": WORD})), WORD),
    # Environment and commands.
    "environment": (f"AWS_SECRET_ACCESS_KEY={AWS_KEY}", AWS_KEY),
    "export": (f"export PGPASSWORD={WORD}; psql", WORD),
    "export in quotes": (f'export SNOWFLAKE_PASSWORD="{WORD}"', WORD),
    "PowerShell": (f'$env:HF_TOKEN = "{WORD}"', WORD),
    "environ": (f"environ({{'HOME': '/root', 'OPENAI_API_KEY': '{WORD}'}})", WORD),
    "subscript": (f"os.environ['DB_PASSWORD'] = '{WORD}'", WORD),
    "option": (f"tool --password {WORD} --host x", WORD),
    "option with =": (f"tool --api-key={WORD}", WORD),
    "curl -u": (f"curl -u me:{WORD} https://host", WORD),
    # Marked by their issuer.
    "id of AWS": (f"The key {AWS_ID} does not exist", AWS_ID),
    "JWT": (f"cannot decode {JWT}", JWT),
    "GitHub": (f"ghp_{LETTERS} was refused", LETTERS),
    "GitHub, fine": (f"github_pat_{LETTERS}", LETTERS),
    "GitLab": (f"glpat-{LETTERS[:20]}", LETTERS[:20]),
    "Slack": (f"xoxb-{RANDOM.randrange(10**11)}-{LETTERS}", LETTERS),
    "Slack's hook": (f"https://hooks.slack.com/services/T0/B0/{LETTERS}", LETTERS),
    "Hugging Face": (f"Invalid user token hf_{LETTERS}.", LETTERS),
    "sk": (f"Incorrect API key provided: sk-proj-{LETTERS}.", LETTERS),
    "Stripe": (f"rk_live_{LETTERS}", LETTERS),
    "Google": (f"AIza{LETTERS}XY", LETTERS),
    "PyPI": (f"pypi-{LETTERS}", LETTERS),
    "Databricks": (f"dapi{HEX[:32]}", HEX[:32]),
    # Keys.
    "PEM": (f"could not load {PEM}", DER[70:100]),
    "PEM of RSA": (PEM.replace("PRIVATE", "RSA PRIVATE"), DER[70:100]),
    "PEM, encrypted": (PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), DER[70:100]),
    "PEM in a repr": (repr({"private_key": PEM}), DER[70:100]),
    "PEM in JSON": (json.dumps({"x": PEM}), DER[70:100]),
    "PEM, cut off": (PEM[:150], DER[70:100]),
    "PEM of SSH": (PEM.replace("PRIVATE", "OPENSSH PRIVATE"), DER[70:100]),
    "key without a frame": (f"private key {DER} is no key", DER[40:90]),
    "key over lines": (f"got {LINES}", DER[70:100]),
}

INNOCENT = [
    "the row has no column 'password'. Did you mean 'passport'?",
    "column 'token' holds int64, but Features was fitted on string",
    "needs 'user', 'password' or 'authenticator'",
    "token: string\npassword: int64\nsig: double",
    "max_tokens=512, tokens: 3, tokenizer='bert', token_type_ids=[0, 1]",
    "pad_token='<pad>', eos_token='</s>', mask_token='[MASK]'",
    "password=None, token=None, api_key=''",
    "password: null",
    "primary_key=id, key=id, keys: a, b, foreign key: c",
    "Bearer token expired; Basic authentication failed; Token invalid",
    "Bearer authentication is required",
    "basic functionality is missing",
    "invalid credentials: check the user and the role",
    "the password: must have 8 characters",
    "Access denied for user 'me'@'host' (using password: YES)",
    "Unexpected token: ','",
    "syntax error at or near token 'FROM'",
    "Signature: (x: int) -> str",
    "signature=(a, b=1)",
    "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "revision 4f1c8f0b5a0f3f0b5a0f3f0b5a0f3f0b5a0f3f0b",
    "s3://bucket/folder/reviews.csv cannot be opened: no such file",
    "https://huggingface.co/intfloat/multilingual-e5-small/resolve/main/config.json",
    "/home/me/reviews/2024-01-01/part-0001.csv#17",
    "C:\\Users\\me\\reviews.csv",
    "write to mailto:me@shop.example or me@shop.example",
    "git@github.com:me/reviews.git",
    "python:3.11@sha256:9f86d081884c7d65",
    "file.py:12:34: error: name 'x' is not defined",
    "compass: north, bypass=1, surpass: it, passenger=3, passed=4",
    "author: me, authors=['a'], authority: x, oauth2 is off",
    "design: x, significance=0.05, sigma=2, signal: 9",
    "secretary: Ms Smith, secret_name=x, secrets_dir: /run",
    "12:30 o'clock, ratio 3:4, {'a': 1}, f(x=1, y='z')",
    "Keyboard: QWERTY; monkey=1; turkey: 2; hockey='x'",
    "TIMESTAMP '2024-01-01', DATE '2024-01-01'",
    "2024-01-01T12:00:00+00:00",
    "UUID 123e4567-e89b-12d3-a456-426614174000",
    "Conversion Error: Could not convert string to INT64",
    "task-with-a-long-name-of-1-step, risk-adjusted-return-of-the-year-2024",
    "features: price, age; target: bought; id=42",
    "session: closed; query id: 01b2c3d4-0000-1111-0000-000000000001",
    "Pipeline(steps=[('features', Features()), ('model', XGBoost(seed=0))])",
    "https://docs.python.org/3/library/codecs.html#standard-encodings",
    "password_column='pw', passwords_seen=3",
    "public key: see the docs; verify='key.pub.pem'",
    "-----BEGIN PUBLIC KEY-----",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_masked(form: str) -> None:
    text, secret = FORMS[form]
    assert secret in text and len(secret) >= 8
    for whole in (text, f"error: {text}", f"({text})", f"{text}\nnext line", f"{text}."):
        assert secret not in redact(whole)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("form", FORMS)
def test_masking_twice_masks_once(form: str) -> None:
    once = redact(FORMS[form][0])
    assert redact(once) == once


def test_what_stands_around_a_secret_stays() -> None:
    assert redact(f"host=db password={WORD} port=1") == "host=db password=… port=1"
    assert redact(f'{{"password": "{WORD}", "user": "me"}}') == '{"password": …, "user": "me"}'
    assert redact(f"UID=me;PWD={WORD};Server=db") == "UID=me;PWD=…;Server=db"
    assert redact(f"f(token='{WORD}', x=1) failed") == "f(token=…, x=1) failed"
    assert redact(f"Bearer {LETTERS} was refused") == "Bearer … was refused"


SIGNS = string.ascii_letters + string.digits + "!#$%*+-./:<>?@[]^_|~"


def test_passwords_of_many_signs_are_masked() -> None:
    draw = random.Random(7)
    for _ in range(2_000):
        word = "".join(draw.choices(string.ascii_letters, k=2))
        word += "".join(draw.choices(SIGNS, k=12)) + "Zq9"
        quoted = [f"password='{word}' x", f'{{"password": "{word}"}}', repr({"token": word})]
        plain = [f"host=db password={word} x=1", f"PWD={word};UID=me", f"https://me:{word}@db/x"]
        for text in quoted + plain:
            assert word not in redact(text) and word[-8:] not in redact(text), text


def test_long_texts_of_any_kind_are_masked_in_one_pass() -> None:
    # Patterns that look back and forth would take hours.
    for part in (
        "a",
        "password",
        "password=",
        "://",
        "'",
        '"',
        "a:",
        "@",
        "%3A",
        "Bearer ",
        "{",
        "(",
        "MIIE",
        "-----BEGIN PRIVATE KEY-----",
        "?a=",
        "token: ",
        "\n ",
        "key ",
        "\\",
        "=>",
    ):
        redact(part * (4_000 // len(part)))


@pytest.mark.parametrize("value", [PEM, f"hf_{LETTERS}", f"s3://me:{WORD}@bucket", JWT, AWS_ID])
def test_values_that_only_secrets_have_are_known(value: str) -> None:
    assert contains_secret(value)


@pytest.mark.parametrize(
    "value", ["This review is about {}.", "intfloat/e5", "s3://bucket/x", "4711"]
)
def test_other_values_are_no_secrets(value: str) -> None:
    assert not contains_secret(value)


def test_the_scheme_and_the_host_of_a_url_stay() -> None:
    assert redact(f"s3://key:{WORD}@bucket/x.csv") == "s3://…@bucket/x.csv"
    assert redact(f"s3://me:{ODD}@bucket/x and me:{WORD}@db") == "s3://…@bucket/x and …@db"
    assert redact(f"cannot connect to me:{WORD}@db/x") == "cannot connect to …@db/x"


SECRET_NAMES = """
secret_key private_key accessKey account_key api_key auth oauth_token Password DB_PASSWORD
passwd pwd passphrase connection_string dsn dbDsn jwt cookie sig otp signing_key hmac session_id
credentials basicAuth oauth Authorization X-Api-Key Set-Cookie remote__api_key refresh_tokens
master_key license_key
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_what_is_masked_behind_a_name_makes_it_the_name_of_a_secret(name: str) -> None:
    assert is_secret_name(name)
    assert WORD not in redact(f"{name}='{WORD}'")


OTHER_NAMES = """
author tokenizer key keywords max_tokens tokens stop_tokens pad_token design significance column
text by primary_key password_column compass scale candidate_labels
"""


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_masked_in_a_text_makes_a_value_a_secret(form: str) -> None:
    assert is_secret_shown(FORMS[form][0])


@pytest.mark.parametrize(
    "value",
    [
        *INNOCENT,
        "This review is about {}.",
        "abfs://box@account/model.onnx",
        "https://models.example/x.onnx?download=true",
    ],
)
def test_a_value_without_a_secret_can_be_saved(value: str) -> None:
    assert not is_secret_shown(value)
