"""Evaluation: scores of rows, the parity gate, latency."""
