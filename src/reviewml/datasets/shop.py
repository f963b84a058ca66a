"""make_shop: a synthetic shop in which purchases depend on the reviews that were visible."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.datasets.draws import Draws, Floats, Names
from reviewml.datasets.reviews import DEPARTMENTS, LANGUAGES, LAYOUTS
from reviewml.datasets.writing import ASPECTS, CHOICES, Choices, write
from reviewml.errors import SchemaError
from reviewml.parameter_types import check_argument_types

Integers = npt.NDArray[np.int64]

DAY = 86_400_000_000
"""Microseconds in a day."""

DAYS = 365
"""Days of views; reviews reach back as many before them."""

START = np.datetime64("2025-01-01", "us").astype(np.int64)

DOUBT = 3.0
"""Reviews without an opinion that shoppers add in their minds to those they see."""

REVIEWED = 0.4
"""Share of the customers who ever write a review."""

SOURCES = ("search", "email", "social", "direct")


@dataclasses.dataclass(frozen=True, repr=False)
class Shop:
    """Tables of a synthetic shop.

    Parameters
    ----------
    views
        Visits to pages of products, by time.
    reviews
        Of products, by time.
    orders
        That followed views, by time.
    probability
        The true one of each view to be followed by an order, shape ``(n_views,)``. What is
        drawn with it cannot be predicted any better.
    """

    views: pa.Table
    reviews: pa.Table
    orders: pa.Table
    probability: Floats

    def __repr__(self) -> str:
        return (
            f"Shop({len(self.views):,} views, {len(self.reviews):,} reviews, "
            f"{len(self.orders):,} orders)"
        )


@check_argument_types
def make_shop(
    n_products: int = 200,
    n_customers: int = 2_000,
    n_views: int = 20_000,
    review_effect: float = 1.0,
    random_state: int = 0,
) -> Shop:
    """Return a year of views, orders and reviews of a shop that does not exist.

    All of it is made up. Whether a view leads to an order depends on the view and, times
    `review_effect`, on the reviews a visitor could see: never on a review written later. Some
    orders lead to a review, so reviews know of purchases, and joining them without looking at
    the time shows an effect even where there is none.

    Parameters
    ----------
    n_products, n_customers, n_views
        How many there are.
    review_effect
        How much visible reviews matter; 0 not at all.
    random_state
        Seed, not negative.

    Returns
    -------
    Shop
        - ``views``: ``view_id``, ``customer_id``, ``product_id``, ``viewed_at``, ``price``,
          ``source``, ``mobile``, ``page_load_seconds``, ``layout``
        - ``reviews``: ``review_id``, ``customer_id``, ``product_id``, ``posted_at``, ``body`` in
          seven languages, ``stars`` from 1 to 5
        - ``orders``: ``order_id``, ``customer_id``, ``product_id``, ``ordered_at``
        - ``probability``

        Times are in 2025, UTC; reviews begin a year earlier. One product in ten is launched
        during the year, about one in six of the others has no review when it begins, and most
        customers never write one.

    Notes
    -----
    The product has a hidden quality, which moves nothing but its reviews. With the stars r of
    the n reviews posted before the day before the view::

        opinion = Σ (r - 3) / 2 / (n + 3)
        logit P(order) = -2.2 + 3 review_effect opinion - 0.5 ln(price / 45)
                         - 0.3 (page_load_seconds - 2) + 0.6 [source = email]
                         - 0.3 [source = social] + 0.3 [layout = gallery] - 0.2 [mobile]

    An order follows its view within five days, a review its order within a few weeks.

    Examples
    --------
    >>> shop = make_shop(n_products=20, n_customers=100, n_views=500)
    >>> shop.views.num_rows, shop.probability.shape
    (500, (500,))
    """
    if min(n_products, n_customers, n_views) < 1:
        raise SchemaError("make_shop needs one product, one customer and one view at least.")
    views = _Views.draw_views(n_products, n_customers, n_views, random_state)
    quality = Draws(n_products, random_state).normal("quality")
    past = _draw_past_reviews(n_products, n_customers, quality, random_state)
    follow = _simulate_year(views, quality, past, review_effect, random_state)
    reviews = _ShopReviews.join_reviews(past, follow.reviews)
    return Shop(
        views.table(random_state),
        reviews.table(n_products, random_state),
        follow.orders(views),
        follow.probability,
    )


@dataclasses.dataclass(frozen=True)
class _Views:
    time: Integers
    customer: Integers
    product: Integers
    price: Floats
    seconds: Floats
    source: Names
    layout: Names
    mobile: npt.NDArray[np.bool_]

    @classmethod
    def draw_views(cls, n_products: int, n_customers: int, n: int, random_state: int) -> _Views:
        draws, products = Draws(n, random_state), Draws(n_products, random_state)
        # A few products and customers account for most of the views.
        time = np.sort(START + (draws.uniform("viewed") * DAYS * DAY).astype(np.int64))
        product = (n_products * draws.uniform("product") ** 1.5).astype(np.int64)
        launched = _draw_launch_times(n_products, random_state)
        # Who would have looked at a product that is not there yet looks at another.
        early_products = np.flatnonzero(launched < START)
        early = time < launched[product]
        product[early] = early_products[product[early] % len(early_products)]
        customer = (n_customers * draws.uniform("customer") ** 1.5).astype(np.int64)
        price = np.exp(3.8 + 0.5 * products.normal("price"))[product]
        reduced = np.where(draws.uniform("promotion") < 0.2, 0.8, 1.0)
        return cls(
            time=time,
            customer=customer,
            product=product,
            price=np.round(price * reduced, 2),
            seconds=np.exp(0.6 + 0.5 * draws.normal("page_load_seconds")).round(2),
            source=draws.one_of("source", SOURCES, (5, 2, 2, 3)),
            layout=draws.one_of("layout", LAYOUTS, (5, 3, 2)),
            mobile=draws.uniform("mobile") < 0.6,
        )

    def logit(self) -> Floats:
        """Return the log-odds of an order, reviews left out."""
        return (  # type: ignore[no-any-return]
            -2.2
            - 0.5 * np.log(self.price / 45)
            - 0.3 * (self.seconds - 2)
            + 0.6 * (self.source == "email")
            - 0.3 * (self.source == "social")
            + 0.3 * (self.layout == "gallery")
            - 0.2 * self.mobile
        )

    def table(self, random_state: int) -> pa.Table:
        return pa.table(
            {
                "view_id": _make_ids("v", len(self.time)),
                "customer_id": _name_ids("c", self.customer),
                "product_id": _name_ids("p", self.product),
                "viewed_at": _make_times(self.time),
                "price": self.price,
                "source": self.source,
                "mobile": self.mobile,
                "page_load_seconds": self.seconds,
                "layout": self.layout,
            }
        )


@dataclasses.dataclass(frozen=True)
class _ShopReviews:
    time: Integers
    customer: Integers
    product: Integers
    # Shape (n, aspects), each -1, 0 or 1.
    opinions: Floats
    stars: Floats

    @classmethod
    def about(
        cls, draws: Draws, time: Integers, customer: Integers, product: Integers, quality: Floats
    ) -> _ShopReviews:
        """Draw what reviews say; better products get better ones."""
        pleased = 1 / (1 + np.exp(-(0.8 + 1.6 * quality[product])))[:, None]
        good = draws.uniform("good", len(ASPECTS)) < pleased
        spoken = draws.uniform("spoken", len(ASPECTS)) < np.array([0.9, 0.6, 0.4])
        opinions = np.where(spoken, np.where(good, 1.0, -1.0), 0.0)
        stars = 3.1 + opinions @ np.array([1.0, 0.6, 0.4]) + 0.5 * draws.normal("stars")
        return cls(time, customer, product, opinions, np.clip(stars.round(), 1, 5))

    @classmethod
    def join_reviews(cls, first: _ShopReviews, other: _ShopReviews) -> _ShopReviews:
        """Return both, by time."""
        fields = [field.name for field in dataclasses.fields(cls)]
        columns = {n: np.concatenate([getattr(first, n), getattr(other, n)]) for n in fields}
        order = np.argsort(columns["time"], kind="stable")
        return cls(**{name: values[order] for name, values in columns.items()})

    def table(self, n_products: int, random_state: int) -> pa.Table:
        draws = Draws(len(self.time), random_state)
        languages = draws.one_of("language", LANGUAGES)
        departments = Draws(n_products, random_state).one_of("department", DEPARTMENTS)
        chances = draws.uniform("phrases", CHOICES).tolist()
        all_opinions = self.opinions.astype(int).tolist()
        texts = [
            write(language, department, opinions, False, Choices(uniform))
            for language, department, opinions, uniform in zip(
                languages, departments[self.product], all_opinions, chances, strict=True
            )
        ]
        return pa.table(
            {
                "review_id": _make_ids("r", len(self.time)),
                "customer_id": _name_ids("c", self.customer),
                "product_id": _name_ids("p", self.product),
                "posted_at": _make_times(self.time),
                "body": pa.array(texts, pa.string()),
                "stars": self.stars,
            }
        )


@dataclasses.dataclass(frozen=True)
class _Followed:
    """What follows the views: which led to orders and when, and the reviews of these."""

    probability: Floats
    ordered: npt.NDArray[np.intp]
    order_time: Integers
    reviews: _ShopReviews

    def orders(self, views: _Views) -> pa.Table:
        by_time = np.argsort(self.order_time, kind="stable")
        rows = self.ordered[by_time]
        return pa.table(
            {
                "order_id": _make_ids("o", len(rows)),
                "customer_id": _name_ids("c", views.customer[rows]),
                "product_id": _name_ids("p", views.product[rows]),
                "ordered_at": _make_times(self.order_time[by_time]),
            }
        )


def _draw_past_reviews(
    n_products: int, n_customers: int, quality: Floats, random_state: int
) -> _ShopReviews:
    products = Draws(n_products, random_state)
    counts = np.floor(-6 * np.log(products.uniform("reviews before"))).astype(np.int64)
    counts[_draw_launch_times(n_products, random_state) >= START] = 0
    product = np.repeat(np.arange(n_products), counts)
    draws = Draws(len(product), random_state + 1)
    time = START - (draws.uniform("posted") * DAYS * DAY).astype(np.int64)
    writers = _draw_writers(n_customers, random_state)
    customer = writers[(draws.uniform("writer") * len(writers)).astype(np.int64)]
    return _ShopReviews.about(draws, time, customer, product, quality)


def _draw_launch_times(n_products: int, random_state: int) -> Integers:
    """Find when products came into the shop: one in ten during the year."""
    draws = Draws(n_products, random_state)
    new = draws.uniform("new") < 0.1
    new[0] = False
    during = START + (draws.uniform("launch") * DAYS * DAY).astype(np.int64)
    return np.where(new, during, START - DAYS * DAY)


def _draw_writers(n_customers: int, random_state: int) -> Integers:
    chosen = np.flatnonzero(Draws(n_customers, random_state).uniform("writes") < REVIEWED)
    return chosen if len(chosen) else np.zeros(1, np.int64)


def _simulate_year(
    views: _Views, quality: Floats, past: _ShopReviews, review_effect: float, random_state: int
) -> _Followed:
    """Go through the year day by day: what is ordered today is reviewed on later days."""
    draws = Draws(len(views.time), random_state)
    chance, writes = draws.uniform("ordered"), draws.uniform("review")
    order_time = views.time + (-np.log1p(-draws.uniform("wait") * 0.99) * DAY).astype(np.int64)
    posted = order_time + ((2 - 9 * np.log(draws.uniform("lag"))) * DAY).astype(np.int64)
    all_reviews = _ShopReviews.about(draws, posted, views.customer, views.product, quality)
    writer = np.isin(views.customer, _draw_writers(int(views.customer.max()) + 1, random_state))
    day, posted_day = (views.time - START) // DAY, (posted - START) // DAY
    opinions, counts = (np.zeros(len(quality)) for _ in range(2))
    np.add.at(opinions, past.product, (past.stars - 3) / 2)
    np.add.at(counts, past.product, 1.0)
    probability, ordered = views.logit(), np.zeros(len(views.time), bool)
    waiting: dict[int, list[npt.NDArray[np.intp]]] = {}
    for today in range(DAYS):
        for rows in waiting.pop(today - 2, []):
            np.add.at(opinions, views.product[rows], (all_reviews.stars[rows] - 3) / 2)
            np.add.at(counts, views.product[rows], 1.0)
        rows = np.flatnonzero(day == today)
        product = views.product[rows]
        opinion = opinions[product] / (counts[product] + DOUBT)
        logit = probability[rows] + 3 * review_effect * opinion
        probability[rows] = 1 / (1 + np.exp(-logit))
        ordered[rows] = chance[rows] < probability[rows]
        reviewed = rows[ordered[rows] & writer[rows] & (writes[rows] < 0.7)]
        for later in np.unique(posted_day[reviewed]).tolist():
            waiting.setdefault(later, []).append(reviewed[posted_day[reviewed] == later])
    reviewers = np.flatnonzero(ordered & writer & (writes < 0.7) & (posted < START + DAYS * DAY))
    return _Followed(
        probability,
        np.flatnonzero(ordered),
        order_time[ordered],
        _ShopReviews(
            posted[reviewers],
            views.customer[reviewers],
            views.product[reviewers],
            all_reviews.opinions[reviewers],
            all_reviews.stars[reviewers],
        ),
    )


def _make_ids(letter: str, n: int) -> pa.Array:
    return _name_ids(letter, np.arange(n))


def _name_ids(letter: str, numbers: Integers) -> pa.Array:
    return pa.array([f"{letter}{number:06d}" for number in numbers.tolist()], pa.string())


def _make_times(microseconds: Integers) -> pa.Array:
    return pa.array(microseconds, pa.int64()).cast(pa.timestamp("us", "UTC"))
