"""Stacks are made readable before they become pictures."""

from benchmarks.pages.flames import by_thread, main_thread


def test_threads_are_named_and_machines_are_not() -> None:
    stacks = (
        "[refresh -> DataStreamToTable -> x tid=17];java/lang/Thread.run;Task$$Lambda$11.0x00007f42.run;/a/b/librocksdb.so 12\n"
        "[GC Thread#1 tid=3];clone3 2\n"
    )
    assert by_thread(stacks) == (
        "task thread;java/lang/Thread.run;Task$$Lambda.run;librocksdb.so 12\nothers;clone3 2\n"
    )


def test_of_the_scorer_only_its_loop_is_kept() -> None:
    stacks = (
        "0x7f (libc.so.6);main (pipelines/scoring/main.py:126);serve (pipelines/scoring/main.py:113);0x7a (x.so);run 5\n"
        "_end_with_the_operator (pipelines/scoring/main.py:9);read 7\n"
    )
    assert main_thread(stacks) == "serve (pipelines/scoring/main.py:113);(x.so);run 5\n"
