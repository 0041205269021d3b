// What NVMe puts into registers and queues. Numbers are those of the NVM Express Base Specification
// 1.4 (section 3: registers; 4.2 and 4.6: entries; 5: admin commands; 6: I/O commands).
#pragma once

#include "lib/types.hh"

namespace kiln::nvme {

namespace reg {
inline constexpr usize capabilities = 0x00, mask_set = 0x0c, mask_clear = 0x10, configuration = 0x14,
                       status = 0x1c, admin_sizes = 0x24, admin_submission = 0x28,
                       admin_completion = 0x30, doorbells = 0x1000;
}

// CAP.
struct capabilities {
    u64 raw;
    u32 most_entries() const { return static_cast<u32>(raw & 0xffff) + 1; }
    u64 ready_timeout_ms() const { return (raw >> 24 & 0xff) * 500; }
    u32 doorbell_stride() const { return 4u << (raw >> 32 & 0xf); }
    bool has_nvm_commands() const { return (raw >> 37 & 1) != 0; }
    bool has_4k_pages() const { return (raw >> 48 & 0xf) == 0; }
};

namespace config {
inline constexpr u32 enable = 1;
// Entries of 2^6 and 2^4 bytes; NVM command set, 4 KiB pages, round robin.
inline constexpr u32 entry_sizes = 6u << 16 | 4u << 20;
}

namespace state {
inline constexpr u32 ready = 1u << 0, fatal = 1u << 1;
inline constexpr u32 gone = ~u32{0};  // what reads of an absent device give
}

enum class admin : u8 { create_submission = 0x01, create_completion = 0x05, identify = 0x06,
                        set_features = 0x09 };
enum class io : u8 { flush = 0x00, write = 0x01, read = 0x02 };

struct command {
    u8 opcode;
    u8 flags;
    u16 id;
    u32 name_space;
    u32 reserved[2];
    u64 metadata;
    u64 data[2];  // PRP entries
    u32 words[6];  // command dwords 10 to 15
};
static_assert(sizeof(command) == 64);

struct completion {
    u32 result;
    u32 reserved;
    u16 submission_head;
    u16 submission_queue;
    u16 id;
    u16 status;  // bit 0: phase

    bool good() const { return (status & ~1u & 0x0fff) == 0; }
    // Status code type and code, as the specification's tables give them: 0x281 is type 2, code 81.
    u32 code() const { return status >> 1 & 0x7ff; }
};
static_assert(sizeof(completion) == 16);

namespace identify {
inline constexpr u32 name_space = 0, controller = 1;  // CNS
}
inline constexpr u32 feature_queue_count = 0x07;
inline constexpr u32 queue_is_contiguous = 1u << 0, queue_interrupts = 1u << 1;

}  // namespace kiln::nvme
