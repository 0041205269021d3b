# Kiln's door for people and pipelines. Each target does its own set-up (tools/setup) and can be
# called from any folder: make -C DIR, make -f DIR/Makefile. No target is a file of its own:
# what is up to date is decided by content further down, not by dates here.

# MAKEFILE_LIST is one path here, possibly with spaces in it: never split it.
top := $(shell list='$(MAKEFILE_LIST)'; cd -- "$$(dirname -- "$${list# }")" && pwd)
cd := cd -- "$(top)" &&
python := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup kernel docs demo test test-all test-collection test-publish test-uefi test-microvm test-kvm test-vmware test-virtualbox test-nitro test-xen test-disks test-cassandra rigs suites bench bench-apps bench-publish fuzz lint clean

help: ## List the targets
	@echo "Kiln targets (make TARGET):"
	@$(cd) sed -n 's/^\([a-z-]*\):[a-z ]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

setup: ## Install what is missing (Debian packages, .venv); the other targets call it
	@$(cd) tools/setup test

kernel: ## Build the kernel to build/kernel/kiln.elf
	@$(cd) tools/setup kernel
	@$(cd) cmake -S kernel-src -B build/kernel -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null && ninja -C build/kernel

docs: ## Write from the kernel's sources what says which system calls there are
	@$(cd) tools/setup docs
	@$(cd) /usr/bin/python3 kernel-src/tools/syscall_table.py
	@$(cd) /usr/bin/python3 tools/absent_calls

demo: ## Build the kernel, bake Debian's redis, boot it, talk to it (KEEP=1 leaves it running)
	@$(cd) tools/setup demo
	@$(cd) KEEP='$(KEEP)' tools/demo

test: ## All tests that fit in 30 minutes
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py $(PARTS)

test-all: ## All tests, the long ones too
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py --all $(PARTS)

test-publish: rigs ## All tests of publishing, the long ones too
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py publish publish-long virtualbox virtualbox-long vsphere vsphere-long \
	    pipeline packer collection-publish molecule

test-uefi: ## The image under UEFI (OVMF): every disk, Secure Boot, what can go wrong
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py uefi

test-microvm: ## The kernel on QEMU's microvm: with ACPI and without, one CPU and two
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py microvm

test-disks: ## 200 MB written to a disk on each controller, and read again after another boot
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py disks

test-kvm: ## virtio from PVH, BIOS and UEFI, and microVMs: redis, disk, network, power-off
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py kvm

test-vmware: ## VMware's devices, as QEMU models them: redis, disk, network, power-off
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py vmware

test-nitro: ## Machines like EC2's Nitro (NVMe, BIOS and UEFI), and ENA's driver on a model of the card
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py nitro

test-virtualbox: rigs ## The collection's OVA on the real VirtualBox, every instruction interpreted
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py virtualbox-machines

test-xen: ## A real Xen with a Debian dom0, in QEMU, and guests on it: PVH and HVM
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py xen

test-cassandra: ## Cassandra in one guest, and three as a ring: killed, and under load (hours)
	@$(cd) tools/setup test
	@$(cd) $(python) tests/run_all.py cassandra cassandra-ring cassandra-load

rigs: ## Build, once, what the tests need that no package has ready (vCenter simulator; VirtualBox; Xen)
	@$(cd) tools/setup rigs
	@$(cd) tools/rigs

suites: kernel ## The suites of CPython, Go, redis and memcached, whole: hours; README's table (SUITES=go)
	@$(cd) tools/setup test
	@$(cd) $(python) tests/suites/run_suites.py --readme $(SUITES)

bench: ## Kiln and a Debian guest side by side on the same emulator
	@$(cd) tools/setup bench
	@$(cd) $(python) tests/bench/run $(ARGS)

bench-apps: ## memcached and Java on Kiln and on a Debian guest (APPS=memcached)
	@$(cd) tools/setup bench
	@$(cd) $(python) tests/bench/apps $(APPS) $(ARGS)

bench-publish: kernel rigs ## Bakes by size, publishing to what stands in for clouds: throughput, bytes, memory
	@$(cd) tools/setup publish
	@$(cd) $(python) tests/bench/publish.py $(ARGS)
	@$(cd) $(python) tests/bench/targets.py

fuzz: ## Long runs of the kernel's fuzzers (SECONDS=600 each)
	@$(cd) tools/setup test
	@$(cd) $(python) tests/fuzz.py --seconds $(or $(SECONDS),600)

lint: ## ruff, mypy, yamllint, ansible-lint; changelog fragments; what documentation refers to
	@$(cd) tools/setup test
	@$(cd) .venv/bin/nox -s lint changelog docs

test-collection: rigs ## All checks of the collection: the linters, its tarball, ansible-test, molecule
	@$(cd) tools/setup test
	@$(cd) .venv/bin/nox


clean: ## Remove what was built here (not the store in ~/.cache/kiln)
	@$(cd) rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .ansible
