"""The Space: a web page that composes, shows, plays and hands out pieces; `python -m space.app` starts it."""
