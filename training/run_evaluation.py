"""Evaluation between epochs: the validation loss, the musical score, the best models."""

from __future__ import annotations

from typing import Any

import numpy as np
from accelerate.utils import gather_object

from .crops import TERMS
from .evaluation import evaluate
from .run_saving import Saving
from .units import report


class Evaluation(Saving):
    """Evaluation between epochs: the validation loss, the musical score, the best models."""

    def validate(self) -> dict[str, Any]:
        """Validation loss, the musical score when it is due, and the best models."""
        evaluation = self.arguments.evaluation
        if not self.validation_pieces and not evaluation.musical_every:
            return {}
        with self._weights():
            figures = self._validation_loss() if self.validation_pieces else {}
            due = evaluation.musical_every and (
                self.epoch % evaluation.musical_every == 0 or self.epoch >= self.arguments.fit.epochs
            )
            if due:
                figures |= self._musical_evaluation(figures.get("nats_per_note"))
            self._log("eval", figures)
            self._keep_best(figures)
        losses, heard = (
            ("nats_per_note", "masked_nats_per_note", *TERMS),
            ("musical_score", "musical_error", "combined"),
        )
        shown = {name: figures[name] for name in (*losses, *heard) if name in figures}
        self.say(
            f"epoch {self.epoch}, step {self.step}: "
            + ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
        )
        return figures

    def _validation_loss(self) -> dict[str, Any]:
        share = (self.rank, self.world)
        pieces = evaluate(
            self.plain, self.validation_pieces, self.context, autocast=self.accelerator.autocast, share=share
        )
        sums = self._reduced(
            np.stack([np.concatenate([p.nats, p.masked, [p.notes, p.tokens]]) for p in pieces])
        )
        n = len(TERMS)
        for piece, row in zip(pieces, sums, strict=True):
            piece.nats, piece.masked = row[:n], row[n : 2 * n]
            piece.notes, piece.tokens = int(row[-2]), int(row[-1])
        return {**report(pieces, draws=1000).figures(), "unigram_nats_per_note": self.unigram}

    def _musical_evaluation(self, nats: float | None) -> dict[str, Any]:
        """Every process composes its share of the pieces, so that none waits for the main one."""
        from .musical import combined_score, evaluate_music, together, write_samples

        evaluation = self.arguments.evaluation
        result = evaluate_music(
            self.plain,
            evaluation.musical_pieces,
            evaluation.musical_tokens,
            self.arguments.data.form,
            share=(self.rank, self.world),
        )
        if self.world > 1:
            result = together(gather_object([result]))
        if self.is_main:
            write_samples(result, self.folder / "samples" / f"epoch-{self.epoch:04d}")
        summary = result.summary()
        if nats is not None and self.unigram:
            summary["combined"] = combined_score(
                nats,
                self.unigram,
                summary["musical_score"],
                evaluation.loss_weight,
                evaluation.musical_weight,
            )
        return summary

    def _keep_best(self, figures: dict[str, Any]) -> None:
        """Save the best models, and count evaluations without improvement for early stopping."""
        stop_on = self.arguments.evaluation.stop_on
        for name, key, sign in (("loss", "nats_per_note", -1), ("combined", "combined", 1)):
            value = figures.get(key)
            if value is None:
                continue
            best = self.best[name]
            better = best is None or sign * value > sign * best
            if better:
                self.best[name] = value
                self.best[f"{name}_epoch"] = self.epoch
                self.export(self.folder / f"best-{name}", figures)
            if name == stop_on:
                self.best["since"] = 0 if better else self.best["since"] + 1
