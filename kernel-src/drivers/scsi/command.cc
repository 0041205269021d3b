#include "drivers/scsi/command.hh"

#include "lib/bytes.hh"

namespace kiln::scsi {
namespace {

namespace operation {
constexpr u8 test_unit_ready = 0x00, inquiry = 0x12, mode_sense_6 = 0x1a, read_capacity_10 = 0x25,
             read_10 = 0x28, write_10 = 0x2a, synchronize_cache_10 = 0x35, read_16 = 0x88,
             write_16 = 0x8a, service_action_in_16 = 0x9e;
}
namespace status {
constexpr u8 good = 0x00, check_condition = 0x02, busy = 0x08, task_set_full = 0x28;
}
constexpr u8 read_capacity_16_action = 0x10, all_mode_pages = 0x3f, no_block_descriptors = 0x08;
constexpr u8 becoming_ready = 0x04;

command_block of(u8 code, u8 size) {
    command_block made;
    made.bytes[0] = code;
    made.size = size;
    return made;
}

// The largest disk whose bytes 64 bits count, by the smallest sector.
constexpr u64 most_sectors = ~u64{0} / 512;

result<capacity> checked(u64 last, u32 sector_size) {
    return last < most_sectors ? result<capacity>(capacity{last + 1, sector_size}) : err::badmsg;
}

}  // namespace

command_block test_unit_ready() {
    return of(operation::test_unit_ready, 6);
}

command_block inquiry(u8 length) {
    command_block made = of(operation::inquiry, 6);
    made.bytes[4] = length;
    return made;
}

command_block mode_sense(u8 length) {
    command_block made = of(operation::mode_sense_6, 6);
    made.bytes[1] = no_block_descriptors;
    made.bytes[2] = all_mode_pages;
    made.bytes[4] = length;
    return made;
}

command_block read_capacity_10() {
    return of(operation::read_capacity_10, 10);
}

command_block read_capacity_16(u8 length) {
    command_block made = of(operation::service_action_in_16, 16);
    made.bytes[1] = read_capacity_16_action;
    made.bytes[13] = length;
    return made;
}

command_block synchronize_cache() {
    return of(operation::synchronize_cache_10, 10);
}

command_block transfer(bool writes, u64 sector, u32 sectors) {
    if (sector + sectors <= u64{1} << 32 && sectors <= 0xffff) {
        command_block made = of(writes ? operation::write_10 : operation::read_10, 10);
        store_be<u32>(&made.bytes[2], static_cast<u32>(sector));
        store_be<u16>(&made.bytes[7], static_cast<u16>(sectors));
        return made;
    }
    command_block made = of(writes ? operation::write_16 : operation::read_16, 16);
    store_be<u64>(&made.bytes[2], sector);
    store_be<u32>(&made.bytes[10], sectors);
    return made;
}

sense read_sense(std::span<const u8> bytes) {
    const u8 format = bytes.empty() ? u8{0} : static_cast<u8>(bytes[0] & 0x7f);
    if ((format == 0x70 || format == 0x71) && bytes.size() >= 14) {
        return {static_cast<u8>(bytes[2] & 0xf), bytes[12], bytes[13]};
    }
    if ((format == 0x72 || format == 0x73) && bytes.size() >= 4) {
        return {static_cast<u8>(bytes[1] & 0xf), bytes[2], bytes[3]};
    }
    return {};
}

verdict judge(const answer& given) {
    if (!given.reached) {
        return verdict::failed;
    }
    switch (given.status) {
        case status::good: return verdict::good;
        case status::busy:
        case status::task_set_full: return verdict::again_later;
        case status::check_condition: break;
        default: return verdict::failed;
    }
    switch (given.why.key) {
        case sense_key::recovered: return verdict::good;
        // Said once after a reset, to whoever asks first.
        case sense_key::unit_attention:
        case sense_key::aborted: return verdict::again;
        case sense_key::not_ready:
            return given.why.code == becoming_ready ? verdict::again_later : verdict::failed;
        default: return verdict::failed;
    }
}

result<capacity> read_short_capacity(std::span<const u8, 8> bytes) {
    const u32 last = load_be<u32>(&bytes[0]);
    return last != ~u32{0} ? checked(last, load_be<u32>(&bytes[4])) : err::overflow;
}

result<capacity> read_long_capacity(std::span<const u8, 12> bytes) {
    return checked(load_be<u64>(&bytes[0]), load_be<u32>(&bytes[8]));
}

}  // namespace kiln::scsi
