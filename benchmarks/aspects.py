"""Aspects on labelled reviews: what is found, how it is judged, and reviews per second.

    python benchmarks/aspects.py ../shared/data

ViSFD: Vietnamese reviews of smartphones. Seeds are given below, written by us with the rows
``dev-…`` at hand; nothing is learned from labels of aspects. Found aspects are judged on the rows
``test-…``. The sentiment of labelled aspects is that of `Aspects`, cross-fitted on the stars of
all rows; where no seed finds a labelled aspect, the stars of the review answer. The baseline is
these stars for all aspects. A review is mixed where one label is positive and one negative.

Hu & Liu: English reviews of five products, with the features that people found in them. What
`Aspects()` discovers in each product is compared with these; a word and its plural are the same.
These reviews have no ratings, so discovery is asked without the rest of `Aspects`. Its word lists
were written with these products at hand.

They also show what can be done without ratings: words of the opinion lexicon, turned over behind a
negation, imply a rating of each sentence, and `Aspects` learns from these. Whether the labelled
features are praised or blamed is then compared with the lexicon alone, which also answers where the
feature is not named in the sentence.

M-ABSA: the same reviews of phones in 21 languages, machine translated. `Aspects("retail")` is
compared with the labelled categories that it has an aspect for.

Stability is that of the first 20 aspects of two halves of 10,000 clothing reviews. Speed is that of
one core, on clothing reviews, and includes sentiment.
"""

from __future__ import annotations

import collections
import json
import re
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from reviewml.enrichers import Aspects
from reviewml.enrichers.aspects.clauses import split_all_clauses
from reviewml.enrichers.aspects.discovery import discover_aspects
from reviewml.enrichers.aspects.folding import FoldedTexts
from reviewml.enrichers.aspects.seed_lists import read_seed_list
from reviewml.enrichers.aspects.seed_matcher import SeedMatcher
from reviewml.enrichers.aspects.windows import TextWindows

VISFD = {
    "SCREEN": "màn hình, màn, hiển thị, độ sáng, amoled, ips, tấm nền, độ phân giải, full hd, "
    "hình ảnh",
    "CAMERA": "camera, cam, chụp, chụp hình, chụp ảnh, ảnh, selfie, quay phim, quay video, "
    "xóa phông, máy ảnh, lấy nét",
    "FEATURES": "vân tay, cảm ứng, loa, wifi, sóng, bắt sóng, mạng, 4g, 3g, bluetooth, âm thanh, "
    "nghe gọi, cuộc gọi, mở khóa, nhận diện, khuôn mặt, face id, tính năng, chức năng, cảm biến, "
    "bàn phím, mic, tai nghe, sim, định vị, gps, kết nối, phím, nút, nghe nhạc, màn hình cảm ứng",
    "BATTERY": "pin, sạc, dung lượng pin, sạc pin, hết pin, tụt, mah",
    "PERFORMANCE": "cấu hình, hiệu năng, chip, ram, game, chơi game, mượt, lag, giật, đơ, nóng, "
    "nóng máy, chạy, xử lý, cập nhật, phần mềm, chiến game, liên quân, pubg, load, khởi động, "
    "treo, hệ điều hành, tốc độ, sập nguồn, ứng dụng, giật lag, snap, văng",
    "STORAGE": "bộ nhớ, lưu trữ, dung lượng bộ nhớ, thẻ nhớ, dung lượng lưu trữ, 128gb, 64gb, rom",
    "DESIGN": "thiết kế, kiểu dáng, ngoại hình, mẫu mã, vỏ, viền, màu sắc, sang trọng, nhỏ gọn, "
    "cầm, mỏng, ốp, mặt lưng, gọn, máy đẹp, màu, cầm nắm, lồi",
    "PRICE": "giá, giá cả, giá tiền, tầm giá, mức giá, tiền, rẻ, mắc, đắt, đồng tiền, phân khúc, "
    "triệu, giá thành, giảm giá",
    "GENERAL": "sản phẩm, tuyệt vời, hài lòng, nói chung, tổng thể, mọi thứ, đáng mua, chất lượng, "
    "tốt trong tầm giá, rất tốt, rất ok, dùng tốt, ngon, quá tốt, đáng tiền, thất vọng, "
    "điện thoại, ổn, không nên mua, ưng ý, xài tốt, tệ, máy ok, máy tốt, máy ngon, quá ok, "
    "quá tệ, nên mua, thích, tuyệt, con này, sp",
    "SER&ACC": "nhân viên, phục vụ, tư vấn, bảo hành, giao hàng, dịch vụ, nhiệt tình, phụ kiện, "
    "thái độ, shop, hộp, tặng, quà, khuyến mãi, đổi trả, cửa hàng, giao, nv, tgdd, thegioididong, "
    "thế giới di động, điện máy xanh, đmx, ủng hộ, dán, củ sạc, đổi máy, trả góp, tai nghe kèm",
}

