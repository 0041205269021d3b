// IDE against an adapter that behaves, one that is silent, and ones that mean harm.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "drivers/ide/disk.hh"
#include "tests/interrupt_line.hh"

namespace kiln::ide {
namespace {

constexpr u16 command_ports = 0x1f0, control_port = 0x3f6, master_ports = 0xc000;

// What an adapter does that it should not.
enum class harm : u8 {
    none,
    silence,         // no interrupt, and busy
    lost_interrupt,  // done, and does not say so
    device_error,    // the disk says no
    master_error,    // the bus master could not
    early,           // says that it is done, while the bus master runs
    wants_data,      // and now for something completely different
    interrupts,      // without end
};

// Memory below 4 GiB, as the adapter wants it.
class low_memory {
public:
    explicit low_memory(usize size) : _size(size) {
        _start = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        EXPECT_NE(_start, MAP_FAILED);
    }
    ~low_memory() { munmap(_start, _size); }
    std::byte* data() const { return static_cast<std::byte*>(_start); }
    std::span<std::byte> first(usize size) const { return {data(), size}; }

private:
    usize _size;
    void* _start;
};

struct drive {
    bool present = false, is_disk = true, has_long = true, has_cache = true;
    std::vector<u8> bytes;
    u32 flushes = 0;
    u64 sectors() const { return bytes.size() / 512; }
};

class simulated_adapter final : public ports {
public:
    u8 in8(u16 port) override {
        std::lock_guard hold(_lock);
        switch (port) {
            case command_ports + reg::count: return chosen().present ? _count[1] : u8{0};
            case command_ports + reg::address_low: return chosen().present ? _low[1] : u8{0};
            case command_ports + reg::status:
            case control_port: return status_now();
            case master_ports + master::status: return _master_status;
            default: return 0;
        }
    }
    u16 in16(u16) override {
        std::lock_guard hold(_lock);
        const u16 word = _words[_word++ % 256];
        _status &= _word == 256 ? ~status::data_request : 0xff;
        return word;
    }
    void out8(u16 port, u8 value) override {
        std::lock_guard hold(_lock);
        write(port, value);
    }
    void out32(u16 port, u32 value) override {
        EXPECT_EQ(port, master_ports + master::table);
        std::lock_guard hold(_lock);
        _table = value;
    }
    void cut_off() override { was_cut_off = true; }

    interrupt_line line;
    drive drives[2];
    harm does = harm::none;
    u32 harms_left = ~u32{0};
    bool answers_resets = true;
    std::atomic<bool> was_cut_off{false};
    std::atomic<u32> resets{0}, commands{0};
    u8 last_command = 0;

private:
    drive& chosen() { return drives[_device >> 4 & 1]; }
    u8 status_now() { return chosen().present ? _status : u8{0}; }

