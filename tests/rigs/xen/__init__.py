"""A real Xen host with a Debian dom0, in QEMU."""
