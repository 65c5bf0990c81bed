from benchmarks.kernel.feedback_join import SIZE, costs


def test_each_input_has_its_cost_and_the_window_writes_all_examples() -> None:
    found = {cost.name: cost for cost in costs(rounds=1, calls=1)}
    assert all(cost.cpu_us >= 0 and cost.state_bytes for cost in found.values())
    writes = found[f"click window closes: {SIZE} examples"].example_bytes
    assert writes > 15 * found["purchase: a correction"].example_bytes > 0
    assert found["list served; 8 lists wait"].state_bytes > found["list served; 0 lists wait"].state_bytes
