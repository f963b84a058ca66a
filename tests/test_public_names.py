"""What is public: the names of these modules, and nothing else.

A name that is missing here was renamed or taken away: users import it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import reviewml

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)

PUBLIC = {
    "reviewml": """
        Dataset Enricher Featurizer Files Frame LocalRegistry LocalStore MlflowRegistry Model
        Pipeline Registry SharedRegistry SharedStore SnowflakeQuery SnowflakeRegistry
        SnowflakeStage SnowflakeTable Source Table Trainer hookimpl load tune
    """,
    "reviewml.backends": "LocalBackend RayBackend SnowflakeBackend",
    "reviewml.backends.ray": "RayBackend RayTraining deploy",
    "reviewml.backends.snowflake": """
        JobTraining RuntimeTraining SnowflakeBackend SnowflakeQuery SnowflakeRegistry
        SnowflakeStage SnowflakeStore SnowflakeTable jobs
    """,
    "reviewml.backends.snowflake.jobs": "ComputePool Job JobTraining delete_failed list submit",
    "reviewml.datasets": "LANGUAGES Shop make_reviews make_shop",
    "reviewml.enrichers": """
        Aspects Cascade CortexClassify CortexSentiment CortexTranslate EmbeddingZeroShot Language
        Probabilities Quality ReviewHistory Sentiment TextClassifier TransformerSentiment ZeroShot
    """,
    "reviewml.evaluation": """
        Ablation Bootstrap CalibrationBin Estimate Evaluation Segment Split evaluate folds
        holdout paired_difference stable_hash
    """,
    "reviewml.explanation": "ColumnPart Explanation FeaturePart RowExplanation",
    "reviewml.featurizers": "Features",
    "reviewml.forms": """
        Anything Array ByName Choice Each Fields Flag Form Instance MOST_COUNT Maybe OneOrSeveral
        Pair Real Text Whole WrongForm
    """,
    "reviewml.insight": "Insight strengths_and_weaknesses",
    "reviewml.interfaces": """
        ANSWER API_VERSION Backend Call Capabilities Component Dataset Enricher Enrichment
        EnrichmentStore Event Examples Feature Featurizer Model ModelVersion Partition Price
        RayRead Registry Resources Roles Shelf ShelfSummary Source SqlEnricher Target Trainer
        TrainingExecutor Window as_dataset roles_of visible with_bookkeeping with_roles
    """,
    "reviewml.models": "BoosterModel LinearModel",
    "reviewml.operations": """
        AggregateGroups AsOf BatchOperation Count DropDuplicates FailOnError Filter GroupBy Join
        Label Limit Map Max Mean Min Operation Relation Sample Select Share Sum
    """,
    "reviewml.plugins": """
        API_VERSION Catalogue EXTRAS Entry KINDS get_catalogue hookimpl load missing optional
    """,
    "reviewml.registries": "LocalRegistry MlflowRegistry SharedRegistry",
    "reviewml.report": "write_report",
    "reviewml.serve": "Limits configure_server create_app",
    "reviewml.sources": "Files Frame Table",
    "reviewml.stores": "LocalStore SharedStore",
    "reviewml.testing": """
        BackendContract EnricherContract FeaturizerContract RegistryContract SourceContract
        SqlEnricherContract StoreContract TrainerContract
    """,
    "reviewml.trainers": "LogisticRegression XGBoost",
}
WHOLE_MODULES = {
    "reviewml.errors",
    "reviewml.plugins.hookspecs",
    "reviewml.rows.expressions",
    "reviewml.rows.statistics",
    "reviewml.testing.snowflake",
}
"""Modules all of whose names without an underscore are public."""


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module: str) -> None:
    if module.startswith("reviewml.backends.snowflake.jobs"):
        pytest.importorskip("snowflake")
    assert sorted(importlib.import_module(module).__all__) == PUBLIC[module].split()


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_can_be_imported(module: str) -> None:
    if module.startswith("reviewml.backends.snowflake.jobs"):
        pytest.importorskip("snowflake")
    package = importlib.import_module(module)
    for name in PUBLIC[module].split():
        try:
            assert getattr(package, name) is not None
        except reviewml.errors.MissingExtra as error:
            pytest.skip(str(error))


def list_examples() -> list[tuple[str, str]]:
    """List the Python of the documentation and of the examples, with where it stands."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [
        (f"{page.relative_to(ROOT)}", "\n".join(code.removeprefix(indent) for code in lines))
        for page in pages
        for indent, block in FENCE.findall(page.read_text(encoding="utf-8"))
        for lines in [block.splitlines()]
    ]
    scripts = [
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in (ROOT / "examples").rglob("*.py")
    ]
    return blocks + scripts


def test_examples_import_public_names_alone() -> None:
    internal = [
        f"{place}: from {node.module} import {alias.name}"
        for place, code in list_examples()
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "reviewml"
        for alias in node.names
        if not is_public(str(node.module), alias.name)
    ]
    assert internal == []


def is_public(module: str, name: str) -> bool:
    whole = module in WHOLE_MODULES and not name.startswith("_")
    return whole or f"{module}.{name}" in WHOLE_MODULES or name in PUBLIC.get(module, "").split()


def test_modules_named_as_public_exist() -> None:
    modules = {module.name for module in pkgutil.walk_packages(reviewml.__path__, "reviewml.")}
    assert {*PUBLIC, *WHOLE_MODULES} - {"reviewml"} <= modules
