"""The metric's page on the Hub: upload scores, see every metric beside Bach's band.

evaluate's own `launch_gradio_widget` offers a table of text cells (and asks for Gradio interfaces that are
gone); scores are files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# In this folder lies a module of the package's own name; it must not be found before the package.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]


def load_functions() -> Any:
    """The functions, through the metric itself, which knows how to find them in this folder."""
    import evaluate

    evaluate.load(str(HERE / "musical_metrics.py"))
    from musical_metrics import pieces

    return pieces


def measure(files: list[str] | None, key: str, form: str) -> tuple[str, Any, list[list[Any]]]:
    """Measure uploaded files.

    Args:
        files (list of `str`): paths; key (`str`), form (`str`): what they are meant to be, empty for what
            they declare.

    Returns:
        a sentence on the score and the nearest passage, the plot, and the rows of the table.
    """
    pieces = load_functions()
    from musical_metrics.plot import draw
    from musical_metrics.tables import name_of, number
    from tokenization.analysis.view import View
    from tokenization.errors import MusicGPTError

    if not files:
        return "Upload a MIDI or MusicXML file.", None, []
    try:
        views = [View(pieces.as_score(file, key or None, form or None)) for file in files]
    except MusicGPTError as error:
        return str(error), None, []
    lines, rows = [], []
    for view in views:
        found = pieces.describe(view)
        value = (
            f"{found['value']:.1f} of 100" if found["value"] is not None else f"no score: {found['reason']}"
        )
        piece = name_of(view.score)
        lines.append(
            f"**{piece}**: {value} (against {found['compared_with']}). Nearest Bach passage:"
            f" {found['nearest_passage']}."
        )
        for name, judged in found["metrics"].items():
            band = f"{number(judged['low'])} to {number(judged['high'])}" if judged["n"] else "-"
            note = judged["reason"] or ("outside" if judged["outside"] else "")
            rows.append([piece, name, number(judged["value"]), number(judged["median"]), band, note])
    return "\n\n".join(lines), draw(views) if any(len(view.array) for view in views) else None, rows


def page() -> Any:
    """The page (`gradio.Blocks`)."""
    import gradio as gr

    card = (HERE / "README.md").read_text(encoding="utf-8").split("---\n", 2)[-1]
    with gr.Blocks(title="musical_metrics") as blocks:
        gr.Markdown(
            "# musical_metrics\nHow near does a piece lie to Bach's Well-Tempered Clavier, and in what does"
            " it differ?"
        )
        with gr.Row():
            files = gr.File(
                label="Scores (.mid, .musicxml, .mxl)",
                file_count="multiple",
                file_types=[".mid", ".midi", ".musicxml", ".xml", ".mxl"],
            )
            with gr.Column():
                key = gr.Textbox(label="Key", placeholder="d minor (empty: what the file declares)")
                form = gr.Dropdown(["", "prelude", "fugue"], label="Form", value="")
                button = gr.Button("Measure", variant="primary")
        said = gr.Markdown()
        plot = gr.Plot(label="Where Bach lies, where this lies")
        table = gr.Dataframe(
            headers=["piece", "metric", "value", "Bach's median", "Bach's band", ""], label="All metrics"
        )
        button.click(measure, [files, key, form], [said, plot, table], api_name="measure")
        with gr.Accordion("Metric card", open=False):
            gr.Markdown(card)
    return blocks


if __name__ == "__main__":
    page().launch()
