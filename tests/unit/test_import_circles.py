"""No module of the package imports itself through others."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import plivo_nb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(plivo_nb.__file__).parent
Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """The name and file of each module of the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    """Whether the node is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST, *, late: bool = False) -> Iterator[tuple[bool, ast.Import | ast.ImportFrom]]:
    """The imports that are executed, each with whether a function does it (a late import)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield late, node
        elif is_type_checking(node):
            assert isinstance(node, ast.If)
            for other in node.orelse:
                yield from imports(ast.Module([other], []), late=late)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, late=late or inside)


def targets(node: ast.Import | ast.ImportFrom, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of the package that an import loads by name."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        assert node.level == 0, "imports of this package are absolute"
        base = node.module or ""
        names = [
            name
            if (name := f"{base}.{alias.name}") in known
            else base  # a submodule, or a name in the module
            for alias in node.names
        ]
    yield from (name for name in names if name in known)


def graph(files: Mapping[str, Path], *, late: bool) -> Graph:
    """Which module imports which: when it is loaded, or (late) inside a function."""
    edges: Graph = defaultdict(set)
    for name, path in files.items():
        for is_late, node in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if is_late == late:
                edges[name].update(target for target in targets(node, files) if target != name)
    return edges


def circles(edges: Graph) -> list[list[str]]:
    """The strongly connected components with more than one module (Kosaraju's algorithm)."""
    backwards: Graph = defaultdict(set)
    for name, others in list(edges.items()):
        for other in others:
            backwards[other].add(name)

    def visit(start: str, along: Graph, seen: set[str]) -> list[str]:
        order, stack = [], [(start, iter(sorted(along.get(start, ()))))]
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                order.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(along.get(following, ())))))
        return order

    seen: set[str] = set()
    finished = [done for name in sorted(edges) if name not in seen for done in visit(name, edges, seen)]
    seen = set()
    components = [sorted(visit(name, backwards, seen)) for name in reversed(finished) if name not in seen]
    return [component for component in components if len(component) > 1]


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_type_only_and_late_imports_are_told_apart() -> None:
    code = """
import plivo_nb.sip
if TYPE_CHECKING:
    import plivo_nb.engine
else:
    import plivo_nb.media
def draw():
    import plivo_nb.analysis
"""
    found = [(late, node.names[0].name) for late, node in imports(ast.parse(code))]
    assert found == [(False, "plivo_nb.sip"), (False, "plivo_nb.media"), (True, "plivo_nb.analysis")]


def test_no_modules_import_each_other_when_they_are_loaded() -> None:
    assert circles(graph(modules(), late=False)) == []


def test_late_imports_close_no_circle() -> None:
    files = modules()
    early, late = graph(files, late=False), graph(files, late=True)
    both = {name: early.get(name, set()) | late.get(name, set()) for name in files}
    assert circles(both) == [], f"late imports: { {name: sorted(late[name]) for name in sorted(late)} }"
