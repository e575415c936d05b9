"""The result of a run as one dictionary: what the report shows, what is written as JSON, what is compared later."""

import datetime
import json
import time
from typing import Any

from tinynet.bench.contenders import OURS, Contender
from tinynet.bench.contest import Entry
from tinynet.bench.gemm import best_rate
from tinynet.bench.machine import machine, products, versions
from tinynet.bench.workload import Workload

FORMAT = 1
SAME_LOSS = {"float32": 1e-3, "tf32": 1e-2}  # by how much the losses of the same first step may differ, relatively


class Result:
    """A run's result, as it grows.

    Args:
        command: the command line that asked for it.
        contenders: everyone that was asked for, with the reason of those who cannot take part.
        gemm_s: seconds in which the matrix product's rate is measured.
        precision: how those on a GPU multiply float32: float32, or tf32.
    """

    def __init__(
        self, command: str, contenders: list[tuple[Contender, str | None]], gemm_s: float, precision: str = "float32"
    ) -> None:
        self._began, self._gemm_s = time.monotonic(), gemm_s
        began = datetime.datetime.now(datetime.UTC)
        self.machine = machine(gemm_s)
        self.precision = precision
        self.ours = _ours(contenders)
        self.devices = {c.name: c.device for c, _ in contenders}
        self.all: dict[str, Any] = {
            "format": FORMAT,
            "command": command,
            "began": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": 0.0,
            "interrupted": False,
            "machine": self.machine,
            "versions": versions(),
            "ours": self.ours,
            "precision": precision,
            "contenders": [
                {
                    "name": c.name,
                    "role": c.role,
                    "what": c.what,
                    "device": c.device,
                    "present": why is None,
                    "why_absent": why,
                }
                for c, why in contenders
            ],
            "workloads": [],
            "crossovers": [],
            "gpu_answer": "",
        }

    def add(self, workload: Workload, entries: dict[str, Entry]) -> dict[str, Any]:
        """One workload's part, which it returns.

        Ratios are of those on the device of ``ours``. A contender whose first loss is another than that of ``ours`` has
        computed something else: it counts as failed.
        """
        found = {name: entry.result(workload, self._gemm(self.devices.get(name))) for name, entry in entries.items()}
        results = {name: result for name, result in found.items() if result}
        self._refuse_others(results)
        medians = {name: result["median_s"] for name, result in results.items() if "median_s" in result}
        beside = [c for c in self.all["contenders"] if c["device"] == self.devices.get(self.ours, "cpu")]
        roles = {c["name"]: c["role"] for c in beside}
        best = min((n for n in medians if roles.get(n) == "peer"), key=medians.__getitem__, default=None)
        ours, floor = medians.get(self.ours), next((m for n, m in medians.items() if roles.get(n) == "floor"), None)
        part = {
            "name": workload.name,
            "family": workload.family,
            "what": f"{workload.what}, batch {workload.batch}",
            "parameters": workload.parameters,
            "batch": workload.batch,
            "flop": workload.flop,
            "results": results,
            "best_peer": best,
            "ratio": medians[best] / ours if best and ours else None,
            "floor_ratio": ours / floor if ours and floor else None,
        }
        self.all["workloads"].append(part)
        return part

    def measure_again(self) -> None:
        """Time the matrix product once more and keep the better rate: the machine may have been busy at first."""
        rates = self.machine["gemm_gflops"]
        for name, rate in products(self._gemm_s).items():
            rates[name] = max(rates[name], rate)
        for part in self.all["workloads"]:
            for name, result in part["results"].items():
                if "gflops" in result and self.devices.get(name) != "gpu":
                    result["share_of_gemm"] = result["gflops"] / rates["all threads"]

    def _gemm(self, device: str | None) -> float | None:
        """GFLOP/s of the matrix product on a device, in the precision of this run; None where it was not measured."""
        if device != "gpu":
            return float(self.machine["gemm_gflops"]["all threads"])
        return best_rate(self.machine["gpu"], self.precision)

    def _refuse_others(self, results: dict[str, Any]) -> None:
        right = results.get(self.ours, {}).get("first_loss")
        for name, result in results.items():
            loss = result.get("first_loss")
            if right is None or loss is None or abs(loss - right) <= SAME_LOSS[self.precision] * max(abs(right), 1.0):
                continue
            results[name] = {
                "error": f"it computes something else: its first loss is {loss:.6g}, that of {self.ours} {right:.6g}"
            }

    def broken(self) -> list[str]:
        """The errors of tinynet's own steps, but for those that were left out for a reason."""
        own = {c["name"] for c in self.all["contenders"] if c["role"] == "tinynet"}
        found = [part["results"].get(name, {}).get("error") for part in self.all["workloads"] for name in own]
        return [error for error in found if error and "left out" not in error]

    def finish(self, interrupted: bool) -> dict[str, Any]:
        """The whole, once nothing more comes."""
        from tinynet.bench.report import gpu_answer

        self.all["seconds"] = round(time.monotonic() - self._began, 1)
        self.all["interrupted"] = interrupted
        self.all["gpu_answer"] = gpu_answer(self.all)
        return self.all


def _ours(contenders: list[tuple[Contender, str | None]]) -> str:
    """Whose ratios they are: of the first backend asked for where that computes on a GPU, else of NumPy if it was asked
    for, else of the first that can run."""
    present = [c for c, why in contenders if c.role == "tinynet" and why is None]
    names = [c.name for c in present]
    return names[0] if names and (present[0].device == "gpu" or OURS not in names) else OURS


def written(result: dict[str, Any]) -> bytes:
    """A result as the bytes of a JSON file."""
    return (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode()
