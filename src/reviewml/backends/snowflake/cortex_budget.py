"""What calls of Snowflake's models cost, before and while they are made, in credits."""

from __future__ import annotations

import dataclasses
import difflib
import json
import numbers
from collections.abc import Mapping
from importlib import resources

from reviewml.errors import CreditsExhausted, ParameterError
from reviewml.operations.sql_call import Price, Range

PER = 1_000_000
"""Tokens that a price is for."""

FEWEST = 1 / 5
"""Tokens for each character, at least; by Snowflake's rule of thumb they are a quarter."""

MOST = 1 / 2
"""Tokens for each byte of UTF-8, at most: scripts such as Thai have several for a letter."""


ALIKE = 0.9
"""From how much of a name in common on one is taken for a misspelling of the other."""


def read_dated_prices() -> dict[str, float]:
    """Return credits per million tokens for each function, as of the date in ``prices.json``."""
    text = resources.files(__package__).joinpath("prices.json").read_text(encoding="utf-8")
    prices: dict[str, float] = json.loads(text)["prices"]
    return prices


@dataclasses.dataclass(frozen=True)
class Texts:
    """How much text there is to send.

    Parameters
    ----------
    calls
        How many texts there are.
    characters, size
        Of all of them, in Unicode characters and in bytes of UTF-8.
    counted
        Tokens sent, where the database has counted them.
    """

    calls: int
    characters: int
    size: int
    counted: int | None = None

    def tokens(self, price: Price) -> Range:
        """Return the tokens that would be charged."""
        low, high = self.characters * FEWEST, self.size * MOST
        if self.counted is not None:
            low = high = self.counted
        sent = [low + self.calls * price.prompt[0], high + self.calls * price.prompt[1]]
        back = [low * price.echo[0], high * price.echo[1]]
        fixed = [self.calls * price.answer[0], self.calls * price.answer[1]]
        return sent[0] + back[0] + fixed[0], sent[1] + back[1] + fixed[1]


@dataclasses.dataclass
class CreditBudget:
    """How many credits may be spent, and how many were; all steps of a backend share one.

    Parameters
    ----------
    max_credits
        Work stops before it would spend more than this, by the upper estimate; None for no end.
    prices
        Credits per million tokens by name of the function, instead of those of the table.

    Examples
    --------
    >>> price = Price("AI_SENTIMENT", "text", "", prompt=(50, 500))
    >>> low, high = CreditBudget().credits(price, Texts(1_000, 200_000, 210_000))
    >>> f"{low:.2f} to {high:.2f}"
    '0.14 to 0.97'
    """

    max_credits: float | None = None
    prices: Mapping[str, float] | None = None
    spent: float = 0.0

    def check(self) -> None:
        """Raise `ParameterError` when a parameter has a value that it cannot have."""
        limits = {} if self.max_credits is None else {"max_credits": self.max_credits}
        prices = {f"prices[{name!r}]": price for name, price in (self.prices or {}).items()}
        for name, value in (limits | prices).items():
            # Written so that it is true of NaN.
            if not isinstance(value, numbers.Real) or not value >= 0:
                raise ParameterError(f"{name} is {value!r}: give a number of credits, 0 or more.")
        known = read_dated_prices()
        for name in self.prices or ():
            # Another name may be that of a function which an enricher of the user's asks.
            meant = difflib.get_close_matches(name.upper(), known, n=1, cutoff=ALIKE)
            if name not in known and meant:
                raise ParameterError(f"prices: no function {name!r}. Did you mean {meant[0]!r}?")

    def credits(self, price: Price, texts: Texts) -> Range:
        """Estimate the credits of some texts, from the least to the most.

        Raises
        ------
        ParameterError
            When no price of the function is known.
        """
        prices = read_dated_prices() | dict(self.prices or {})
        if price.function not in prices:
            raise ParameterError(
                f"no price of {price.function} is known: say it, in credits per million tokens, "
                f"as in prices={{{price.function!r}: 1.5}}."
            )
        low, high = texts.tokens(price)
        return low / PER * prices[price.function], high / PER * prices[price.function]

    def spend(self, price: Price, texts: Texts, done: int, todo: int) -> None:
        """Note what is spent next.

        Parameters
        ----------
        price, texts
            What is sent.
        done, todo
            Texts answered in this step so far, and all of them.

        Raises
        ------
        CreditsExhausted
            When it might go beyond the ceiling; nothing is noted then.
        """
        most = self.credits(price, texts)[1]
        # Sums of parts may differ from the whole in their last bit.
        if self.max_credits is not None and self.spent + most > self.max_credits * (1 + 1e-9):
            left = max(self.max_credits - self.spent, 0)
            raise CreditsExhausted(
                f"max_credits={self.max_credits:g}: at most {self.spent:.4g} credits were spent, "
                f"{left:.4g} are left, and the next text may cost {most:.4g}. "
                f"{price.function} has answered {done:,} of {todo:,} new texts, and answers that "
                "are in the store are kept: run it again with a higher max_credits to go on."
            )
        self.spent += most
