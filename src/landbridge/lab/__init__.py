"""A small cloud on one machine: networks that are real, with real PostgreSQL servers in them.

A lab is read from one TOML file (`plan`), kept in a folder of the state directory (`store`),
made by a driver of `network` (`lab`), inhabited by servers (`servers`) and drawn (`drawing`).
"""
