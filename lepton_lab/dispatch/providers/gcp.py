"""Machines of Google Compute Engine."""

from __future__ import annotations

from typing import Any

from ...errors import Problem
from ...recipe.option import option
from .machines import MachineOptions, Machines


class GcpOptions(MachineOptions):
    """Compute Engine's own words."""

    project: str = option("", "Project that pays.")
    zone: str = option("us-east1-c", "Zone of the machines.")
    machine_type: str = option("n1-standard-4", "Machine type of the workers.")
    scheduler_machine_type: str = option("e2-medium", "Machine type of the scheduler.", advanced=True)
    gpus: int = option(0, "GPUs of each worker.", ge=0)
    gpu_type: str = option("nvidia-tesla-t4", "Kind of these GPUs.")
    network: str = option("default", "Network of the machines.", advanced=True)
    spot: bool = option(False, "Cheaper machines that may be taken away; runs go on from their last checkpoint.")


class Gcp(Machines):
    """Compute Engine."""

    name = "gcp"
    summary = "machines of Google Compute Engine"
    packages = ("dask_cloudprovider", "googleapiclient")
    options = GcpOptions
    environment = ("GOOGLE_*", "GCLOUD_*", "CLOUDSDK_*")
    cluster_class = "dask_cloudprovider.gcp:GCPCluster"
    example = "gcp --project my-project --image registry.example.org/lepton-lab:1 --gpus 1"

    def check(self, options: GcpOptions) -> list[Problem]:
        """A project there must be."""
        problems = super().check(options)
        if not options.project:
            do = "Set --project to one that you may start machines in."
            problems.append(Problem("Compute Engine needs a project", "none", do, where="resources.cluster"))
        return problems

    def arguments(self, options: GcpOptions) -> dict[str, Any]:
        """Of ``GCPCluster``."""
        return {
            "projectid": options.project,
            "zone": options.zone,
            "scheduler_machine_type": options.scheduler_machine_type,
            "worker_machine_type": options.machine_type,
            "scheduler_ngpus": 0,
            "worker_ngpus": options.gpus,
            "worker_gpu_type": options.gpu_type if options.gpus else None,
            "filesystem_size": options.disk_gb,
            "network": options.network,
            "preemptible": options.spot,
        }

    def has_gpu(self, options: GcpOptions) -> tuple[bool, bool]:
        """As asked; the scheduler needs none."""
        return False, options.gpus > 0

    def for_rendering(self, options: GcpOptions) -> dict[str, Any]:
        """An account that exists nowhere: the library signs in when its object is made."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        nobody = {"client_email": "nobody@example.org", "token_uri": "https://example.org", "private_key": key.decode()}
        return {"service_account_credentials": nobody}

    def machines(self, options: GcpOptions) -> dict[str, int]:
        """Workers, their GPUs and the scheduler."""
        found = {options.machine_type: options.workers}
        found[options.scheduler_machine_type] = found.get(options.scheduler_machine_type, 0) + 1
        if options.gpus:
            found[options.gpu_type] = options.gpus * options.workers
        return found
