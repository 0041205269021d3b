// UEFI loader: what it uses of the UEFI specification 2.10.
//
// System table: section 4.3; boot services: 4.4 and 7; loaded image: 9.1; device paths: 10.2 and
// 10.3; text output: 12.4; block I/O: 13.9; memory attributes: 37.12.
// Functions that are not called are `unused`.
#pragma once

#include "../types.hh"

#define EFI_CALL __attribute__((ms_abi))

namespace boot::efi {

using status = usize;
using handle = void*;

constexpr status success = 0;
constexpr status error_bit = 1ull << 63;
constexpr status buffer_too_small = error_bit | 5;

struct guid {
    u32 first;
    u16 second;
    u16 third;
    u8 rest[8];
};

constexpr guid loaded_image_protocol{
    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
constexpr guid device_path_protocol{
    0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
constexpr guid block_io_protocol{
    0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
constexpr guid memory_attribute_protocol{
    0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
constexpr guid acpi_2_table{
    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
constexpr guid acpi_1_table{
    0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

struct table_header {
    u64 signature;
    u32 revision;
    u32 size;
    u32 crc;
    u32 reserved;
};

struct text_output {
    void* unused;
    status(EFI_CALL* output_string)(text_output*, const u16* text);
};

// The protocols' nodes are packed: a node's length has no alignment.
struct device_path {
    u8 type;
    u8 subtype;
    u8 length[2];

    u32 bytes() const { return length[0] | static_cast<u32>(length[1]) << 8; }
    bool is_end() const { return type == 0x7f; }
    bool is_partition() const { return type == 4 && subtype == 1; }
};
static_assert(sizeof(device_path) == 4);

struct loaded_image {
    u32 revision;
    handle parent;
    void* system;
    handle device;
};

// Section 37.12.
struct memory_attributes {
    void* unused[2];
    status(EFI_CALL* clear)(memory_attributes*, u64 base, u64 bytes, u64 attributes);
};
constexpr u64 not_executable = 0x4000;

struct block_media {
    u32 id;
    bool removable;
    bool present;
    bool is_partition;
    bool read_only;
    bool write_caching;
    u32 block_size;
    u32 alignment;
    u64 last_block;
};
static_assert(sizeof(block_media) == 32);

struct block_io {
    u64 revision;
    const block_media* media;
    void* unused;
    status(EFI_CALL* read_blocks)(block_io*, u32 media, u64 block, usize bytes, void* to);
};

enum memory_type : u32 {
    reserved_memory = 0,
    loader_code = 1,
    loader_data = 2,
    boot_services_code = 3,
    boot_services_data = 4,
    conventional_memory = 7,
    unusable_memory = 8,
    acpi_reclaim_memory = 9,
    acpi_nvs_memory = 10,
    device_memory = 11,
    device_ports = 12,
    persistent_memory = 14,
};

enum allocation : u32 { anywhere = 0, up_to_address = 1, at_address = 2 };

struct memory_descriptor {
    u32 type;
    u64 base;
    u64 virtual_base;
    u64 pages;
    u64 attributes;
};
static_assert(sizeof(memory_descriptor) == 40);

struct boot_services {
    table_header header;
    void* unused_levels[2];
    status(EFI_CALL* allocate_pages)(u32 how, u32 type, usize pages, u64* address);
    void* unused_free;
    status(EFI_CALL* get_memory_map)(usize* bytes, memory_descriptor* map, usize* key,
                                     usize* descriptor_bytes, u32* version);
    void* unused_pools_and_events[11];
    status(EFI_CALL* handle_protocol)(handle, const guid*, void** interface);
    void* unused_notices[3];
    status(EFI_CALL* locate_device_path)(const guid*, device_path** path, handle* device);
    void* unused_images[5];
    status(EFI_CALL* exit_boot_services)(handle image, usize key);
    void* unused_time[2];
    status(EFI_CALL* set_watchdog_timer)(usize seconds, u64 code, usize bytes, const u16* text);
    void* unused_drivers[7];
    status(EFI_CALL* locate_protocol)(const guid*, void* registration, void** interface);
};
static_assert(__builtin_offsetof(boot_services, allocate_pages) == 40);
static_assert(__builtin_offsetof(boot_services, get_memory_map) == 56);
static_assert(__builtin_offsetof(boot_services, handle_protocol) == 152);
static_assert(__builtin_offsetof(boot_services, locate_device_path) == 184);
static_assert(__builtin_offsetof(boot_services, exit_boot_services) == 232);
static_assert(__builtin_offsetof(boot_services, set_watchdog_timer) == 256);
static_assert(__builtin_offsetof(boot_services, locate_protocol) == 320);

struct configuration_entry {
    guid vendor;
    void* table;
};

struct system_table {
    table_header header;
    void* vendor;
    u32 revision;
    handle input_device;
    void* input;
    handle output_device;
    text_output* output;
    handle error_device;
    void* error;
    void* runtime;
    boot_services* boot;
    usize entries;
    configuration_entry* configuration;
};
static_assert(__builtin_offsetof(system_table, output) == 64);
static_assert(__builtin_offsetof(system_table, boot) == 96);
static_assert(__builtin_offsetof(system_table, configuration) == 112);

}  // namespace boot::efi
