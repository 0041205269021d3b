// The SCSI commands that a disk needs, and what answers mean (SPC-4: INQUIRY, TEST UNIT READY, MODE
// SENSE, sense data; SBC-3: READ, WRITE, READ CAPACITY, SYNCHRONIZE CACHE). Computes only.
#pragma once

#include <span>

#include "lib/result.hh"

namespace kiln::scsi {

struct command_block {
    static constexpr usize longest = 16;
    u8 bytes[longest]{};
    u8 size = 6;
};

enum class direction : u8 { none, from_device, to_device };

command_block test_unit_ready();
command_block inquiry(u8 length);
// The head of the mode parameters alone.
command_block mode_sense(u8 length);
command_block read_capacity_10();
command_block read_capacity_16(u8 length);
command_block synchronize_cache();
// The short form where its numbers are large enough.
command_block transfer(bool writes, u64 sector, u32 sectors);

// Why a command did not go as wanted.
struct sense {
    u8 key = 0;
    u8 code = 0;
    u8 qualifier = 0;
};
namespace sense_key {
inline constexpr u8 none = 0, recovered = 1, not_ready = 2, illegal_request = 5, unit_attention = 6,
                    aborted = 11;
}
// From the fixed or the descriptor format; all 0 where there is none.
sense read_sense(std::span<const u8> bytes);

struct answer {
    bool reached = false;  // there is such a target, and it has answered
    u8 status = 0;
    u32 residual = 0;      // bytes of the data that were not moved
    sense why;
};

enum class verdict : u8 { good, again, again_later, failed };
verdict judge(const answer& given);

struct capacity {
    u64 sectors;
    u32 sector_size;
};
// From 8 bytes of READ CAPACITY(10); err::overflow where the long form has to be asked.
result<capacity> read_short_capacity(std::span<const u8, 8> bytes);
// From the first 12 bytes of READ CAPACITY(16).
result<capacity> read_long_capacity(std::span<const u8, 12> bytes);

}  // namespace kiln::scsi
