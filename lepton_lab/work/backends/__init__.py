"""Backends: what a trained model is compiled with, and what it then answers through."""
