"""Training: an Accelerate loop that resumes exactly, augments in stages and stops by ear.

`accelerate launch -m training --config training/configs/wtc.yaml` trains, `python -m training.validate`
prints the loss of a checkpoint in nats a note, `python -m training.baselines` that of counting models,
`python -m training.plot RUN` draws a run.
"""
