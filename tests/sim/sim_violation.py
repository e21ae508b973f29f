"""How a run is told that it has failed."""


class Violation(AssertionError):
    """An invariant is broken."""


def check(holds: bool, invariant: str, *facts: object) -> None:
    if not holds:
        raise Violation(f"{invariant}: {', '.join(map(str, facts))}")
