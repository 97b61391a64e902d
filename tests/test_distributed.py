"""Two gloo processes on one machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
from torch import multiprocessing, nn

from artgen import distributed
from artgen.run.update import GuardedUpdate

CPU = torch.device("cpu")


def test_alone_everything_stays_as_it_is(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.process_group(CPU):
        assert (distributed.world_size(), distributed.rank()) == (1, 0)
        value, gradient = torch.tensor(3.0), torch.tensor([1.0, 2.0])
        assert distributed.mean_over_ranks_(value) is value
        distributed.mean_gradients_([gradient])
        assert (value.item(), gradient.tolist()) == (3.0, [1.0, 2.0])
        assert distributed.any_rank(True)
        assert not distributed.any_rank(False)
        distributed.wait_for_all()


def test_two_processes_share_gradients_and_decisions(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(_one_rank, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first == second
    assert first == {
        "world_size": 2,
        "gradients": [[2.0, 4.0], [[3.0]]],
        "any": [True, False],
        "after a shared step": -1.5,
        "after one rank's nan": -1.5,
        "refused": 1.0,
        "when half say yes": -3.0,
        "when none says yes": -3.0,
        "lbfgs": first["lbfgs"],
    }
    assert abs(first["lbfgs"] - 2.0) < 1e-3  # the minimum of the mean of (w - 1)^2 and (w - 3)^2


def _one_rank(rank, port, folder):
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    found = {}
    with distributed.process_group(CPU):
        assert distributed.rank() == rank
        found["world_size"] = distributed.world_size()
        gradients = [torch.tensor([1.0, 2.0]) * (1 + 2 * rank), torch.tensor([[3.0]])]
        distributed.mean_gradients_(gradients)
        found["gradients"] = [gradient.tolist() for gradient in gradients]
        found["any"] = [distributed.any_rank(rank == 1), distributed.any_rank(False)]
        distributed.wait_for_all()

        update, w = GuardedUpdate(CPU), nn.Parameter(torch.zeros(()))
        sgd = torch.optim.SGD([w], lr=1.0)
        update(sgd, w * (1 + rank))  # gradients 1 and 2
        found["after a shared step"] = w.item()
        update(sgd, w * (float("nan") if rank else 1.0))
        found["after one rank's nan"] = w.item()
        found["refused"] = update.refused.item()
        update(sgd, w * (1 + rank), when=torch.tensor(rank == 0))
        found["when half say yes"] = w.item()
        update(sgd, w * (1 + rank), when=torch.tensor(False))
        found["when none says yes"] = w.item()

        # Each rank alone would stop its line search elsewhere; only together do they make the same calls.
        v = nn.Parameter(torch.zeros(()))
        lbfgs = torch.optim.LBFGS([v], max_iter=10, line_search_fn="strong_wolfe")
        for _ in range(3):
            update(lbfgs, lambda: (v - (1 + 2 * rank)).square())
        found["lbfgs"] = v.item()
    torch.save(found, Path(folder) / f"{rank}.pt")