CATEGORIES = {
    "Price": "price",
    "Logistics": "delivery",
    "Product Packaging": "packaging",
    "Product Quality": "quality",
    "Ease of Use": "usability",
    "Seller Service": "service",
    "After-sales Service": "returns",
    "Appearance Design#Fuselage": "size",
    "Appearance Design": "look",
}
"""Aspects of the list by how labelled categories begin."""

RETAIL_LANGUAGES = ("en", "de", "fr", "es", "pt", "tr", "vi", "zh", "ja", "ko", "ar", "th")

NEGATIONS = {"not", "no", "never", "n't", "cannot", "without", "hardly"}

MIN_REVIEWS = 4
"""Reviews that a feature of Hu & Liu must stand in: a product has 34 to 99."""

FEWEST = 50
"""Labels of an aspect whose negative share is compared."""

CLOTHES = {
    "fit": ["fit*", "size*", "tight", "loose", "too big", "too small"],
    "length": ["length", "short", "long", "knee*"],
    "fabric": ["fabric", "material*", "cotton", "silk", "wool", "linen", "polyester"],
    "colour": ["color*", "colour*", "black", "white", "blue", "red"],
    "comfort": ["comfortable", "comfy", "soft", "itchy", "scratchy"],
    "quality": ["quality", "well made", "cheap", "cheaply made"],
    "price": ["price*", "sale", "expensive", "worth", "money", "$"],
    "look": ["look*", "style*", "flattering", "cute", "pretty"],
    "sleeves": ["sleeve*", "arm*", "shoulder*"],
    "care": ["wash*", "wrinkle*", "shrunk", "iron*"],
    "shipping": ["shipping", "delivery", "arrived", "package"],
    "return": ["return*", "exchange*", "sent it back", "going back"],
}


def split_seeds(seeds: dict[str, str]) -> dict[str, list[str]]:
    return {name: words.split(", ") for name, words in seeds.items()}


def measure_visfd(rows: pd.DataFrame) -> None:
    names = list(VISFD)
    aspects = Aspects(split_seeds(VISFD), text="text", rating="stars")
    values = aspects.fit_transform(rows)[[f"sentiment_{name}" for name in names]].to_numpy()
    labels = [json.loads(row) for row in rows["labels"]]
    labelled = np.array([[name in row for name in names] for row in labels])
    is_test = rows["id"].str.startswith("test").to_numpy()
    mentioned, wanted = ~np.isnan(values)[is_test], labelled[is_test]
    each = [f1_score(wanted[:, at], mentioned[:, at]) for at in range(len(names))]
    micro = f1_score(wanted.ravel(), mentioned.ravel())
    print(f"ViSFD test rows, aspects found: micro-F1 {micro:.3f}, macro-F1 {np.mean(each):.3f}")
    print("  " + "  ".join(f"{name} {f1:.2f}" for name, f1 in zip(names, each, strict=True)))
    stars = np.repeat((rows["stars"].to_numpy()[:, None] - 3) / 2, len(names), axis=1)
    print("ViSFD all rows, sentiment of labelled aspects, positive or negative")
    print_polarity("stars of the review", labels, stars)
    print_polarity("Aspects", labels, np.where(np.isnan(values), stars, values))
    print_polarity("Aspects, where found", labels, values)


