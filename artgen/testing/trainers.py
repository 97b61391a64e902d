"""What a trainer promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from artgen.components import Kind
from artgen.errors import RecipeError
from artgen.run.build import Job
from artgen.testing.probes import Asked, Probe, batch_of, equal, misfit, packed, parts_of, refusing, step, weights_of
from artgen.testing.runs import around, job_of, suiting
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import copied, failed, moved, require, require_finite, require_no_reads
from artgen.testing.watch import HostReads
from artgen.training import Clock, Losses, LossTerm, Trainer, Update


class TrainerContract(ComponentContract):
    """What a trainer promises (`artgen.training.Trainer`)."""

    kind: ClassVar[Kind] = "trainer"
    recipe: str = ""
    """Tables that take the place of the kit's own (`artgen.testing.runs.AROUND`) around the component in a tiny run."""

    def job(self, folder: Path) -> Job:
        """A job that it trains, in its first phase."""
        try:
            return job_of(folder, self.around(), self.plugins)
        except RecipeError as error:
            raise failed(
                f"The kit's recipe does not suit this trainer; set `recipe` in {type(self).__name__} to one that does, "
                f"for example [generator.NAME], [losses.NAME] and an empty [critic].\n{error}"
            ) from None

    def around(self) -> str:
        return around("trainer", self.component, self.options, suiting(self.found()), self.recipe)

    def given(self, folder: Path) -> tuple[Any, ...]:
        return (parts_of(self.job(folder)),)

    def trainer(self, job: Job, update: Update | None = None, losses: Losses | None = None) -> Trainer:
        """One more trainer of a job's networks, in its first phase."""
        trainer: Trainer = self.make(parts_of(job, update, losses))
        trainer.begin(job.phases[0])
        return trainer

    def test_step_gives_named_scalars(self, tmp_path: Path) -> None:
        """A step consumes whole batches and returns finite scalars by name, detached from their graphs."""
        job = self.job(tmp_path)
        batches: Any = job.trainer.batches_per_step  # a stranger's: it may be anything
        require(
            isinstance(batches, int) and batches >= 1,
            f"`batches_per_step` is {batches!r}: say how many batches a step consumes, 1 or more.",
        )
        scalars = step(job, job.trainer)
        wrong = [str(name) for name, value in scalars.items() if not (isinstance(value, Tensor) and value.dim() == 0)]
        require(not wrong, f"A step returns what is no scalar tensor: {', '.join(wrong)}. Give means, on the device.")
        attached = [name for name, value in scalars.items() if value.requires_grad]
        require(not attached, f"A step returns scalars with their graphs: {', '.join(attached)}. Give `x.detach()`.")
        require_finite("A scalar of a step", *scalars.values())

    def test_weights_move_only_through_update(self, tmp_path: Path) -> None:
        """Where `update` refuses every step, no weight moves; where it does not, some do."""
        job = self.job(tmp_path)
        before = weights_of(job)
        step(job, self.trainer(job, refusing))
        names = moved(before, weights_of(job))
        require(
            not names,
            f"Weights move although `update` refused the step: {names}. Call `parts.update(optimizer, loss)`, and "
            "never `optimizer.step()` or an operation in place on a weight.",
        )
        step(job, job.trainer)
        require(moved(before, weights_of(job)), "No weight moves in a step: call `parts.update(optimizer, loss)`.")

    def test_nothing_waits_for_the_host(self, tmp_path: Path) -> None:
        """A step reads no value on the host, but the first of a phase; `update` may, where an optimizer has to."""
        job, reads = self.job(tmp_path), HostReads()

        def update(*given: Any, **named: Any) -> Tensor:
            with reads.pause():
                return job.update(*given, **named)

        trainer = self.trainer(job, update)
        batch, clock = batch_of(job, trainer), Clock(total_images=job.total_images)
        trainer.step(batch, clock)  # it may look at what stays as it is throughout the phase
        count = job.phases[0].batch * trainer.batches_per_step
        with reads:
            trainer.step(batch, replace(clock, images=count, steps=1, phase_images=count))
        require_no_reads(reads)

    def test_it_gives_what_it_says(self, tmp_path: Path) -> None:
        """A loss finds every field of Outputs filled that the component `gives` on its side, in one form."""
        job, gives, probe = self.job(tmp_path), self.found().gives, Probe()
        require(gives, "The component `gives` nothing, so no loss could be used: gives={'generator': ('fake', ...)}.")
        step(job, self.trainer(job, losses=Asked({"probe": LossTerm(probe, needs=gives)})))
        for side, fields in gives.items():
            require(
                probe.seen[side],
                f"The component `gives` a {side}'s side, and a step asks no loss of it: call `parts.losses('{side}', "
                "...)`.",
            )
            for outputs in probe.seen[side]:
                empty = [name for name in fields if getattr(outputs, name, None) is None]
                require(
                    not empty,
                    f"On the {side}'s side {', '.join(empty)} is empty although the component `gives` it and a loss "
                    "needs it: fill it, or take it out of `gives`.",
                )
                fault = misfit(outputs)
                require(not fault, f"On the {side}'s side {fault}.")

    def test_begin_is_idempotent(self, tmp_path: Path) -> None:
        """A second `begin` of the same phase forgets nothing."""
        job = self.job(tmp_path)
        step(job, job.trainer)
        before = packed(job.trainer)
        job.trainer.begin(job.phases[0])
        require(
            equal(before, packed(job.trainer)),
            "A second `begin` of the same phase changes `state_dict()`: make optimizers only where the phase or the "
            "parameters are new.",
        )

    def test_state_round_trip(self, tmp_path: Path) -> None:
        """What `state_dict` gives, a fresh trainer takes after `begin`, and gives again."""
        used, fresh = self.job(tmp_path), self.job(tmp_path)
        step(used, used.trainer)
        step(used, used.trainer)
        before = packed(used.trainer)
        fresh.trainer.load_state_dict(copied(used.trainer.state_dict()))
        require(
            equal(before, packed(fresh.trainer)),
            "A fresh trainer that has loaded a state gives another one: `load_state_dict` must take up all of it.",
        )

    def test_stopped_run_ends_in_the_same_bytes(self, tmp_path: Path) -> None:
        """A tiny run with it, stopped and continued, saves the same last checkpoint as a straight one."""
        self.job(tmp_path)  # says what is wrong with the recipe
        self.require_exact_resume(self.around(), tmp_path, 1, 3)