    void write(u16 port, u8 value) {
        switch (port) {
            case command_ports + reg::count: push(_count, value); break;
            case command_ports + reg::address_low: push(_low, value); break;
            case command_ports + reg::address_middle: push(_middle, value); break;
            case command_ports + reg::address_high: push(_high, value); break;
            case command_ports + reg::device: _device = value; break;
            case command_ports + reg::command: take_command(value); break;
            case control_port: control(value); break;
            case master_ports + master::command: master_command(value); break;
            case master_ports + master::status:
                _master_status = static_cast<u8>(
                    (_master_status & ~(value & (master::error | master::interrupt)) &
                     ~master::drives_do_dma) |
                    (value & master::drives_do_dma));
                break;
            default: break;
        }
    }
    static void push(u8 (&pair)[2], u8 value) {
        pair[0] = pair[1];
        pair[1] = value;
    }
    void control(u8 value) {
        _quiet = (value & control_quiet) != 0;
        if ((value & control_reset) != 0) {
            ++resets;
            _status = answers_resets ? u8{0x50} : status::busy;
            _pending = 0;
        }
    }
    void take_command(u8 value) {
        last_command = value;
        ++commands;
        drive& on = chosen();
        if (!on.present) {
            return;
        }
        if (value == static_cast<u8>(ata::command::identify)) {
            _status = on.is_disk ? 0x58 : 0x51;
            describe(on);
            return;
        }
        _status = 0x50 | status::busy;
        if (value == static_cast<u8>(ata::command::flush) ||
            value == static_cast<u8>(ata::command::flush_short)) {
            ++on.flushes;
            return finish();
        }
        _pending = value;
    }
    void master_command(u8 value) {
        const bool starts = (value & master::start) != 0;
        _to_memory = (value & master::to_memory) != 0;
        if (!starts) {
            _master_status &= ~master::active;
        } else if (_pending != 0) {
            _master_status |= master::active;
            move();
        }
    }
    u64 sector() const {
        if (_pending == 0xc8 || _pending == 0xca) {
            return _low[1] | u64{_middle[1]} << 8 | u64{_high[1]} << 16 | u64{_device & 0xfu} << 24;
        }
        return _low[1] | u64{_middle[1]} << 8 | u64{_high[1]} << 16 | u64{_low[0]} << 24 |
               u64{_middle[0]} << 32 | u64{_high[0]} << 40;
    }
    u32 sectors() const {
        const bool is_short = _pending == 0xc8 || _pending == 0xca;
        const u32 count = is_short ? _count[1] : u32{_count[0]} << 8 | _count[1];
        return count != 0 ? count : is_short ? 256u : 65536u;
    }
    void move() {
        const harm now = harms_left != 0 ? does : harm::none;
        harms_left -= now != harm::none ? 1 : 0;
        if (now == harm::silence) {
            return;
        }
        const bool reads = _pending == 0x25 || _pending == 0xc8;
        EXPECT_EQ(reads, _to_memory);
        if (now == harm::none || now == harm::lost_interrupt) {
            move_bytes(reads);
        }
        _pending = 0;
        _master_status &= now == harm::early ? 0xff : ~master::active;
        _master_status |= now == harm::master_error ? master::error : 0;
        finish();
        _status |= now == harm::device_error ? status::error : 0;
        _status |= now == harm::wants_data ? status::data_request : 0;
        if (now == harm::lost_interrupt) {
            _master_status &= ~master::interrupt;
        }
    }
    void move_bytes(bool reads) {
        usize at = sector() * 512, left = usize{sectors()} * 512;
        const auto* table = reinterpret_cast<const region*>(u64{_table});
        for (bool last = false; !last; ++table) {
            const usize length = table->length != 0 ? table->length : region_limit;
            ASSERT_LE(length, left);
            ASSERT_LE(table->address % region_limit + length, region_limit);
            auto* memory = reinterpret_cast<u8*>(u64{table->address});
            u8* disk = &chosen().bytes.at(at);
            std::memcpy(reads ? memory : disk, reads ? disk : memory, length);
            at += length;
            left -= length;
            last = (table->flags & last_region) != 0;
        }
        EXPECT_EQ(left, 0u);
    }
    void finish() {
        _status = 0x50;
        if (!_quiet) {
            _master_status |= master::interrupt;
            line.raise();
        }
    }
    void describe(const drive& on) {
        std::memset(_words, 0, sizeof(_words));
        _word = 0;
        _words[49] = 3u << 8;
        _words[60] = static_cast<u16>(on.sectors());
        _words[61] = static_cast<u16>(on.sectors() >> 16);
        _words[82] = on.has_cache ? 1u << 5 : 0;
        _words[83] = static_cast<u16>(1u << 14 | (on.has_long ? 1u << 10 : 0u));
        _words[100] = static_cast<u16>(on.sectors());
        _words[101] = static_cast<u16>(on.sectors() >> 16);
    }