def print_polarity(title: str, labels: list[dict[str, str]], values: np.ndarray) -> None:
    rows, aspects, actual = [], [], []
    for row, row_labels in enumerate(labels):
        for at, name in enumerate(VISFD):
            if row_labels.get(name) in ("Positive", "Negative") and not np.isnan(values[row, at]):
                rows.append(row)
                aspects.append(at)
                actual.append(row_labels[name] == "Positive")
    answers = values[rows, aspects] > 0
    right = np.array(actual)
    kinds = [set(row_labels.values()) for row_labels in labels]
    mixed = np.array([{"Positive", "Negative"} <= kinds[row] for row in rows])
    shares = np.array(
        [
            (np.mean(~right[chosen]), np.mean(~answers[chosen]))
            for at in range(len(VISFD))
            if (chosen := np.array(aspects) == at).sum() >= FEWEST
        ]
    )
    print(
        f"  {title:<22}macro-F1 all {f1_score(right, answers, average='macro'):.3f} "
        f"({len(right):,})  mixed {f1_score(right[mixed], answers[mixed], average='macro'):.3f} "
        f"({mixed.sum():,})  negative share: mean error {np.abs(np.diff(shares)).mean():.3f}, "
        f"Spearman {spearmanr(*shares.T)[0]:.2f}"
    )


def measure_hu_liu(rows: pd.DataFrame) -> None:
    precisions, recalls = [], []
    for _, product in rows.groupby("product"):
        reviews = [" . ".join(sentences) for _, sentences in product.groupby("review")["text"]]
        clauses = split_all_clauses(pa.array(reviews))
        discovered = discover_aspects(clauses, np.arange(len(reviews)), 50, MIN_REVIEWS)
        terms = [{find_term(form) for form in forms} for forms in discovered.values()]
        labels = collections.Counter(
            find_term(feature) for row in product["aspects"] for feature, *_ in json.loads(row)
        )
        precisions.append(np.mean([not forms.isdisjoint(labels) for forms in terms[:20]]))
        frequent = {feature for feature, _ in labels.most_common(15)}
        recalls.append(len(frequent & set().union(*terms)) / len(frequent))
    print(
        f"Hu & Liu, features discovered, {MIN_REVIEWS} reviews each: P@20 "
        f"{np.mean(precisions):.3f}, recall of the 15 most frequent in the first 50 "
        f"{np.mean(recalls):.3f}"
    )


def find_term(feature: str) -> str:
    """Return a feature in the singular, as the labels mostly are."""
    return re.sub(r"(?<=[^su])s$", "", re.sub(r"ies$", "y", feature.strip().lower()))


def measure_signs(rows: pd.DataFrame, positive: set[str], negative: set[str]) -> None:
    opinions = np.array([score_words(text, positive, negative) for text in rows["text"]])
    learned = rows[["text"]].assign(implied=np.sign(opinions))
    labels = [
        (row, feature.strip().lower(), strength > 0)
        for row, features in enumerate(rows["aspects"])
        for feature, strength, *_ in json.loads(features)
    ]
    names = sorted({feature for _, feature, _ in labels})
    # Names with other names in them would be columns of one another.
    seeds = {f"a{number}": [feature] for number, feature in enumerate(names)}
    aspects = Aspects(seeds, text="text", rating="implied", scale=(-1, 1)).fit(learned)
    values = aspects.transform(rows[["text"]])
    columns = {name: values[f"sentiment_a{number}"].to_numpy() for number, name in enumerate(names)}
    judged = np.array([columns[feature][row] for row, feature, _ in labels])
    by_words = opinions[[row for row, _, _ in labels]] >= 0
    praised = np.array([is_praised for _, _, is_praised in labels])
    named = ~np.isnan(judged)
    answers = np.where(named, judged > 0, by_words)
    right = [np.mean(signs == praised) for signs in (by_words, answers)]
    right += [np.mean((signs == praised)[named]) for signs in (by_words, answers)]
    print(
        "Hu & Liu, signs of {:,} labelled features: lexicon {:.3f}, Aspects learned from it "
        "{:.3f}; of the {:,} named {:.3f}, {:.3f}".format(
            len(labels), *right[:2], named.sum(), *right[2:]
        )
    )


