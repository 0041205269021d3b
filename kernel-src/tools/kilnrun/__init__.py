"""The parts of kernel-src/run.  Standard library only."""
