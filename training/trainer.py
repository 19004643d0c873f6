"""The training run: its phases, setup, steps, evaluation and saving, in their order, and its end."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from tokenization.interruption import Interruption

from . import checkpoints
from .run_evaluation import Evaluation
from .run_setup import Setup
from .run_steps import Steps


class Trainer(Setup, Steps, Evaluation):
    """One run; arguments and attributes are those of `Run`."""

    def run(self) -> dict[str, Any]:
        """The whole run; returns the last validation's figures.

        Raises:
            TrainingError: if it cannot begin or go on.
            Interruption: after SIGINT or SIGTERM; while training, when the checkpoint is written.
        """
        try:
            self.setup()
            self.load_data()
            self.build()
            self.resume()
            with self._on_signals():
                self.fit()
            return self.finish()
        except KeyboardInterrupt as error:
            error.add_note(self._kept())
            raise
        finally:
            if hasattr(self, "loader"):
                self.loader.close()

    def _kept(self) -> str:
        """What there is to go on from."""
        found = checkpoints.list_checkpoints(self.folder / "checkpoints")
        return (
            f"saved at step {int(found[0].name[5:])}; the same command goes on from there."
            if found
            else "no checkpoint was written yet."
        )

    def fit(self) -> None:
        """Train until the epochs or steps are over, or early stopping has seen enough."""
        fit, evaluation = self.arguments.fit, self.arguments.evaluation
        if not self.step and self.validation_pieces:
            begun = self._validation_loss()
            self._log("start", begun)
            self.say(f"before the first step: nats_per_note {begun['nats_per_note']:.3f}")
        while self.epoch < fit.epochs and not self._enough():
            for rows, progress in self._batches():
                self.train_step(rows, progress)
                if self._asked_to_stop():
                    self.save_checkpoint()
                    self._end()
                if evaluation.save_every_steps and self.step % evaluation.save_every_steps == 0:
                    self.save_checkpoint()
                if self._steps_over():
                    break
            else:
                self.epoch, self.batch = self.epoch + 1, 0
            last = self.epoch >= fit.epochs or self._steps_over()
            if last or self.epoch % evaluation.eval_every == 0:
                self.validate()
            if last or self.epoch % evaluation.save_every == 0 or self._enough():
                self.save_checkpoint()

    def _steps_over(self) -> bool:
        most = self.arguments.fit.max_steps
        return most is not None and self.step >= most

    def _enough(self) -> bool:
        evaluation, stop_after = self.arguments.evaluation, self.arguments.fit.stop_after
        return (
            self._steps_over()
            or (stop_after is not None and self.epoch >= stop_after)
            or (evaluation.stop_on != "none" and self.best["since"] >= evaluation.patience)
        )

    def finish(self) -> dict[str, Any]:
        """Close the trackers, write the model card and push the best model if asked to. Returns the best
        figures.
        """
        if self.is_main:
            from .card import write_cards

            write_cards(self.folder)
            if self.arguments.run.push:
                from .card import push

                push(self.folder, self.arguments.run.push, self.arguments.run.private)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()  # last: nobody can wait for the others after it
        return dict(self.best)

    def _asked_to_stop(self) -> bool:
        """Whether any process got SIGINT or SIGTERM; all processes agree."""
        if self.world == 1:
            return bool(self.stopping)
        if self.stopping:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def _end(self) -> NoReturn:
        """End the run, which is saved. Only the main process has something to say."""
        number = self.stopping or signal.SIGTERM
        if self.is_main:
            raise Interruption(number)
        sys.exit(128 + number)

    @contextlib.contextmanager
    def _on_signals(self) -> Iterator[None]:
        """While training, SIGINT and SIGTERM ask for a checkpoint and an orderly end after the present step;
        a second one ends at once.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)

        def handle(number: int, *_: object) -> None:
            if self.stopping:
                raise Interruption(number)
            self.stopping = number

        try:
            before = {number: signal.signal(number, handle) for number in numbers}
        except ValueError:  # not the main thread: whoever runs us handles signals
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
