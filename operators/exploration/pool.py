"""What may take a place that explores: new products, and known items with few impressions. The operator makes it once a second,
and it crosses to the scorer process as it is."""

import msgspec

MOST_NEWCOMERS = 256  # of the pool: those with the best chances
LIKES = 8  # of a newcomer


class Newcomer(msgspec.Struct, array_like=True, frozen=True):
    """A product of the catalogue that the model does not know, and may be listed now. `chance`: as `thompson.chances` gives it;
    `likes`: model rows of the items that it is like, the nearest first. `category`, `brand`: as the caps of a list compare
    them."""

    item_id: str
    chance: float
    likes: tuple[int, ...]
    category: str = ""
    brand: str = ""


class Pool(msgspec.Struct, array_like=True, frozen=True):
    """`untouched`: the chance of a known item without an impression. `rows` int32 and `chances` float32, both little-endian: of
    the known items with impressions; 0 for those that have too many to be explored."""

    untouched: float
    rows: bytes
    chances: bytes
    newcomers: tuple[Newcomer, ...]
