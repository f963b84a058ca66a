"""Keeps the documentation true: its code runs, its reference is complete, its links lead on."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from threadpoolctl import threadpool_limits

import reviewml
from reviewml import cli, errors, plugins
from reviewml.plugins import hookspecs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
        *ROOT.glob("packages/*/README.md"),
    ]
)
MAKES_THE_FILES = DOCS / "how-to" / "index.md"
"""Its first block writes the files that the code of all pages reads."""

NOT_RUN = re.compile(r"Not run: (.{10,})")
NEEDS = re.compile(r"Needs reviewml\[([\w-]+)\]")
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
MOST_NOT_RUN = 3

DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
TOKEN = re.compile(rf"(\.\.\.|{DECIMAL.pattern}|\s+)")
CLOSE = 0.05
"""How far figures may move from one version of a library to the next."""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: what it is for stands in its title, where readers see it too."""

    page: Path
    line: int
    language: str
    title: str
    code: str

    @property
    def where(self) -> str:
        return f"{name(self.page)}:{self.line}"

    @property
    def missing_extra(self) -> bool:
        needed = NEEDS.fullmatch(self.title)
        modules = [m for m, extra in plugins.EXTRAS.items() if needed and extra == needed[1]]
        assert modules or not needed, f"{self.where}: there is no extra {self.title!r}"
        return any(importlib.util.find_spec(module) is None for module in modules)

    @property
    def is_file(self) -> bool:
        return bool(re.fullmatch(r"[\w./-]+\.\w+", self.title))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    return list(_blocks(page, page.read_text(encoding="utf-8")))


def _blocks(page: Path, text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        title = re.search(r'title="([^"]*)"', found[3])
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[2], title[1] if title else "", textwrap.dedent(found[4]))


