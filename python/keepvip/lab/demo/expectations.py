"""What the demo expects, and what came of it."""

import msgspec


class Expectation(msgspec.Struct, frozen=True):
    """One sentence, whether it held, and the number or fact that shows it."""

    text: str
    held: bool
    shown_by: str = ""


class Verdict:
    """Collects expectations."""

    def __init__(self) -> None:
        self.expectations: list[Expectation] = []

    def expect(self, text: str, held: object, shown_by: str = "") -> bool:
        """Note whether something held."""
        self.expectations.append(Expectation(text, bool(held), shown_by))
        return bool(held)

    @property
    def all_held(self) -> bool:
        """Whether everything held, and there was something."""
        return bool(self.expectations) and all(expectation.held for expectation in self.expectations)
