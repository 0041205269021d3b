#include "drivers/scsi/disk.hh"

#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/park.hh"
#include "drivers/block/sd_letter.hh"
#include "drivers/dma.hh"
#include "lib/ref.hh"

namespace kiln::scsi {
namespace {

constexpr u32 most_attempts = 5;
// A disk that starts, or is busy, is asked so often for so long.
constexpr u64 pause = 10 * ns_per_ms, ready_patience = 30 * ns_per_s;
constexpr u8 inquiry_length = 36, mode_length = 4, long_capacity_length = 32;
constexpr u8 peripheral_mask = 0xff, direct_access = 0, write_protected = 0x80;

void sleep_for(u64 duration) {
    for (const u64 end = deadline_after(duration); now() < end;) {
        park(end);
    }
}

}  // namespace

// The last answer, which is good or failed.
result<answer> disk::run(const command_block& command, direction data,
                         std::span<const dma_piece> pieces) {
    const u64 end = deadline_after(ready_patience);
    for (u32 attempt = 1;;) {
        const answer given = TRY(_adapter.execute(_target, command, data, pieces));
        const verdict how = judge(given);
        const bool give_up = how == verdict::again ? attempt++ == most_attempts : now() >= end;
        if (how == verdict::good || how == verdict::failed || give_up) {
            return given;
        }
        if (how == verdict::again_later) {
            sleep_for(pause);
        }
    }
}

// A command that answers with a few bytes. Fewer than wanted leave the rest 0.
result<void> disk::ask(const command_block& command, std::span<u8> into) {
    page* memory = TRY(alloc_zeroed_page());
    const auto* bytes = static_cast<const u8*>(page_data(*memory));
    const dma_piece piece{dma_address(bytes), static_cast<u32>(into.size())};
    auto asked = run(command, direction::from_device, {&piece, 1});
    std::copy_n(bytes, into.size(), into.data());
    drop_page_reference(*memory);
    const answer given = TRY(std::move(asked));
    return judge(given) == verdict::good ? result<void>() : err::io;
}

result<bool> disk::find() {
    u8 bytes[inquiry_length]{};
    if (!ask(inquiry(inquiry_length), bytes).ok()) {
        return false;
    }
    // The upper bits are 0 when there is a device.
    return (bytes[0] & peripheral_mask) == direct_access;
}

result<capacity> disk::ask_capacity() {
    u8 few[8]{};
    TRY(ask(read_capacity_10(), few));
    auto found = read_short_capacity(few);
    if (found.ok() || found.error() != err::overflow) {
        return found;
    }
    u8 many[long_capacity_length]{};
    TRY(ask(read_capacity_16(long_capacity_length), many));
    return read_long_capacity(std::span<const u8>(many).first<12>());
}

result<void> disk::start(char letter) {
    _name[2] = letter;
    const answer ready = TRY(run(test_unit_ready(), direction::none, {}));
    if (judge(ready) != verdict::good) {
        return err::io;
    }
    const capacity found = TRY(ask_capacity());
    u8 mode[mode_length]{};
    _read_only = ask(mode_sense(mode_length), mode).ok() && (mode[2] & write_protected) != 0;
    _sector_size = found.sector_size;
    transfer_limits limits = _adapter.limits();
    limits.sector_size = found.sector_size;
    return set_geometry(found.sectors, limits);
}

result<void> disk::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    const bool writes = kind == transfer_kind::write;
    u64 bytes = 0;
    for (const dma_piece& piece : pieces) {
        bytes += piece.length;
    }
    const auto command =
        scsi::transfer(writes, sector, static_cast<u32>(bytes / _sector_size));
    const answer given =
        TRY(run(command, writes ? direction::to_device : direction::from_device, pieces));
    if (judge(given) != verdict::good || given.residual != 0) {
        log_warning("scsi: {} fails command {:x} at sector {} (status {:x}, sense {:x}/{:x}/{:x})",
                    name(), command.bytes[0], sector, given.status, given.why.key, given.why.code,
                    given.why.qualifier);
        return err::io;
    }
    return {};
}

// A disk that does not know the command has no cache.
result<void> disk::flush() {
    if (!_has_cache) {
        return {};
    }
    const answer given = TRY(run(synchronize_cache(), direction::none, {}));
    if (judge(given) == verdict::good) {
        return {};
    }
    if (given.why.key == sense_key::illegal_request) {
        _has_cache = false;
        return {};
    }
    return err::io;
}

namespace {

result<void> add_disk(adapter& by, u32 target) {
    auto made = TRY(make_unique<disk>(by, target));
    if (!TRY(made->find())) {
        return {};
    }
    TRY(made->start(next_sd_letter()));
    log_debug("scsi: {} of {} bytes", made->name(), made->size_in_bytes());
    register_block_device(*made.leak());
    return {};
}

}  // namespace

void add_disks(adapter& by, u32 count, std::string_view driver) {
    for (u32 target = 0; target < count; ++target) {
        auto outcome = add_disk(by, target);
        if (!outcome.ok()) {
            log_warning("{}: target {} cannot be used (error {})", driver, target,
                        outcome.error());
        }
    }
}

}  // namespace kiln::scsi
