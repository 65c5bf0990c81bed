from benchmarks.running_stack.first_minute import Spells


def test_a_list_belongs_to_the_spell_of_its_event() -> None:
    spells = Spells(5)
    for second, freshness_us in ((0, 90_000), (4, 80_000), (5, 10_000), (59, 10_000), (61, 10_000)):
        spells.record(1_760_000_000_000 + 1000 * second, freshness_us)
    rows = spells.rows()
    assert [(row["from_s"], row["lists"]) for row in rows] == [(0, 2), (5, 1), (55, 1), (60, 1)]
    assert rows[0]["max"] > 80
    assert spells.minute_us.get_total_count() == 4