@dataclasses.dataclass
class Session:
    """One reading of a page: its blocks in order, in one folder and one namespace."""

    folder: Path
    output: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        self.module = types.ModuleType("a_page")
        self.printed: str | None = None
        self.code = 0

    def read(self, page: Path) -> None:
        for block in blocks(page):
            if NOT_RUN.match(block.title) or block.missing_extra:
                self.printed = None
            elif block.is_file:
                self.write(block)
            elif block.language == "python":
                self.printed = self.execute(block)
            elif block.language == "console":
                self.type(block)
            elif block.title == "Output" and self.printed is not None:
                check(block, block.code, self.printed)

    def write(self, block: Block) -> None:
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
        importlib.invalidate_caches()

    def execute(self, block: Block) -> str:
        self.output.readouterr()
        # Empty lines before it, so that a traceback names the line of the page.
        code = compile("\n" * block.line + block.code, str(block.page), "exec")
        exec(code, vars(self.module))
        return self.output.readouterr().out

    def type(self, block: Block) -> None:
        for command, shown in commands(block):
            if command == "echo $?":
                check(block, shown, f"{self.code}\n")
            elif command.startswith("pip install --editable"):
                self.install(self.folder / command.split()[-1])
            elif command.startswith("python -m pytest"):
                self.test(command)
            elif command.startswith("reviewml"):
                result = CliRunner().invoke(cli.main, shlex.split(command, comments=True)[1:])
                self.code = result.exit_code
                assert self.code == 0 or "$ echo $?" in block.code, (
                    f"{block.where}: {command}\n" + (result.output or repr(result.exception))
                )
                if shown:
                    check(block, shown, result.output)

    def install(self, project: Path) -> None:
        """Do what an editable install comes to, without a network: paths and entry points."""
        described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        info = (
            self.folder / f"{described['name'].replace('-', '_')}-{described['version']}.dist-info"
        )
        info.mkdir()
        metadata = (
            f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
        )
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        points = described["entry-points"]["reviewml"].items()
        lines = ["[reviewml]", *(f"{point} = {module}" for point, module in points)]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        sys.path.insert(1, str(project / "src"))
        importlib.invalidate_caches()
        plugins.get_catalogue.cache_clear()

    def test(self, command: str) -> None:
        found = [part for part in sys.path if part.startswith(str(self.folder))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(found)}
        arguments = [sys.executable, *shlex.split(command)[1:], "-p", "no:cacheprovider"]
        ended = subprocess.run(arguments, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout
        assert "passed" in ended.stdout


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield what is typed after each ``$``, and what is shown below it."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, shown = part.replace("\\\n", " ").partition("\n")
        yield command.strip(), shown


def check(block: Block, shown: str, printed: str) -> None:
    """Compare what a page shows with what was printed: ``...`` stands for anything."""
    parts = TOKEN.split(shown.strip())
    found = re.fullmatch("".join(map(pattern, parts)), printed.strip(), re.DOTALL)
    assert found, f"{block.where} shows\n{shown}\nand it prints\n{printed}"
    expected = [float(part) for part in parts if DECIMAL.fullmatch(part)]
    for one, other in zip(expected, map(float, found.groups()), strict=True):
        assert one == pytest.approx(other, abs=CLOSE), f"{block.where} shows {one}, it is {other}"


def pattern(part: str) -> str:
    if part == "...":
        return ".*?"
    if DECIMAL.fullmatch(part):
        return f"({DECIMAL.pattern})"
    return r"\s+" if part.isspace() else re.escape(part)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    # Models do not depend on it, and threads that wait for each other's turn take minutes.
    importlib.import_module("xgboost")
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The files that pages read, and the names defined along with them."""
    folder = tmp_path_factory.mktemp("files")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(blocks(MAKES_THE_FILES)[0].code, names)
    return folder, names


@pytest.fixture
def session(
    request: pytest.FixtureRequest,
    made: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Session]:
    files, names = made
    if importlib.util.find_spec("transformers"):
        request.getfixturevalue("hub")
    for file in files.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    loaded = set(sys.modules)
    reading = Session(tmp_path, capsys)
    vars(reading.module).update(new_reviews=names["new_reviews"])
    monkeypatch.setitem(sys.modules, "a_page", reading.module)
    yield reading
    for module in set(sys.modules) - loaded:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]
    # Plugins that a page registered are gone with it, and so is the cluster that it started.
    plugins.get_catalogue.cache_clear()
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


# -- code -----------------------------------------------------------------------------------------

WITH_CODE = [page for page in PAGES if {"python", "console"} & {b.language for b in blocks(page)}]


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_the_code_of_a_page_runs(page: Path, session: Session) -> None:
    session.read(page)


def test_few_blocks_are_not_run() -> None:
    marked = [block for page in PAGES for block in blocks(page) if NOT_RUN.match(block.title)]
    assert len(marked) <= MOST_NOT_RUN, [block.where for block in marked]


def test_titles_are_known() -> None:
    for block in (block for page in PAGES for block in blocks(page) if block.title):
        known = NOT_RUN.fullmatch(block.title) or NEEDS.fullmatch(block.title) or block.is_file
        assert known or block.title == "Output", f"{block.where}: title {block.title!r}"


# -- reference ------------------------------------------------------------------------------------


def resolved(path: str) -> Any:
    module, _, attribute = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), attribute)


def if_installed(find: Callable[[], Any]) -> Any:
    """Return what is found; None where that needs an extra that is not installed."""
    try:
        return find()
    except ImportError as error:
        if (error.name or "").partition(".")[0] in plugins.EXTRAS:
            return None
        raise


@pytest.fixture(scope="module")
def reference() -> list[Any]:
    """Everything that the reference shows, and the members of modules it shows whole."""
    shown: list[Any] = []
    for page in (DOCS / "reference").glob("*.md"):
        for path in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            found = if_installed(functools.partial(resolved, path))
            if found is None:
                continue
            inside = vars(found).values() if inspect.ismodule(found) else ()
            shown += [found, *inside]
    return shown


PUBLIC = {
    "reviewml",
    "reviewml.backends",
    "reviewml.datasets",
    "reviewml.enrichers",
    "reviewml.evaluation",
    "reviewml.explanation",
    "reviewml.featurizers",
    "reviewml.forms",
    "reviewml.insight",
    "reviewml.interfaces",
    "reviewml.models",
    "reviewml.operations",
    "reviewml.plugins",
    "reviewml.registries",
    "reviewml.report",
    "reviewml.serve",
    "reviewml.sources",
    "reviewml.stores",
    "reviewml.testing",
    "reviewml.trainers",
}


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_public_names_are_in_the_reference(module: str, reference: list[Any]) -> None:
    home = importlib.import_module(module)
    every = {name: if_installed(functools.partial(getattr, home, name)) for name in home.__all__}
    public = {name: value for name, value in every.items() if value is not None}
    missing = [public for public, value in public.items() if not any(value is r for r in reference)]
    assert not missing


def test_public_modules_are_all_looked_at() -> None:
    below = [f"reviewml.{module.name}" for module in pkgutil.iter_modules(reviewml.__path__)]
    # Importing `__main__` would run the command.
    modules = [importlib.import_module(module) for module in below if "__main__" not in module]
    inner = {"reviewml.cli", "reviewml.saving", "reviewml.untrusted"}
    assert {m.__name__ for m in modules if hasattr(m, "__all__")} - inner <= PUBLIC


@pytest.mark.parametrize(
    "entry",
    [
        e
        for e in plugins.get_catalogue().entries()
        if e.package == "reviewml" and e.kind != "commands"
    ],
    ids=lambda entry: f"{entry.kind}-{entry.name}",
)
def test_registered_components_are_in_the_reference(
    entry: plugins.Entry, reference: list[Any]
) -> None:
    if entry.missing_extra():
        pytest.skip(f"needs {entry.missing_extra()}")
    assert entry.load() in [shown for shown in reference if inspect.isclass(shown)]


def test_all_errors_are_in_the_reference(reference: list[Any]) -> None:
    raised = [
        e for _, e in inspect.getmembers(errors, inspect.isclass) if e.__module__ == errors.__name__
    ]
    assert raised
    assert all(any(error is shown for shown in reference) for error in raised)


# -- hooks and verbs ------------------------------------------------------------------------------


def sections(page: Path, level: int) -> dict[str, str]:
    """Return the text below each heading of a level, code in headings without its marks."""
    text = page.read_text(encoding="utf-8")
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return {
        title.replace("`", ""): body for title, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def signature(function: Any) -> str:
    # Annotations are kept as text, which a signature shows in quotes.
    return str(inspect.signature(function)).replace("'", "")


def hooks() -> list[Any]:
    return [
        hook
        for named, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if named.startswith("register_")
    ]


def test_there_is_a_hook_for_each_kind() -> None:
    assert {hook.__name__ for hook in hooks()} == {f"register_{kind}" for kind in plugins.KINDS}


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook.__name__)
def test_hooks_are_documented_with_signature_and_example(hook: Any) -> None:
    found = sections(DOCS / "plugin-hooks.md", 2)
    heading = f"{hook.__name__}{signature(hook)}"
    assert heading in found
    assert re.search(rf"^def {hook.__name__}\(", found[heading], re.MULTILINE)


def test_the_callback_of_hooks_is_documented() -> None:
    text = (DOCS / "plugin-hooks.md").read_text(encoding="utf-8")
    assert f"register{signature(hookspecs.Register.__call__).replace('self, ', '')}" in text


@pytest.mark.parametrize("verb", [e.name for e in plugins.get_catalogue().entries("commands")])
def test_verbs_and_their_options_are_documented(verb: str) -> None:
    found = sections(DOCS / "how-to" / "command-line.md", 2)
    text = "".join(
        f"`{title}`{body}" for title, body in found.items() if f"reviewml {verb}" in title
    )
    command = plugins.load("commands", verb)
    below = command.commands.values() if isinstance(command, click.Group) else ()
    assert [sub.name for sub in below if f"`reviewml {verb} {sub.name}" not in text] == []
    params = [param for each in (command, *below) for param in each.params]
    options = [o for o in params if isinstance(o, click.Option) and "--json" not in o.opts]
    common = found["Options that verbs share"]
    assert [o.opts[0] for o in options if f"`{o.opts[0]}" not in text + common] == []
    assert re.search(rf"^\$ reviewml {verb}\b", text, re.MULTILINE), "show how it is typed"


# -- links ----------------------------------------------------------------------------------------

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles
    }
    return slugs | set(re.findall(r"^::: ([\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name(page)}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name(page)}: {target}"