def score_words(text: str, positive: set[str], negative: set[str]) -> int:
    words = text.lower().split()
    signs = [(word in positive) - (word in negative) for word in words]
    behind = [bool(NEGATIONS & set(words[max(0, at - 3) : at])) for at in range(len(words))]
    return sum(-sign if negated else sign for sign, negated in zip(signs, behind, strict=True))


def measure_retail(rows: pd.DataFrame) -> None:
    seeds = read_seed_list("retail")
    matcher, names = SeedMatcher(list(seeds.values())), list(seeds)
    print('M-ABSA, Aspects("retail"): micro-F1 of aspects in reviews, terms with a seed in them')
    for language in RETAIL_LANGUAGES:
        texts = rows[rows["lang"] == language]
        labels = [json.loads(row) for row in texts["triplets"]]
        mentioned = match_texts(matcher, len(names), texts["text"].fillna(""))
        labelled = np.zeros_like(mentioned)
        terms = []
        for at, triplets in enumerate(labels):
            for term, category, _ in triplets:
                if (name := name_retail_aspect(category)) is not None:
                    labelled[at, names.index(name)] = True
                    terms.append(term)
        present = labelled.any(axis=0)
        f1 = f1_score(labelled[:, present].ravel(), mentioned[:, present].ravel())
        share = match_texts(matcher, len(names), terms).any(axis=1).mean()
        print(f"  {language} {f1:.2f} {share:.2f}", end="")
    print()


def match_texts(matcher: SeedMatcher, n_aspects: int, texts: Iterable[str]) -> np.ndarray:
    """Return which aspects each text mentions."""
    written = pa.array(texts, pa.string())
    folded = FoldedTexts.of(written)
    matches = matcher.find_matches(TextWindows.of(folded))
    mentioned = np.zeros((len(written), n_aspects), bool)
    mentioned[folded.rows[matches.firsts], matches.aspects] = True
    return mentioned


def name_retail_aspect(category: str) -> str | None:
    return next((name for start, name in CATEGORIES.items() if category.startswith(start)), None)


def measure_stability(rows: pd.DataFrame) -> None:
    written, overlaps = rows[rows["Review Text"].notna()], []
    for seed in range(5):
        half = np.array_split(written.sample(10_000, random_state=seed), 2)
        first, second = (
            set(Aspects(text="Review Text", rating="Rating").fit(part).aspects_) for part in half
        )
        overlaps.append(len(first & second) / len(first | second))
    print(f"Aspects() of halves of 10,000 clothing reviews: Jaccard {np.mean(overlaps):.3f}")


def measure_speed(rows: pd.DataFrame) -> None:
    texts = pa.array(rows["Review Text"].dropna().head(10_000))
    aspects = Aspects(CLOTHES, text="Review Text", rating="Rating").fit(rows)
    batch = pa.RecordBatch.from_arrays([texts], ["text"])
    aspects.enrich(batch.slice(0, 1_000))
    taken = []
    for _ in range(3):
        started = time.process_time()
        aspects.enrich(batch)
        taken.append(time.process_time() - started)
    rate = len(batch) / np.median(taken)
    print(
        f"{len(batch):,} clothing reviews, {len(CLOTHES)} aspects: {rate:,.0f} a second of a core"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    data = Path(sys.argv[1])
    clothes = pd.read_csv(data / "womens_clothing_reviews.csv")
    measure_speed(clothes)
    hu_liu = pd.read_csv(data / "hu_liu_5_products.csv").fillna({"text": ""})
    measure_hu_liu(hu_liu)
    lexicon = (data / f"opinion_lexicon_{side}.txt" for side in ("positive", "negative"))
    measure_signs(hu_liu, *(set(file.read_text(encoding="latin-1").split()) for file in lexicon))
    measure_retail(pd.read_csv(data / "mabsa_phone_21_languages.csv"))
    measure_stability(clothes)
    visfd = pd.read_csv(data / "visfd_smartphones_vi.csv")
    measure_visfd(visfd.rename(columns={"aspects": "labels"}))
