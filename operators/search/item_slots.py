"""Small integers for item ids: what the index, the vectors and the rankings know an item by."""

from collections.abc import Iterator

from operators.records.contracts import CatalogueItem


class ItemSlots:
    """Item id <-> slot, and the item of each slot. A slot that became free is given to the next item."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._items: list[CatalogueItem | None] = []
        self._free: list[int] = []

    def put(self, item: CatalogueItem) -> tuple[int, CatalogueItem | None]:
        """The slot of an item, and the item that it replaces."""
        slot = self._slots.get(item.item_id)
        if slot is None:
            if self._free:
                slot = self._free.pop()
            else:
                slot = len(self._items)
                self._items.append(None)
            self._slots[item.item_id] = slot
        old, self._items[slot] = self._items[slot], item
        return slot, old

    def remove(self, item_id: str) -> tuple[int, CatalogueItem] | None:
        """Frees the slot of an item; None if it has none."""
        slot = self._slots.pop(item_id, None)
        if slot is None or (old := self._items[slot]) is None:
            return None
        self._items[slot] = None
        self._free.append(slot)
        return slot, old

    def slot(self, item_id: str) -> int | None:
        """The slot of an item."""
        return self._slots.get(item_id)

    def item(self, slot: int) -> CatalogueItem | None:
        """The item of a slot."""
        return self._items[slot] if slot < len(self._items) else None

    def __iter__(self) -> Iterator[CatalogueItem]:
        return (item for item in [*self._items] if item is not None)

    def __len__(self) -> int:
        return len(self._slots)
