"""stub"""


def run() -> None:
    """x"""
