"""Forms: what the fitted state of a step looks like, declared so that `load` can check it.

`Component.state_form` holds one. A state that does not have its form is neither saved nor loaded.
"""

from reviewml.untrusted.forms import (
    MOST_COUNT,
    Anything,
    Array,
    ByName,
    Choice,
    Each,
    Fields,
    Flag,
    Form,
    Instance,
    Maybe,
    OneOrSeveral,
    Pair,
    Real,
    Text,
    Whole,
    WrongForm,
)

__all__ = [
    "MOST_COUNT",
    "Anything",
    "Array",
    "ByName",
    "Choice",
    "Each",
    "Fields",
    "Flag",
    "Form",
    "Instance",
    "Maybe",
    "OneOrSeveral",
    "Pair",
    "Real",
    "Text",
    "Whole",
    "WrongForm",
]
