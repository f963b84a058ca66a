"""What identifies a person is recognized by its form, and what only looks alike is not."""

import datetime

import pytest
import stdnum.ean
import stdnum.luhn
from hypothesis import given
from hypothesis import strategies as st

from reviewml.privacy.personal_data import count_personal, is_personal

PERSONAL = [
    "me@shop.example",
    "Anna Smith <anna.smith+shop@mail.example.co.uk>",
    "mailto:me@shop.example",
    "anna@例え.テスト",
    "ａｎｎａ＠shop.example",
    "'me'@shop.example",
    "+49 170 1234567",
    "+491701234567",
    "+1 (555) 123-4567",
    "0049 170 1234567",
    "tel:+44-20-7946-0018",
    "0170 1234567",
    "0170/1234567",
    "(555) 123-4567",
    "(030) 123456",
    "555-123-4567",
    "555.123.4567",
    "01 23 45 67 89",
    "call 0170-123 45 67 after six",
    "123-45-6789",
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "3782 822463 10005",
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "NO93 8601 1117 947",
    "customer 123456789",
    "٠١٢٣٤٥٦٧٨٩",
    "192.168.100.200",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "user (at) example.com",
    "user [at] example [dot] com",
    "user AT example DOT com",
    "user at example dot com",
    "user(at)example(dot)co(dot)uk",
    "user @ example.com",
    "user @ example . com",
    "user%40example.com",
    "user&#64;example.com",
    "user[@]example[.]com",
    "user_at_example.com",
    "user-at-example-dot-com",
    "anna {at} mail {dot} example",
    "anna.smith at mail dot example dot org",
    "reach me: anna [AT] shop.example",
    "me\u200b@shop.example",
    "DE89-3704-0044-0532-0130-00",
    "de89 3704 0044 0532 0130 00",
    "DE 89 3704 0044 0532 0130 00",
    "GB29 NWBK 6016 1331 9268 19",
    "IBAN: FR14 2004 1010 0505 0001 3M02 606",
    "+49 (0) 170 1234567",
    "(+49) 170 1234567",
    "+49 (0)170/1234567",
    "+49.170.1234567",
    "00 49 170 1234567",
    "+49\u2013170\u20131234567",
    "\uff0b49 170 1234567",
    "+1-555-123-4567",
    "1-800-555-0199",
    "+33 1 23 45 67 89",
    "4111.1111.1111.1111",
    "4111\u20111111\u20111111\u20111111",
    "3782-822463-10005",
    "2001:db8::1",
    "fe80::1%eth0",
    "[2001:db8::8a2e:370:7334]:443",
    "::ffff:192.168.100.200",
    "192.168.1.1:8080",
    "12345678Z",
    "X1234567L",
    "131052-308T",
    "850709-9805",
    "123.456.789-09",
    "111.444.777-35",
    "RSSMRA85T10A562S",
    "1 84 12 76 451 089 46",
    "2341 2341 2346",
    "s3://me:hunter2@bucket",
    "ghp_0123456789abcdefABCDEF",
]

HARMLESS = [
    "",
    "XL",
    "S, M, L",
    "Dresses",
    "dress @ 50 %",
    "@shop",
    "a@b",
    "2024-01-31",
    "2024-01-31 12:30:00",
    "2024-01-31T12:30:00.123456+02:00",
    "20240131",
    "20240131T123000",
    "31.12.2024",
    "12/31/2024 11:59",
    "2020-2024",
    "1000-2000",
    "100,000 - 200,000",
    "1.000.000,00",
    "1000000.50",
    "12345678",
    "0.123456789012",
    "3.14159265358979",
    "1e-9",
    "iPhone 15 Pro 256 GB",
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.6099.109",
    "10.0.19041.1234",
    "1.2.3",
    "SKU-12345-678",
    "ISBN 3-16",
    "B07XJ8C8F5",
    "12:30-14:00",
    "90210-1234",
    "SW1A 1AA",
    "EU 42 / US 10 / UK 8",
    "50x70 cm",
    "5 stars",
    "100-200-300",
    "de-DE",
    "Asia/Ho_Chi_Minh",
    "#ff00aa",
    "4006381333931",
    "96385074",
    "036000291452",
    "ISBN 978-3-16-148410-0",
    "9783161484100",
    "1234-5678-9012",
    "AB12CD34EF56GH78",
    "XR12ABCD1234",
    "polka dot dress",
    "Look at polka dot dress",
    "LOOK AT POLKA DOT DRESS",
    "dress (at) home",
    "arrived at shop",
    "a::b",
    "B1::A2",
    "Bed::Bad",
    "12:30:45",
    "aa:bb:cc:dd:ee:ff",
    "1,299.00",
    "EUR 1.299,00",
    "2 for 10.99 @ store",
    "12345678A",
    "850709-9806",
    "123.456.789-00",
    "1.000.000.000",
    "42-44",
    "W32 L34",
    "size at 40 dot 5",
    "9f86d081884c7d659a2feaa0c55ad015",
    "9f86d081123456789012345aa0c55ad0",
    "123e4567-e89b-12d3-a456-000000000001",
]


@pytest.mark.parametrize("value", PERSONAL)
def test_what_identifies_a_person_is_recognized(value: str) -> None:
    assert is_personal(value)


@pytest.mark.parametrize(
    "value", [*HARMLESS, None, 4111111111111111, 1.5, True, b"me@shop.example"]
)
def test_what_only_looks_alike_is_not(value: object) -> None:
    assert not is_personal(value)


