"""Sweeps: a process that has runs done, learns from them, and goes on after a crash. Imports no torch."""
