"""Benchmarks of inference: libraries side by side on the same texts, labels, model and threads.

``reviewml bench inference`` runs them. Each measurement is a fresh process, so that peak memory
is that of one engine, and engines take turns, so that a slow phase of the machine hits them all.
"""
