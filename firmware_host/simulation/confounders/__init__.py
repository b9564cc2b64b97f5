"""Kinds of confounders; see `firmware_host.simulation.happenings` for how to add one."""
