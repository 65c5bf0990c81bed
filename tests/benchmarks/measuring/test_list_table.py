import pytest

from benchmarks.measuring.list_table import ITEMS, cpu_us, list_records
from operators.kafka_io.list_outlines import OutlineRows
from operators.kafka_io.list_rows import ListRows, OrderedRows, decode_list, order_of


def test_the_records_are_lists_with_the_header_of_their_order() -> None:
    for record in list_records(3):
        slate = decode_list(record.value, record.key)
        assert (slate.epoch, slate.version) == order_of(record.headers)
        assert len(slate.items) == ITEMS


@pytest.mark.parametrize("rule", [ListRows(), OutlineRows()])
def test_the_table_takes_every_record(rule: OrderedRows) -> None:
    assert cpu_us(rule, list_records(100)) > 0
