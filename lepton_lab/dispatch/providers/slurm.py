"""SLURM jobs, through dask-jobqueue."""

from __future__ import annotations

from typing import Any

from .jobqueue import JobOptions, JobQueue


class Slurm(JobQueue):
    """Jobs submitted with sbatch."""

    name = "slurm"
    summary = "jobs of a SLURM site"
    cluster_class = "SLURMCluster"
    submit_command = "sbatch"
    example = "slurm --queue gpu --gpus 1 --cores 8 --memory 32GB --walltime 08:00:00 --workers 4"

    def own_arguments(self, options: JobOptions) -> dict[str, Any]:
        """SLURM's account."""
        return {"account": options.account}

    def gpu_directives(self, options: JobOptions) -> list[str]:
        """Generic resources."""
        return [f"--gres=gpu:{options.gpus}"] if options.gpus else []
