"""The components reviewml comes with, registered through the same hooks as any plugin."""

from __future__ import annotations

from reviewml.plugins.hookspecs import Register, hookimpl


@hookimpl
def register_sources(register: Register) -> None:
    register("files", "reviewml.sources.files:Files")
    register("frame", "reviewml.sources.frame:Frame")
    register("table", "reviewml.sources.table:Table")
    for name, target in (
        ("snowflake-table", "tables:SnowflakeTable"),
        ("snowflake-query", "tables:SnowflakeQuery"),
        ("snowflake-stage", "stage:SnowflakeStage"),
    ):
        register(name, f"reviewml.backends.snowflake.sources.{target}", needs=["snowflake"])


@hookimpl
def register_enrichers(register: Register) -> None:
    register("language", "reviewml.enrichers.language:Language")
    register("sentiment", "reviewml.enrichers.sentiment.sentiment:Sentiment")
    register("aspects", "reviewml.enrichers.aspects.aspects:Aspects")
    register("review-history", "reviewml.enrichers.history.review_history:ReviewHistory")
    register("quality", "reviewml.enrichers.quality:Quality")
    # It needs torch only where its teacher or its student does.
    register("cascade", "reviewml.enrichers.cascade.cascade:Cascade")
    for name in ("sentiment", "classify", "translate"):
        register(f"cortex-{name}", f"reviewml.enrichers.cortex:Cortex{name.title()}")
    for name, target in (
        ("zero-shot", "zero_shot:ZeroShot"),
        ("transformer-sentiment", "sentiment:TransformerSentiment"),
        ("embedding-zero-shot", "embedding_zero_shot:EmbeddingZeroShot"),
    ):
        register(name, f"reviewml.enrichers.transformers.{target}", needs=["torch", "transformers"])


@hookimpl
def register_featurizers(register: Register) -> None:
    register("features", "reviewml.featurizers.features:Features")


@hookimpl
def register_trainers(register: Register) -> None:
    register("xgboost", "reviewml.trainers.xgboost:XGBoost")
    register("logistic-regression", "reviewml.trainers.logistic:LogisticRegression")


@hookimpl
def register_models(register: Register) -> None:
    register("xgboost", "reviewml.models.booster:BoosterModel")
    register("linear", "reviewml.models.linear:LinearModel")


@hookimpl
def register_registries(register: Register) -> None:
    register("local", "reviewml.registries.local:LocalRegistry")
    register("shared", "reviewml.registries.shared:SharedRegistry")
    register("mlflow", "reviewml.registries.mlflow:MlflowRegistry", needs=["mlflow"])
    register(
        "snowflake",
        "reviewml.backends.snowflake.registry.registry:SnowflakeRegistry",
        needs=["snowflake"],
    )


@hookimpl
def register_backends(register: Register) -> None:
    register("local", "reviewml.backends.local.backend:LocalBackend")
    register("ray", "reviewml.backends.ray.backend:RayBackend", needs=["ray"])
    register(
        "snowflake", "reviewml.backends.snowflake.backend:SnowflakeBackend", needs=["snowflake"]
    )


@hookimpl
def register_commands(register: Register) -> None:
    for verb in (
        "bench",
        "demo",
        "enrich",
        "evaluate",
        "explain",
        "fit",
        "models",
        "plan",
        "plugins",
        "predict",
        "serve",
        "snowflake",
        "store",
    ):
        register(verb, f"reviewml.cli.{verb}:{verb}")
