"""Pods of a Kubernetes cluster that runs Dask's operator, through dask-kubernetes.

The operator speaks plain TCP to the scheduler, so TLS cannot be had between the pods. The scheduler gets no
address outside; this machine reaches it through the API server's own TLS, and a network policy keeps other pods
out where the cluster enforces such policies. Because that is a promise of somebody else's network, it is asked
for by name, like any other connection without TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ...errors import Problem
from ...recipe.option import option
from .connection import PlainOptions, check_plain
from .provider import LiveCluster, Provider, StartedOptions
from .started import finished, name_of

_OPERATOR = {"app.kubernetes.io/name": "dask-kubernetes-operator"}


class KubernetesOptions(StartedOptions, PlainOptions):
    """Pods: what they run and what they ask for."""

    image: str = option("", "Container image with this package, the same for the scheduler and the workers.")
    namespace: str = option("default", "Namespace of the pods.")
    cores: int = option(4, "Cores of each worker.", ge=1)
    memory: str = option("16Gi", "Memory of each worker, as Kubernetes writes it.")
    gpus: int = option(0, "GPUs of each worker.", ge=0)
    leave_seconds: int = option(
        120, "Time a pod has to let its run save when it is told to go.", ge=1, advanced=True, le=3600
    )


class Kubernetes(Provider):
    """A ``DaskCluster`` resource, deleted when idle."""

    name = "kubernetes"
    summary = "pods of a Kubernetes cluster with Dask's operator"
    extra = "kubernetes"
    packages = ("dask_kubernetes",)
    options = KubernetesOptions
    start_seconds = 600.0
    paid_by = "whoever pays for the Kubernetes cluster's nodes; their prices are not known here"
    environment = ("KUBECONFIG", "KUBERNETES_*")
    example = "kubernetes --image registry.example.org/lepton-lab:1 --gpus 1 --workers 2 --allow-plain-tcp"

    def check(self, options: KubernetesOptions) -> list[Problem]:
        """An image there must be; plain TCP between pods must be agreed to."""
        problems = check_plain("the operator's plain TCP between the pods", False, options)
        if not options.image:
            do = "Set --image to one that has this package; docs/clusters.md shows how to make it."
            problems.append(Problem("pods need an image", "none", do, where="resources.cluster"))
        return problems

    async def open(self, options: KubernetesOptions) -> LiveCluster:
        """Create the resources, or find those of an agent that died."""
        from dask_kubernetes.operator import KubeCluster
        from kr8s.asyncio.objects import NetworkPolicy

        spec, policy = self._resources(options)
        wall = await NetworkPolicy(policy, namespace=options.namespace)
        if not await wall.exists():
            await wall.create()
        cluster = await KubeCluster(
            custom_cluster_spec=spec,
            namespace=options.namespace,
            shutdown_on_close=False,
            asynchronous=True,
            quiet=True,
        )
        return _Pods(cluster, wall)

    def render(self, options: KubernetesOptions) -> str:
        """The manifest; ``kubectl apply -f -`` takes it."""
        return yaml.safe_dump_all(self._resources(options), sort_keys=False)

    def _resources(self, options: KubernetesOptions) -> tuple[dict[str, Any], dict[str, Any]]:
        name = name_of(self.name, options)
        return cluster_spec(options, name), network_policy(options, name)


def cluster_spec(options: KubernetesOptions, name: str) -> dict[str, Any]:
    """The operator's ``DaskCluster``, by the library's own template."""
    from dask_kubernetes.operator import make_cluster_spec

    spec: dict[str, Any] = make_cluster_spec(
        name=name,
        image=options.image,
        n_workers=options.workers,
        worker_command="dask worker",
        idle_timeout=int(60 * options.idle_minutes),
    )
    spec["metadata"]["namespace"] = options.namespace
    asked = {"cpu": str(options.cores), "memory": options.memory}
    gpus = {"nvidia.com/gpu": str(options.gpus)} if options.gpus else {}
    # The template would give the scheduler what the workers get, GPUs too.
    resources = {"worker": {"requests": dict(asked), "limits": {**asked, **gpus}},
                 "scheduler": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}}  # fmt: skip
    for role, wish in resources.items():
        pod = spec["spec"][role]["spec"]
        pod["automountServiceAccountToken"] = False  # a job has no business with the API server
        [container] = pod["containers"]
        container["resources"] = wish
        container["env"] = []
        container["securityContext"] = {"allowPrivilegeEscalation": False}
    spec["spec"]["worker"]["spec"]["terminationGracePeriodSeconds"] = options.leave_seconds
    return spec


def network_policy(options: KubernetesOptions, name: str) -> dict[str, Any]:
    """Only this cluster's pods and the operator reach this cluster's pods."""
    label = "dask.org/cluster-name"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": options.namespace},
        "spec": {
            "podSelector": {"matchLabels": {label: name}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {"matchLabels": {label: name}}},
                        {"namespaceSelector": {}, "podSelector": {"matchLabels": _OPERATOR}},
                    ]
                }
            ],
        },
    }


@dataclass(frozen=True)
class _Pods:
    cluster: Any
    wall: Any
    certificates: None = None

    @property
    def address(self) -> str:
        return str(self.cluster.scheduler_address)  # of a port on loopback that the library forwards

    @property
    def security(self) -> Any:
        return None

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """By number; the scheduler names idle workers first, so never fewer than are busy."""
        await finished(self.cluster.scale(max(workers, busy)))

    async def close(self) -> None:
        self.cluster.shutdown_on_close = True
        await finished(self.cluster.close())
        await self.wall.delete()

    def info(self) -> dict[str, Any]:
        return {"name": self.cluster.name, "namespace": self.cluster.namespace}
