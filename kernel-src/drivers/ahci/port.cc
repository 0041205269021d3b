// kernel only
#include "drivers/ahci/port.hh"

#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/ata/identity.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/poll.hh"

namespace kiln::ahci {
namespace {

// Serial ATA AHCI 1.3.1, 10.1.2 and 10.4.2: how long an engine may take to stop, a link to come up.
constexpr u64 engine_patience = 500 * ns_per_ms, link_patience = 1 * ns_per_s,
              reset_length = 1 * ns_per_ms;
// A disk that has been asleep may take that long to become ready.
constexpr u64 ready_patience = 10 * ns_per_s, command_patience = 30 * ns_per_s;
constexpr u32 most_attempts = 5;
constexpr usize list_size = 1024, table_stride = align_up(sizeof(command_table), usize{128});
constexpr usize longest_transfer = 1 * MiB;
constexpr u32 interrupts = port_reg::device_to_host | port_reg::pio_setup | port_reg::dma_setup |
                           port_reg::errors;

}  // namespace

u32 port::read_register(usize offset) const {
    return mmio_read<u32>(_registers, offset);
}

void port::write_register(usize offset, u32 value) {
    mmio_write<u32>(_registers, offset, value);
}

// ---- the port's engines ----

bool port::stop_engine() {
    const u32 now = read_register(port_reg::command);
    write_register(port_reg::command, now & ~port_reg::start);
    const bool list = poll_until(
        [&] { return (read_register(port_reg::command) & port_reg::list_running) == 0; },
        engine_patience);
    write_register(port_reg::command, now & ~(port_reg::start | port_reg::fis_receive));
    const bool fis = poll_until(
        [&] { return (read_register(port_reg::command) & port_reg::fis_running) == 0; },
        engine_patience);
    return list && fis;
}

// With the engine for what the device sends alone: it says what it is, and that it is ready.
bool port::listen() {
    write_register(port_reg::sata_error, ~u32{0});
    write_register(port_reg::interrupt_status, ~u32{0});
    write_register(port_reg::command, read_register(port_reg::command) | port_reg::fis_receive);
    return poll_until(
        [&] {
            return (read_register(port_reg::task_file) &
                    (port_reg::busy | port_reg::data_request)) == 0;
        },
        ready_patience);
}

bool port::start_engine() {
    if (!listen()) {
        return false;
    }
    write_register(port_reg::command, read_register(port_reg::command) | port_reg::start);
    write_register(port_reg::interrupt_enable, interrupts);
    return true;
}

bool port::reset_link() {
    write_register(port_reg::sata_control, 1);
    for (const u64 end = deadline_after(reset_length); now() < end;) {
        park(end);
    }
    write_register(port_reg::sata_control, 0);
    return poll_until([&] { return link_state() == port_reg::link_up; }, link_patience);
}

bool port::has_device() {
    constexpr u32 power = port_reg::spin_up | port_reg::power_on;
    const u32 state = read_register(port_reg::command);
    if ((state & power) != power) {
        write_register(port_reg::command, state | power);
    }
    // Something there that cannot be talked to yet.
    if (link_state() != 0 && link_state() != port_reg::link_up) {
        (void)poll_until([&] { return link_state() == port_reg::link_up; }, link_patience);
    }
    return link_state() == port_reg::link_up;
}

result<void> port::allocate() {
    const usize pages = align_up(_slot_count * table_stride, page_size) >> page_shift;
    page* lists = TRY(alloc_zeroed_page());
    page* tables = TRY(alloc_pages(static_cast<u32>(std::bit_width(pages - 1))));
    _list = static_cast<command_header*>(page_data(*lists));
    _tables = static_cast<std::byte*>(page_data(*tables));
    __builtin_memset(_tables, 0, pages << page_shift);
    _slots.init(_slot_count);
    const u64 list = dma_address(_list), fis = list + list_size;
    write_register(port_reg::command_list, static_cast<u32>(list));
    write_register(port_reg::command_list + 4, static_cast<u32>(list >> 32));
    write_register(port_reg::received_fis, static_cast<u32>(fis));
    write_register(port_reg::received_fis + 4, static_cast<u32>(fis >> 32));
    return {};
}

result<bool> port::find_disk() {
    if (!stop_engine() && !(reset_link() && stop_engine())) {
        log_error("ahci: port {} does not stop", _number);
        return err::io;
    }
    TRY(allocate());
    if (!listen()) {
        log_error("ahci: port {} is busy after {} s", _number, ready_patience / ns_per_s);
        return err::io;
    }
    if (read_register(port_reg::signature) == port_reg::disk_signature) {
        return true;
    }
    (void)stop_engine();
    return false;
}

result<void> port::start(char letter) {
    _name[2] = letter;
    if (!start_engine()) {
        return err::io;
    }
    {
        irq_guard guard(_lock);
        _running = true;
    }
    page* answer = TRY(alloc_zeroed_page());
    const auto* words = static_cast<const u16*>(page_data(*answer));
    const dma_piece piece{dma_address(words), 512};
    auto asked = run(ata::command::identify, 0, {&piece, 1});
    auto identity = asked.ok() ? ata::read_identity(std::span<const u16, 256>(words, 256))
                               : result<ata::disk_identity>(asked.error());
    drop_page_reference(*answer);
    const ata::disk_identity found = TRY(std::move(identity));
    if (!found.has_long_addresses) {
        return err::opnotsupp;
    }
    _sector_size = found.sector_size;
    _has_write_cache = found.has_write_cache;
    return set_geometry(found.sectors, {.sector_size = found.sector_size,
                                        .longest = longest_transfer,
                                        .alignment = 2});
}

// ---- commands ----

void port::describe(u32 slot, ata::command what, u64 sector, std::span<const dma_piece> pieces) {
    auto& table = *reinterpret_cast<command_table*>(_tables + slot * table_stride);
    u64 bytes = 0;
    for (usize i = 0; i < pieces.size(); ++i) {
        table.regions[i] = {pieces[i].address, 0, pieces[i].length - 1};
        bytes += pieces[i].length;
    }
    const u64 count = what == ata::command::identify ? 0 : bytes / _sector_size;
    command_fis fis{};
    fis.type = fis_host_to_device;
    fis.flags = fis_is_command;
    fis.command = static_cast<u8>(what);
    fis.device = device_lba;
    for (u32 i = 0; i < 3; ++i) {
        fis.lba_low[i] = static_cast<u8>(sector >> (8 * i));
        fis.lba_high[i] = static_cast<u8>(sector >> (24 + 8 * i));
    }
    fis.count[0] = static_cast<u8>(count);
    fis.count[1] = static_cast<u8>(count >> 8);
    table.fis = fis;
    command_header& header = _list[slot];
    header.flags = fis_words | (what == ata::command::write_dma ? writes : u16{0});
    header.regions = static_cast<u16>(pieces.size());
    header.bytes_moved = 0;
    header.table = dma_address(&table);
}

bool port::issue(u32 slot) {
    irq_guard guard(_lock);
    if (!_running) {
        return false;
    }
    _issued |= 1u << slot;
    device_fence();
    write_register(port_reg::issue, 1u << slot);
    return true;
}

// Sleeps until the command is finished. The interrupt may be lost, or the disk: after the second
// time-out the port is started anew, which ends the command.
void port::wait_for(u32 slot) {
    for (u32 seconds = command_patience / ns_per_s;
         !_slots.wait(slot, deadline_after(command_patience));
         seconds += command_patience / ns_per_s) {
        log_warning("ahci: {} has not answered for {} s", name(), seconds);
        (void)take_finished();
        if (seconds > command_patience / ns_per_s && _slots.in_flight(slot)) {
            {
                irq_guard guard(_lock);
                _running = false;
            }
            recover();
        }
    }
}

port::outcome port::run_once(ata::command what, u64 sector, std::span<const dma_piece> pieces) {
    const u32 slot = _slots.take();
    describe(slot, what, sector, pieces);
    outcome how = outcome::again;
    if (issue(slot)) {
        wait_for(slot);
        how = _slots.outcome_of(slot);
    }
    _slots.release(slot);
    return how;
}

result<void> port::run(ata::command what, u64 sector, std::span<const dma_piece> pieces) {
    for (u32 attempt = 0; attempt < most_attempts && !_gone; ++attempt) {
        switch (run_once(what, sector, pieces)) {
            case outcome::good: return {};
            case outcome::again: recover(); break;
            default:
                log_warning("ahci: {} fails command {:x} at sector {}", name(),
                            static_cast<u32>(what), sector);
                return err::io;
        }
    }
    return err::io;
}

result<void> port::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    return run(kind == transfer_kind::read ? ata::command::read_dma : ata::command::write_dma, sector, pieces);
}