def test_personal_values_are_counted() -> None:
    assert count_personal([*PERSONAL, *HARMLESS]) == len(PERSONAL)


def digits(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=size, max_size=size)


def with_luhn(body: str) -> str:
    return str(body + stdnum.luhn.calc_check_digit(body))


def with_product_digit(body: str) -> str:
    return str(body + stdnum.ean.calc_check_digit(body))


def grouped(text: str, sizes: tuple[int, ...], separator: str) -> str:
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    parts = [text[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return separator.join(part for part in [*parts, text[ends[-1] :]] if part)


CARDS = digits(14).flatmap(lambda body: st.sampled_from("23456").map(lambda first: first + body))
SEPARATORS = st.sampled_from([" ", "-", ".", "\N{NO-BREAK SPACE}", "\N{EN DASH}"])
TELEPHONES = st.sampled_from(
    ["+{0} {1} {2}", "+{0}{1}{2}", "00{0} {1} {2}", "+{0} ({1}) {2}", "(+{0}) {1}-{2}",
     "+{0} (0){1}/{2}", "+{0}.{1}.{2}", "tel:+{0}-{1}-{2}", "+{0}\N{EN DASH}{1}\N{EN DASH}{2}"]
)  # fmt: skip
WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=8)
ADDRESSES = st.sampled_from(
    ["{}@{}.com", "{} @ {}.com", "{} (at) {}.com", "{} [at] {} [dot] com", "{} AT {} DOT com",
     "{} at {} dot com", "{}(at){}(dot)com", "{} {{at}} {}.com", "{}%40{}.com", "{}[@]{}[.]com"]
)  # fmt: skip


@given(CARDS.map(with_luhn), SEPARATORS)
def test_any_card_is_recognized(card: str, separator: str) -> None:
    assert is_personal(card)
    assert is_personal(f"paid by {grouped(card, (4, 4, 4, 4), separator)}")


@given(st.sampled_from(["DE", "AT", "CH"]), digits(18), st.integers(2, 6), SEPARATORS)
def test_any_account_is_recognized(country: str, body: str, size: int, separator: str) -> None:
    body = body[: {"DE": 18, "AT": 16, "CH": 17}[country]]
    number = "".join(str(int(sign, 36)) for sign in f"{body}{country}00")
    iban = f"{country}{98 - int(number) % 97:02}{body}"
    assert is_personal(iban)
    if separator != "\N{EN DASH}":
        cut = separator.join(iban[at : at + size] for at in range(4, len(iban), size))
        assert is_personal(f"IBAN {iban[:4]}{separator}{cut} please")


@given(TELEPHONES, st.sampled_from(["1", "33", "49", "420"]), digits(3), digits(6))
def test_any_telephone_number_with_a_country_is_recognized(
    form: str, country: str, area: str, number: str
) -> None:
    assert is_personal(form.format(country, area, number))


@given(ADDRESSES, WORD, WORD)
def test_any_address_that_is_hidden_from_programs_is_recognized(
    form: str, user: str, host: str
) -> None:
    assert is_personal(form.format(user, host))
    assert is_personal(f"write to {form.format(user, host)} please")


@given(st.ip_addresses(v=6).filter(lambda address: len(address.compressed) > 8))
def test_any_address_of_a_computer_is_recognized(address: object) -> None:
    assert is_personal(str(address))
    assert is_personal(f"from [{address}]:443")


PRODUCTS = {
    "EAN-13": digits(12).map(with_product_digit),
    "EAN-8": digits(7).map(with_product_digit),
    "UPC": digits(11).map(with_product_digit),
    "GTIN-14": digits(13).map(with_product_digit),
    "code": st.from_regex(r"[A-Z]{1,4}-?[0-9]{1,6}(-[A-Z0-9]{1,4})?", fullmatch=True),
    "size": st.from_regex(
        r"(EU|US|UK|W|L)? ?[0-9]{1,3}([.,][05])?( ?x ?[0-9]{1,3})? ?(cm|mm|in)?", fullmatch=True
    ),
    "price": st.from_regex(r"(EUR |USD |\$)?[0-9]{1,3}(,[0-9]{3}){0,2}\.[0-9]{2}", fullmatch=True),
    "price with a comma": st.from_regex(
        r"[1-9][0-9]{0,2}(\.[0-9]{3}){0,2},[0-9]{2}", fullmatch=True
    ),
    "date": st.dates(datetime.date(1900, 1, 1)).map(str),
    "moment": st.datetimes(datetime.datetime(1900, 1, 1)).map(str),
    "time": st.times().map(str),
    "number": st.floats(-1e6, 1e6).map(lambda value: f"{value:.4f}"),
    "version": st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,3}){1,2}", fullmatch=True),
    "words": st.lists(WORD, min_size=1, max_size=4).map(" ".join),
}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_what_products_are_called_by_is_not_personal(kind: str) -> None:
    @given(PRODUCTS[kind])
    def check(value: str) -> None:
        assert not is_personal(value)

    check()


def test_long_texts_of_any_kind_are_looked_through_in_one_pass() -> None:
    # Patterns that look back and forth would take hours.
    for part in (
        "a",
        "a-at-",
        "a at ",
        "a dot ",
        "a(at)",
        "a@",
        "a.",
        "1 ",
        "1-",
        "::",
        "+1(",
        "(0",
    ):
        is_personal(part * (20_000 // len(part)))
