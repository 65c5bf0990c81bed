import pytest

from benchmarks.experiments.__main__ import main


def test_every_table_has_rows(capsys: pytest.CaptureFixture[str]) -> None:
    main(runs=2)
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert len(tables) == 12  # a title and its rows
    for rows in tables[1::2]:
        head, _, *body = rows.splitlines()
        assert body
        assert all(row.count("|") == head.count("|") for row in body)