result<void> port::flush() {
    return _has_write_cache ? run(ata::command::flush, 0, {}) : result<void>();
}

// ---- completions and errors ----

bool port::on_interrupt() {
    const u32 causes = read_register(port_reg::interrupt_status);
    write_register(port_reg::interrupt_status, causes);
    bool worked = take_finished();
    if ((causes & port_reg::errors) != 0) {
        irq_guard guard(_lock);
        if (_running) {
            end_after_error(read_register(port_reg::command) >> 8 & 0x1f);
            worked = true;
        }
    }
    return worked;
}

void port::give_up() {
    irq_guard guard(_lock);
    _gone = true;
    _running = false;
    _issued = 0;
    _slots.finish_all(outcome::again);
}

// Commands are finished when the adapter has taken their bits away.
bool port::take_finished() {
    irq_guard guard(_lock);
    u32 finished = _running ? _issued & ~read_register(port_reg::issue) : 0;
    const bool any = finished != 0;
    _issued &= ~finished;
    for (; finished != 0; finished &= finished - 1) {
        (void)_slots.finish(static_cast<u32>(std::countr_zero(finished)), outcome::good);
    }
    return any;
}

// The port has stopped. `failed` is the command that it worked on; what it did not get to keeps its
// threads waiting for no longer than until one of them starts the port anew.
void port::end_after_error(u32 failed) {
    _running = false;
    write_register(port_reg::interrupt_enable, 0);
    if ((_issued & 1u << failed) != 0) {
        _issued &= ~(1u << failed);
        (void)_slots.finish(failed, outcome::failed);
    }
    for (; _issued != 0; _issued &= _issued - 1) {
        (void)_slots.finish(static_cast<u32>(std::countr_zero(_issued)), outcome::again);
    }
}

void port::recover() {
    lock_guard hold(_recovery);
    {
        irq_guard guard(_lock);
        if (_running || _gone) {
            return;
        }
    }
    log_warning("ahci: {} is started anew", name());
    bool good = stop_engine();
    const u32 state = read_register(port_reg::task_file);
    if (!good || (state & (port_reg::busy | port_reg::data_request)) != 0) {
        good = reset_link() && stop_engine();
    }
    // Only now does the adapter leave the buffers of what it had not finished alone.
    _slots.finish_all(outcome::again);
    good = good && start_engine();
    irq_guard guard(_lock);
    _issued = 0;
    good = good && !_gone;
    _running = good;
    if (!good) {
        _gone = true;
        log_error("ahci: {} does not come back; it is not used any more", name());
    }
}

}  // namespace kiln::ahci