    std::mutex _lock;
    u8 _count[2]{}, _low[2]{}, _middle[2]{}, _high[2]{}, _device = 0;
    u8 _status = 0x50, _master_status = 0x60, _pending = 0;
    bool _quiet = false, _to_memory = false;
    u32 _table = 0;
    u16 _words[256]{};
    u32 _word = 0;
};

struct rig {
    explicit rig(u64 command_patience = 30 * ns_per_s, u64 sectors = 4000)
        : tested(adapter, command_ports, control_port, "the channel",
                 {20 * ns_per_ms, command_patience, 20 * ns_per_ms}),
          memory(channel::memory_size), buffer(2 * MiB) {
        std::mt19937 random(1);
        for (drive& each : adapter.drives) {
            each.bytes.resize(sectors * 512);
            for (u8& byte : each.bytes) {
                byte = static_cast<u8>(random());
            }
        }
        adapter.drives[0].present = true;
    }
    ~rig() { adapter.line.disconnect(); }
    // The disk of that number.
    std::unique_ptr<disk> start(u32 unit = 0) {
        auto identity = tested.identify(unit);
        EXPECT_TRUE(identity.ok());
        auto made = std::make_unique<disk>(tested, unit, identity.value());
        EXPECT_TRUE(made->start('a').ok());
        open();
        return made;
    }
    void open() {
        adapter.line.connect([this] { tested.on_interrupt(); });
        tested.start(master_ports, memory.data());
    }
    simulated_adapter adapter;
    channel tested;
    low_memory memory, buffer;
};

void read_and_write(rig& on, disk& tested, std::vector<u8>& bytes) {
    std::mt19937 random(2);
    std::vector<u8> copy = bytes;
    for (int i = 0; i < 120; ++i) {
        const usize size = 1 + random() % (i % 3 == 0 ? 1'500'000 : 10'000);
        const usize offset = random() % (copy.size() - size);
        std::vector<std::byte> high(size);
        // Memory that the adapter does not reach, and such that it does, crossing 64 KiB.
        const std::span<std::byte> part =
            i % 4 < 2 ? std::span(high) : on.buffer.first(size + i % 8 * 2).subspan(i % 8 * 2);
        if (i % 2 == 0) {
            ASSERT_TRUE(tested.read(offset, part).ok());
            ASSERT_EQ(std::memcmp(part.data(), &copy[offset], size), 0) << i;
        } else {
            std::memset(part.data(), i, size);
            ASSERT_TRUE(tested.write(offset, part).ok());
            std::memset(&copy[offset], i, size);
        }
    }
    EXPECT_EQ(copy, bytes);
    EXPECT_EQ(on.adapter.resets, 0u);
}

TEST(ide, reads_and_writes_any_bytes) {
    rig on;
    const auto tested = on.start();
    EXPECT_EQ(tested->size_in_bytes(), 4000u * 512);
    read_and_write(on, *tested, on.adapter.drives[0].bytes);
}

TEST(ide, the_second_disk_with_short_addresses) {
    rig on;
    on.adapter.drives[1].present = true;
    on.adapter.drives[1].has_long = false;
    const std::vector<u8> other = on.adapter.drives[0].bytes;
    const auto tested = on.start(1);
    read_and_write(on, *tested, on.adapter.drives[1].bytes);
    EXPECT_EQ(on.adapter.drives[0].bytes, other);
    ASSERT_TRUE(tested->flush().ok());
    EXPECT_EQ(on.adapter.last_command, 0xe7);
}

TEST(ide, both_disks_at_once) {
    rig on;
    on.adapter.drives[1].present = true;
    auto second = on.tested.identify(1);
    ASSERT_TRUE(second.ok());
    const auto first = on.start();
    disk other(on.tested, 1, second.value());
    ASSERT_TRUE(other.start('b').ok());
    std::vector<std::thread> threads;
    for (u32 number = 0; number < 4; ++number) {
        threads.emplace_back([&, number] {
            std::mt19937 random(number);
            for (int i = 0; i < 50; ++i) {
                std::vector<std::byte> part(1 + random() % 5'000);
                const std::vector<u8>& bytes = on.adapter.drives[number % 2].bytes;
                const usize offset = random() % (bytes.size() - part.size());
                ASSERT_TRUE((number % 2 == 0 ? *first : other).read(offset, part).ok());
                ASSERT_EQ(std::memcmp(part.data(), &bytes[offset], part.size()), 0);
            }
        });
    }
    for (std::thread& each : threads) {
        each.join();
    }
}

TEST(ide, the_cache_is_emptied_where_there_is_one) {
    rig on;
    const auto tested = on.start();
    ASSERT_TRUE(tested->flush().ok());
    EXPECT_EQ(on.adapter.drives[0].flushes, 1u);
    EXPECT_EQ(on.adapter.last_command, 0xea);
    rig without;
    without.adapter.drives[0].has_cache = false;
    ASSERT_TRUE(without.start()->flush().ok());
    EXPECT_EQ(without.adapter.drives[0].flushes, 0u);
}

TEST(ide, what_is_no_disk_is_left_alone) {
    rig on;
    EXPECT_EQ(on.tested.identify(1).error(), err::nodev);
    on.adapter.drives[0].is_disk = false;
    EXPECT_EQ(on.tested.identify(0).error(), err::nodev);
    on.adapter.drives[0].present = false;
    EXPECT_EQ(on.tested.identify(0).error(), err::nodev);
    EXPECT_EQ(on.adapter.commands, 1u) << "the absent ones were asked";
}

TEST(ide, a_disk_that_says_no_is_an_error) {
    rig on;
    const auto tested = on.start();
    on.adapter.does = harm::device_error;
    on.adapter.harms_left = 1;
    EXPECT_EQ(tested->read(0, on.buffer.first(512)).error(), err::io);
    EXPECT_EQ(on.adapter.resets, 0u);
    EXPECT_TRUE(tested->read(0, on.buffer.first(512)).ok());
}

TEST(ide, one_fault_costs_a_reset) {
    for (const harm what : {harm::silence, harm::master_error, harm::early, harm::wants_data}) {
        rig on(20 * ns_per_ms);
        const auto tested = on.start();
        on.adapter.does = what;
        on.adapter.harms_left = 1;
        EXPECT_TRUE(tested->read(512, on.buffer.first(512)).ok()) << static_cast<int>(what);
        EXPECT_EQ(std::memcmp(on.buffer.data(), &on.adapter.drives[0].bytes[512], 512), 0);
        EXPECT_GE(on.adapter.resets, 1u) << static_cast<int>(what);
        EXPECT_FALSE(on.adapter.was_cut_off);
    }
}

TEST(ide, one_that_goes_on_is_switched_off) {
    for (const harm what : {harm::silence, harm::lost_interrupt, harm::master_error, harm::early,
                            harm::wants_data}) {
        rig on(2 * ns_per_ms);
        const auto tested = on.start();
        on.adapter.does = what;
        for (int i = 0; i < 50 && !on.adapter.was_cut_off; ++i) {
            EXPECT_EQ(tested->read(512, on.buffer.first(512)).error(), err::io);
        }
        EXPECT_TRUE(on.adapter.was_cut_off) << static_cast<int>(what);
        const u32 given = on.adapter.commands;
        EXPECT_EQ(tested->read(512, on.buffer.first(512)).error(), err::io);
        EXPECT_EQ(on.adapter.commands, given) << "it was still asked";
    }
}

TEST(ide, interrupts_without_end_switch_it_off) {
    rig on;
    const auto tested = on.start();
    on.adapter.line.disconnect();
    for (int i = 0; i < 9'999; ++i) {
        on.tested.on_interrupt();
    }
    EXPECT_FALSE(on.adapter.was_cut_off);
    on.tested.on_interrupt();
    EXPECT_TRUE(on.adapter.was_cut_off);
    EXPECT_EQ(tested->read(0, on.buffer.first(512)).error(), err::io);
}

TEST(ide, one_that_does_not_react_to_a_reset_is_switched_off) {
    rig on(2 * ns_per_ms);
    const auto tested = on.start();
    on.adapter.does = harm::silence;
    on.adapter.answers_resets = false;
    EXPECT_EQ(tested->read(0, on.buffer.first(512)).error(), err::io);
    EXPECT_TRUE(on.adapter.was_cut_off);
    EXPECT_EQ(on.adapter.resets, 1u);
}

}  // namespace
}  // namespace kiln::ide
