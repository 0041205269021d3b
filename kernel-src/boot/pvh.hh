// What a kernel is told at the PVH entry, version 1, as Xen's include/public/arch-x86/hvm/start_info.h
// lays it out. The loaders write it, and so do hypervisors; the kernel reads it.
#pragma once

#include <stdint.h>

namespace boot {

inline constexpr uint32_t start_info_magic = 0x336ec578;

struct hvm_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_ranges;
    uint32_t reserved;
};
static_assert(sizeof(hvm_start_info) == 56);

struct memory_range {
    uint64_t base;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
static_assert(sizeof(memory_range) == 24);

inline constexpr uint32_t usable_memory = 1;

}  // namespace boot
