"""stub"""


def gate() -> None:
    """stub"""
