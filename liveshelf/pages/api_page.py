"""docs/python.md from the docstrings: `python -m liveshelf.pages.api_page docs/python.md` (`make reference`).

It reads source files and imports none of them: the page is the same on every machine, with torch or without.
"""

import ast
import re
import sys
from pathlib import Path
from textwrap import dedent

HEAD = """# Python API

Made by `make reference` from the code. What is not on this page may change without notice.
"""
# title -> source files, and the names to show (empty: every public name)
SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Client": ("liveshelf/client.py", ()),
    "Records": ("operators/records/contracts.py", ()),
    "User state": ("operators/shopper/user_state.py", ("StepResult", "step")),
    "Lists": ("operators/lists/*.py", ()),
    "Experiments": ("operators/experiments/plan.py", ()),
    "Layers of experiments": ("operators/experiments/layers.py", ()),
    "Reports on experiments": ("operators/experiments/report.py", ()),
    "Interleaving": ("operators/experiments/interleaving.py", ()),
    "Off-policy estimates": ("operators/experiments/off_policy.py", ()),
    "Errors": ("operators/errors.py", ()),
}
ROOT = Path(__file__).resolve().parents[2]
TREE = re.compile(r"(?:^.+\n)?(?:^[├└│].*\n?)+", re.MULTILINE)  # a drawn tree with its root line
FOR_TOOLS = re.compile(r"  # (?:type|fmt|noqa):.*")

Definition = ast.ClassDef | ast.FunctionDef


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, (pattern, names) in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_module(path, names) for path in sorted(ROOT.glob(pattern)) if path.name != "__init__.py"]
    return "".join(parts)


def _module(path: Path, names: tuple[str, ...]) -> str:
    source = path.read_text()
    tree, lines = ast.parse(source), source.splitlines()
    parts = [f"\n### {'.'.join(path.relative_to(ROOT).with_suffix('').parts)}\n", _prose(tree)]
    public = [node for node in tree.body if (_name(node) in names if names else _is_public(node))]
    if constants := [_text(lines, node) for node in public if not isinstance(node, Definition)]:
        parts.append(_code(constants))
    for node in public:
        if isinstance(node, Definition):
            parts += [f"\n#### {node.name}\n", *(_class if isinstance(node, ast.ClassDef) else _function)(lines, node)]
    return "".join(parts)


def _class(lines: list[str], node: ast.ClassDef) -> list[str]:
    fields = [_text(lines, child) for child in node.body if isinstance(child, ast.AnnAssign) and _is_public(child)]
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    start = [child for child in methods if child.name == "__init__"]
    parts = [_code([_head(lines, node), *fields, *(_head(lines, child) for child in start)])]
    parts += map(_prose, (node, *start))
    for child in filter(_is_public, methods):
        parts += _function(lines, child)
    return parts


def _function(lines: list[str], node: ast.FunctionDef) -> list[str]:
    return [_code([_head(lines, node)]), _prose(node)]


def _name(node: ast.stmt) -> str:
    """The name that a statement defines, or ""."""
    if isinstance(node, Definition):
        return node.name
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    return target.id if isinstance(target, ast.Name) else ""


def _is_public(node: ast.stmt) -> bool:
    name = _name(node)
    if isinstance(node, ast.Assign):
        return name[:1].isupper()  # a constant or a type, not a logger
    return name not in ("", "main") and not name.startswith("_")


def _head(lines: list[str], node: Definition) -> str:
    """The source from the first decorator to the colon, as its author laid it out."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(lines[first - 1 : max(node.lineno, node.body[0].lineno - 1)])


def _text(lines: list[str], node: ast.stmt) -> str:
    return "\n".join(lines[node.lineno - 1 : node.end_lineno])


def _code(blocks: list[str]) -> str:
    return f"\n```python\n{FOR_TOOLS.sub('', dedent(chr(10).join(blocks)))}\n```\n"


def _prose(node: ast.Module | Definition) -> str:
    text = ast.get_docstring(node)
    return f"\n{TREE.sub(_fenced, text).rstrip()}\n" if text else ""


def _fenced(tree: re.Match[str]) -> str:
    return f"```text\n{tree[0].rstrip()}\n```\n"


def main() -> None:
    """Writes the page."""
    Path(sys.argv[1]).write_text(page())


if __name__ == "__main__":
    main()
