"""The embedded hive: a job server that speaks the contract and fetches models for real.

One detached process for a user and machine: `launch` starts or finds it, `server` is what runs in
it. ::

    server ─▶ guard ─▶ routes ─▶ jobs ─▶ operations ─▶ provision ─▶ fetch ─▶ turns, hub, engine/
                                              └────────────┴──────────┴─────▶ catalog

It shares `rbee_widgets.contract` with the rest of the package, and nothing else.
"""
