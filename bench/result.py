"""The result of a run as one dictionary: what the report shows, what is written as JSON, what is compared later."""

import datetime
import json
import time
from typing import Any

from tinynet.bench.contenders import OURS, Contender
from tinynet.bench.contest import Entry
from tinynet.bench.machine import machine, products, versions
from tinynet.bench.workload import Workload

FORMAT = 1


class Result:
    """A run's result, as it grows.

    Args:
        command: the command line that asked for it.
        contenders: everyone that was asked for, with the reason of those who cannot take part.
        gemm_s: seconds in which the matrix product's rate is measured.
    """

    def __init__(self, command: str, contenders: list[tuple[Contender, str | None]], gemm_s: float) -> None:
        self._began, self._gemm_s = time.monotonic(), gemm_s
        began = datetime.datetime.now(datetime.UTC)
        self.machine = machine(gemm_s)
        present = [c.name for c, why in contenders if c.role == "tinynet" and why is None]
        asked = [c.name for c, _ in contenders if c.role == "tinynet"]
        self.ours = OURS if OURS in asked or not present else present[0]
        self.all: dict[str, Any] = {
            "format": FORMAT,
            "command": command,
            "began": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": 0.0,
            "interrupted": False,
            "machine": self.machine,
            "versions": versions(),
            "ours": self.ours,
            "contenders": [
                {"name": c.name, "role": c.role, "what": c.what, "present": why is None, "why_absent": why}
                for c, why in contenders
            ],
            "workloads": [],
            "crossovers": [],
            "gpu_answer": "",
        }

    def add(self, workload: Workload, entries: dict[str, Entry]) -> dict[str, Any]:
        """One workload's part, which it returns."""
        gemm = self.machine["gemm_gflops"]["all threads"]
        found = {name: entry.result(workload, gemm) for name, entry in entries.items()}
        results = {name: result for name, result in found.items() if result}
        medians = {name: result["median_s"] for name, result in results.items() if "median_s" in result}
        roles = {c["name"]: c["role"] for c in self.all["contenders"]}
        best = min((n for n in medians if roles[n] == "peer"), key=medians.__getitem__, default=None)
        ours, floor = medians.get(self.ours), next((m for n, m in medians.items() if roles[n] == "floor"), None)
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
            for result in part["results"].values():
                if "gflops" in result:
                    result["share_of_gemm"] = result["gflops"] / rates["all threads"]

    def finish(self, interrupted: bool) -> dict[str, Any]:
        """The whole, once nothing more comes."""
        from tinynet.bench.report import gpu_answer

        self.all["seconds"] = round(time.monotonic() - self._began, 1)
        self.all["interrupted"] = interrupted
        self.all["gpu_answer"] = gpu_answer(self.all)
        return self.all


def written(result: dict[str, Any]) -> bytes:
    """A result as the bytes of a JSON file."""
    return (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode()
