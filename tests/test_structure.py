"""What keeps the tree readable: no circles, small folders, files and functions. Layers are `lint-imports`' (pyproject.toml)."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.places import ROOT

PRODUCT = ("liveshelf", "benchmarks", "pipelines", "storefront", "model_export", "deploy", "operators")
FILES = sorted(file.relative_to(ROOT) for top in (*PRODUCT, "tests") for file in (ROOT / top).rglob("*.py"))
HOLD_ROOMS = {file.parent.parent for file in FILES}
FILES_IN_FOLDER, LINES_OF_FILE, LINES_OF_FUNCTION = 15, 300, 60


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def module_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


@cache
def file_graph() -> dict[Path, set[Path]]:
    """File -> the files that it imports, inside functions too."""
    files = {module_of(file): file for file in FILES}
    graph: dict[Path, set[Path]] = {}
    for file in FILES:
        names = set[str]()
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= imported & files.keys() or {node.module}
        graph[file] = {files[name] for name in names if name in files} - {file}
    return graph


def room_of(file: Path) -> Path:
    """The folder of a file; a file that lies beside rooms counts by itself."""
    return file if file.parent in HOLD_ROOMS else file.parent


def circle(graph: dict[Path, set[Path]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(place) for place in error.args[1]]
    return []


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circle(file_graph()) == []


def test_no_room_imports_itself_by_way_of_others() -> None:
    rooms = defaultdict[Path, set[Path]](set)
    for file, imported in file_graph().items():
        rooms[room_of(file)] |= {room_of(other) for other in imported} - {room_of(file)}
    assert circle(rooms) == []


def test_a_circle_is_found() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert sorted(set(circle({a: {b}, b: {c}, c: {b}}))) == ["b", "c"]


@cache
def names_in(file: Path) -> set[str]:
    """What a file defines, binds or imports, outside its functions and classes."""
    names, open_nodes = set[str](), list[ast.AST](tree(file).body)
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        open_nodes.extend(ast.iter_child_nodes(node))
    return names


def imports_of(file: Path) -> Iterator[ast.ImportFrom]:
    """The `from` imports of a file, and those of programs that it holds as text."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for line in re.findall(
                r"^from [\w.]+ import \w+(?: as \w+)?(?:, \w+(?: as \w+)?)*$", node.value, re.MULTILINE
            ):
                yield from (held for held in ast.parse(line).body if isinstance(held, ast.ImportFrom))


def test_what_is_imported_is_there() -> None:
    """Imports inside functions run only when their verb does, those of a program in a text only in its process."""
    files = {module_of(file): file for file in FILES}
    missing = [
        f"{file}: {node.module}.{alias.name}"
        for file in FILES
        for node in imports_of(file)
        if node.module and node.module.split(".")[0] in (*PRODUCT, "tests")
        for alias in node.names
        if f"{node.module}.{alias.name}" not in files
        if node.module not in files or alias.name not in names_in(files[node.module])
    ]
    assert missing == []


def test_a_folder_holds_few_files() -> None:
    files = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert {str(folder): count for folder, count in files.items() if count > FILES_IN_FOLDER} == {}


def test_a_file_is_short() -> None:
    lines = {str(file): len((ROOT / file).read_text().splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > LINES_OF_FILE} == {}


@pytest.mark.parametrize("top", PRODUCT)
def test_a_function_is_short(top: str) -> None:
    """Without its signature, which for a verb lists the options."""
    long = {
        f"{file}: {node.name}": lines
        for file in FILES
        if file.parts[0] == top
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or 0) - node.body[0].lineno + 1) > LINES_OF_FUNCTION
    }
    assert long == {}
