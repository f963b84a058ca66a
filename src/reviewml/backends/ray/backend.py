"""RayBackend: a cluster of machines, or the cores of this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import ray

from reviewml.backends.local.backend import LocalBackend
from reviewml.backends.local.dataset import Scan
from reviewml.backends.ray import cluster, tune_trials, worker_pool
from reviewml.backends.ray.coordinator import Coordinator
from reviewml.backends.ray.dataset import Blocks, RayDataset
from reviewml.backends.ray.serving import Deployed, deploy
from reviewml.backends.ray.source import Partitions, PlaceRows, from_batches, read_by_ray
from reviewml.backends.ray.worker_pool import Concurrency, WorkerPool
from reviewml.data.backend import Backend, Capabilities, Outcome, Setting
from reviewml.data.dataset import Dataset, EnrichmentStep
from reviewml.data.source import Source
from reviewml.data.store import EnrichmentStore
from reviewml.data.training_executor import TrainingExecutor, check_executor
from reviewml.errors import ParameterError, suggest_names
from reviewml.operations.operation import BatchOperation
from reviewml.registries.base import Registry
from reviewml.rows.roles import Roles
from reviewml.stores.resolve import default_store
from reviewml.stores.shared import SharedStore

BLOCK_BYTES = 32 * 2**20
"""Size of a block as it is read: what one task holds in memory a few times over."""


class RayBackend(Backend):
    """Runs a pipeline on a Ray cluster, with the same code and the same results as here.

    Rows are read, enriched and scored in blocks that stream through the cluster, so they need
    not fit in its memory; their order is not kept, except that of a data frame.

    Parameters
    ----------
    address
        Of the cluster, as `ray.init` takes it; None takes the one that this process is connected
        to or that ``$RAY_ADDRESS`` names, and otherwise starts one on this machine.
    runtime_env
        What workers need besides, as Ray describes it, such as ``{"pip": ["my-plugin"]}``.
    resources
        What one worker of a step claims, by the step's name: ``num_cpus``, ``num_gpus``,
        ``memory`` and ``accelerator_type`` as in `ray.remote`, and its own ``concurrency`` and
        ``batch_size``. Fractions share a device. Such a step has workers of its own.
    concurrency
        How many workers load models: a number, or the fewest and the most. None lets them grow
        with the work, up to what the cluster has room for.
    store
        Where enrichers that say `stored` keep their values: a URL or a folder that all machines
        see, a store, or None for nowhere. ``"auto"`` is that of ``$REVIEWML_STORE``, nowhere
        when it is ``off``, and the store of this machine when it is not set: enough for a
        cluster of one machine, and refused where there are others.
    training
        Where models are trained: `RayTraining` for several workers together; None for the process
        that calls `fit`, which is faster as long as one machine holds the features.

    Examples
    --------
    >>> RayBackend(resources={"sentiment": {"num_gpus": 0.25}})
    RayBackend(resources={'sentiment': {'num_gpus': 0.25}})
    """

    name = "ray"
    capabilities = Capabilities(ordered=False)

    def __init__(
        self,
        *,
        address: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        resources: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: Concurrency = None,
        store: Literal["auto"] | str | os.PathLike[str] | EnrichmentStore | None = "auto",
        training: TrainingExecutor | None = None,
    ) -> None:
        self.address = address
        self.runtime_env = runtime_env
        self.resources = resources
        self.concurrency = concurrency
        self.store = store
        self.training = training

    def __repr__(self) -> str:
        # Neither an address nor an environment is shown: both may hold a secret.
        names = ("resources", "concurrency", "training")
        parameters = {name: getattr(self, name) for name in names}
        arguments = ", ".join(
            f"{n}={value!r}" for n, value in parameters.items() if value is not None
        )
        return f"RayBackend({arguments})"

    def check(self, steps: Mapping[str, EnrichmentStep]) -> None:
        super().check(steps)
        worker_pool.check(self.resources or {}, self.concurrency)
        step_names = [name for step in steps for name in _list_step_names(step, steps[step])]
        for name in self.resources or {}:
            if name not in step_names:
                raise ParameterError(
                    f"resources: no step {name!r}. {suggest_names(name, step_names)}"
                )

    def read(self, data: Any, roles: Roles = Roles()) -> RayDataset:
        if isinstance(data, ray.data.Dataset):
            data = self._read_ray_dataset(data)
        elif isinstance(data, Dataset) and not isinstance(data, RayDataset):
            data = self._put_rows(data)
        read = super().read(data, roles)
        assert isinstance(read, RayDataset)
        return read

    def scan(self, source: Source) -> RayDataset:
        schema = source.schema

        def make(_: Coordinator, task_cpus: float) -> Blocks:
            cluster.check_visible(source.local_paths())
            if source.at_hand:
                return _configure_blocks(
                    from_batches(Scan(source, schema)(), schema), keeps_order=True
                )
            way = source.ray_read()
            if way is not None:
                return _configure_blocks(read_by_ray(way, schema, task_cpus), keeps_order=False)
            partitions = Partitions(source, schema)
            blocks = ray.data.read_datasource(
                partitions, num_cpus=task_cpus, override_num_blocks=partitions.tasks
            )
            return _configure_blocks(blocks, keeps_order=False)

        return RayDataset(self, schema, make, rows=source.rows)

    def training_executor(self) -> TrainingExecutor:
        return check_executor(self.training)

    def try_each(
        self, trial: Callable[[Backend, Setting], Outcome], settings: Sequence[Setting]
    ) -> list[Outcome]:
        self.connect()
        # A trial is one process: a cluster within a cluster would wait for the one around it.
        return tune_trials.try_each(trial, settings, backend=LocalBackend(store=self.store))

    def scale(self, *, num_cpus: int = 0, num_gpus: int = 0, timeout: float = 600.0) -> None:
        """Have the cluster grow before work comes, where it has Ray's autoscaler.

        It does not shrink below that until it is asked for less; 0 leaves it to the load again.

        Parameters
        ----------
        num_cpus, num_gpus
            That all machines together shall have at least.
        timeout
            Seconds to wait for them.

        Raises
        ------
        BackendError
            When they have not come by then.
        """
        self.connect()
        cluster.request_scale(num_cpus, num_gpus, timeout)

    def serve(self, registry: Registry, reference: str, **options: Any) -> Deployed:
        """Serve a model on the cluster; see `reviewml.backends.ray.serving.deploy`.

        Parameters
        ----------
        registry, reference
            Where the model is, and which: ``"name@alias"``.
        options
            Those of `deploy`.
        """
        self.connect()
        return deploy(registry, reference, **options)

    def _read_ray_dataset(self, dataset: ray.data.Dataset) -> RayDataset:
        self.connect()
        rows = _configure_blocks(
            dataset, keeps_order=dataset.context.execution_options.preserve_order
        )
        placed = PlaceRows.of(rows)

        def make(_: Coordinator, task_cpus: float) -> Blocks:
            return rows.map_batches(
                placed, batch_size=None, batch_format="pyarrow", num_cpus=task_cpus
            )

        return RayDataset(self, placed.result, make)

    def _put_rows(self, rows: Dataset) -> RayDataset:
        schema = rows.full_schema

        def make(*_: Any) -> Blocks:
            return _configure_blocks(from_batches(rows.full_batches(), schema), keeps_order=True)

        return RayDataset(self, schema, make, rows=rows.rows)

    def connect(self) -> None:
        """Connect this process to the cluster, unless it is connected."""
        cluster.connect(self.address, self.runtime_env)

    def ledger(self) -> Coordinator:
        """Open the coordinator to which the workers of a computation report."""
        self.connect()
        return Coordinator.of(cluster.name_connection())

    def pool(self, operation: BatchOperation) -> WorkerPool:
        """Return the workers for a step, by what it declares and what the user said of it."""
        resources, stage = self.resources or {}, operation.name
        # A step within another goes by both names, such as "product.sentiment".
        options = resources.get(stage) or resources.get(stage.rpartition(".")[2])
        return WorkerPool.of(operation, options, self.concurrency)

    def enrichment_store(self) -> EnrichmentStore | None:
        """Open the store of values of enrichers, if there is one."""
        if self.store == "auto":
            return default_store()
        if self.store is None or isinstance(self.store, EnrichmentStore):
            return self.store
        return SharedStore(self.store)


def _list_step_names(name: str, step: EnrichmentStep) -> list[str]:
    inner = [inner for inner, _ in getattr(step, "enrichers", ())]
    return [name, *inner, *(f"{name}.{inner_name}" for inner_name in inner)]


def _configure_blocks(blocks: Blocks, *, keeps_order: bool) -> Blocks:
    # A copy has options of its own: neither the user's dataset nor the process is changed.
    settled = ray.data.Dataset.copy(blocks, _deep_copy=True)
    settled.context.target_max_block_size = BLOCK_BYTES
    settled.context.raise_original_map_exception = True
    settled.context.execution_options.preserve_order = keeps_order
    return settled
