#include "drivers/ide/channel.hh"

#include <algorithm>

#include "core/log.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/poll.hh"
#include "lib/assert.hh"

namespace kiln::ide {
namespace {

constexpr u64 highest_address = u64{1} << 32;
constexpr usize bounce_size = channel::memory_size - page_size;
constexpr u32 most_attempts = 3, most_strays = 10'000;
// ATA8-APT: how long a reset has to be asserted, and when the status may be looked at first.
constexpr u64 reset_length = 10 * ns_per_us, reset_pause = 2 * ns_per_ms;

void wait(u64 duration) {
    const u64 end = deadline_after(duration);
    while (now() < end) {
        cpu_relax();
    }
}

u64 bytes_of(std::span<const dma_piece> pieces) {
    u64 bytes = 0;
    for (const dma_piece& piece : pieces) {
        bytes += piece.length;
    }
    return bytes;
}

}  // namespace

// ---- finding out ----

bool channel::wait_until_idle(u64 how_long) {
    constexpr u8 occupied = status::busy | status::data_request;
    return poll_until([&] { return (_ports.in8(_control) & occupied) == 0; }, how_long);
}

bool channel::select(u32 unit) {
    const u8 number = unit != 0 ? second_device : 0;
    out(reg::device, device_lba | number);
    // The status is right 400 ns later; each reading of it takes 100.
    for (int i = 0; i < 4; ++i) {
        (void)_ports.in8(_control);
    }
    return wait_until_idle(_waiting_for.busy);
}

result<ata::disk_identity> channel::identify(u32 unit) {
    _ports.out8(_control, control_quiet);
    out(reg::device, device_lba | (unit != 0 ? second_device : 0));
    out(reg::count, 0x55);
    out(reg::address_low, 0xaa);
    if (in(reg::count) != 0x55 || in(reg::address_low) != 0xaa || !select(unit)) {
        return err::nodev;
    }
    out(reg::command, static_cast<u8>(ata::command::identify));
    u8 seen = in(reg::status);
    // The other device answers for one that is not there.
    if (seen == 0 || seen == status::floating) {
        return err::nodev;
    }
    const bool ended = poll_until(
        [&] { return ((seen = _ports.in8(_control)) & status::busy) == 0; }, _waiting_for.busy);
    (void)in(reg::status);
    // A DVD drive refuses.
    if (!ended || (seen & (status::error | status::fault)) != 0 ||
        (seen & status::data_request) == 0) {
        return err::nodev;
    }
    u16 words[256];
    for (u16& word : words) {
        word = _ports.in16(_command);
    }
    (void)in(reg::status);
    return ata::read_identity(words);
}

void channel::start(u16 bus_master, void* memory) {
    KILN_DEBUG_ASSERT(dma_address(memory) < highest_address);
    _master = bus_master;
    _table = static_cast<region*>(memory);
    _bounce = static_cast<std::byte*>(memory) + page_size;
    _slot.init(1);
    master_out(master::command, 0);
    _ports.out8(_control, 0);
}

// ---- commands ----

bool channel::reaches(std::span<const dma_piece> pieces) const {
    return std::all_of(pieces.begin(), pieces.end(), [](const dma_piece& piece) {
        return piece.address + piece.length <= highest_address;
    });
}

void channel::describe(std::span<const dma_piece> pieces) {
    region* at = _table;
    for (dma_piece left : pieces) {
        while (left.length != 0) {
            const u64 room = region_limit - left.address % region_limit;
            const u32 length = static_cast<u32>(std::min<u64>(room, left.length));
            KILN_DEBUG_ASSERT(at < _table + page_size / sizeof(region));
            *at++ = {static_cast<u32>(left.address), static_cast<u16>(length), 0};
            left.address += length;
            left.length -= length;
        }
    }
    at[-1].flags = last_region;
}

// Where an address has 48 bits its upper parts go first, into the same registers.
void channel::write_address(const task& what) {
    const u64 at = what.sector;
    if (what.is_long) {
        out(reg::count, static_cast<u8>(what.sectors >> 8));
        out(reg::address_low, static_cast<u8>(at >> 24));
        out(reg::address_middle, static_cast<u8>(at >> 32));
        out(reg::address_high, static_cast<u8>(at >> 40));
    }
    out(reg::count, static_cast<u8>(what.sectors));
    out(reg::address_low, static_cast<u8>(at));
    out(reg::address_middle, static_cast<u8>(at >> 8));
    out(reg::address_high, static_cast<u8>(at >> 16));
    const u8 upper = what.is_long ? u8{0} : static_cast<u8>(at >> 24 & 0xf);
    out(reg::device,
        static_cast<u8>(device_lba | (what.unit != 0 ? second_device : 0) | upper));
}

bool channel::begin(const task& what, std::span<const dma_piece> pieces) {
    if (!select(what.unit)) {
        return false;
    }
    const u8 direction = what.to_device ? 0 : master::to_memory;
    const u8 kept = master_in(master::status) & master::drives_do_dma;
    master_out(master::status, kept | master::interrupt | master::error);
    if (!pieces.empty()) {
        describe(pieces);
        _ports.out32(static_cast<u16>(_master + master::table),
                     static_cast<u32>(dma_address(_table)));
        master_out(master::command, direction);
    }
    write_address(what);
    {
        irq_guard guard(_lock);
        _waiting = true;
    }
    device_fence();
    out(reg::command, static_cast<u8>(what.what));
    if (!pieces.empty()) {
        master_out(master::command, direction | master::start);
    }
    return true;
}

// The interrupt may be lost, or the device dead.
bool channel::wait_for_end() {
    for (u32 times = 1; times <= 2; ++times) {
        if (_slot.wait(0, deadline_after(_waiting_for.command))) {
            return true;
        }
        log_warning("ide: {} has not answered for {} s", _name,
                    times * _waiting_for.command / ns_per_s);
        on_interrupt();
    }
    irq_guard guard(_lock);
    const bool ended = !_waiting;
    _waiting = false;
    return ended;
}

channel::outcome channel::judge(bool moves) {
    u8 seen = 0, of_master = 0;
    {
        irq_guard guard(_lock);
        seen = _status;
        of_master = _master_status;
    }
    if ((seen & (status::error | status::fault)) != 0) {
        return outcome::failed;
    }
    const bool moved = !moves || (of_master & (master::error | master::active)) == 0;
    return moved && (seen & status::data_request) == 0 ? outcome::good : outcome::again;
}

channel::outcome channel::run_once(const task& what, std::span<const dma_piece> pieces) {
    (void)_slot.take();
    outcome how = outcome::again;
    if (!_gone && begin(what, pieces) && wait_for_end() &&
        _slot.outcome_of(0) == outcome::good) {
        how = judge(!pieces.empty());
    }
    master_out(master::command, 0);
    if (how == outcome::again) {
        recover();
    }
    _slot.release(0);
    return how;
}

result<void> channel::run_direct(const task& what, std::span<const dma_piece> pieces) {
    for (u32 attempt = 0; attempt < most_attempts && !_gone; ++attempt) {
        switch (run_once(what, pieces)) {
            case outcome::good: return {};
            case outcome::again: break;
            default:
                log_warning("ide: {}, device {} fails command {:x} at sector {}", _name, what.unit,
                            static_cast<u32>(what.what), what.sector);
                return err::io;
        }
    }
    return err::io;
}

// Memory that the adapter does not reach: a few sectors at a time, by memory that it does.
result<void> channel::run_through_bounce(const task& what, std::span<const dma_piece> pieces) {
    lock_guard guard(_bounce_lock);
    const u32 sector_size = static_cast<u32>(bytes_of(pieces) / what.sectors);
    const u32 most = static_cast<u32>(bounce_size) / sector_size;
    usize taken = 0;  // bytes of the first piece
    auto copy = [&](usize size, bool out_of) {
        for (std::byte* at = _bounce; size != 0;) {
            std::byte* const memory = dma_memory(pieces[0].address) + taken;
            const usize part = std::min<usize>(size, pieces[0].length - taken);
            __builtin_memcpy(out_of ? at : memory, out_of ? memory : at, part);
            at += part;
            size -= part;
            taken += part;
            if (taken == pieces[0].length) {
                pieces = pieces.subspan(1);
                taken = 0;
            }
        }
    };
    for (u32 done = 0; done < what.sectors;) {
        task part = what;
        part.sector += done;
        part.sectors = std::min(most, what.sectors - done);
        const usize bytes = usize{part.sectors} * sector_size;
        const dma_piece whole{dma_address(_bounce), static_cast<u32>(bytes)};
        if (what.to_device) {
            copy(bytes, true);
        }
        TRY(run_direct(part, {&whole, 1}));
        if (!what.to_device) {
            copy(bytes, false);
        }
        done += part.sectors;
    }
    return {};
}

result<void> channel::run(const task& what, std::span<const dma_piece> pieces) {
    return reaches(pieces) ? run_direct(what, pieces) : run_through_bounce(what, pieces);
}

// ---- interrupts and errors ----

void channel::on_interrupt() {
    irq_guard guard(_lock);
    const u8 of_master = master_in(master::status);
    if (++_strays == most_strays) {
        log_error("ide: {} interrupts without end; it is not used any more", _name);
        give_up();
        (void)_slot.finish(0, outcome::again);
    }
    if (_gone || (of_master & master::interrupt) == 0) {
        return;
    }
    // Which takes the interrupt back.
    const u8 seen = in(reg::status);
    master_out(master::status,
               static_cast<u8>((of_master & master::drives_do_dma) | master::interrupt));
    if (!_waiting || (seen & status::busy) != 0) {
        return;
    }
    _strays = 0;
    _waiting = false;
    _status = seen;
    _master_status = of_master;
    (void)_slot.finish(0, outcome::good);
}

void channel::give_up() {
    _gone = true;
    _ports.cut_off();
}

// With the slot, so nobody else is at it.
void channel::recover() {
    if (_gone) {
        return;
    }
    if (++_resets > most_resets) {
        log_error("ide: {} was reset {} times; it is not used any more", _name, most_resets);
        give_up();
        return;
    }
    log_warning("ide: {} is reset", _name);
    _ports.out8(_control, control_reset);
    wait(reset_length);
    _ports.out8(_control, 0);
    wait(reset_pause);
    if (!wait_until_idle(_waiting_for.reset)) {
        log_error("ide: {} does not react to a reset; it is not used any more", _name);
        give_up();
    }
}

}  // namespace kiln::ide
