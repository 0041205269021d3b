// kernel only
// virtio devices in memory without any bus (VIRTIO 1.2, 4.2): registers of 32 bits, and one interrupt.
// Version 2 is that of the standard, 1 the one before it, which QEMU has unless it is told otherwise.
#include <algorithm>

#include "arch/x86_64/paging.hh"
#include "core/log.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/mmio.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/mmio_place.hh"
#include "lib/forever.hh"

namespace kiln::virtio {
namespace {

constexpr usize magic_value = 0x00, version = 0x04, device_id = 0x08, feature_bits = 0x10,
                feature_select = 0x14, driver_feature_bits = 0x20, driver_feature_select = 0x24,
                guest_page_size = 0x28, queue_select = 0x30, queue_most = 0x34, queue_length = 0x38,
                queue_alignment = 0x3c, queue_page = 0x40, queue_ready = 0x44, queue_notify = 0x50,
                interrupt_status = 0x60, interrupt_acknowledge = 0x64, device_status = 0x70,
                queue_descriptors = 0x80, queue_available = 0x90, queue_used = 0xa0,
                config_generation = 0xfc, config_start = 0x100;
constexpr u32 magic = 0x7472'6976;  // "virt"
constexpr u32 most_looks = 16;

class mmio_transport final : public transport {
public:
    mmio_transport(volatile u8* registers, const mmio_place& place, bool is_legacy)
        : _registers(registers), _place(place), _legacy(is_legacy) {}

    bool legacy() const override { return _legacy; }
    bool fixed_queue_size() const override { return false; }
    u64 device_features() override {
        write(feature_select, 0);
        const u64 low = read(feature_bits);
        write(feature_select, 1);
        return _legacy ? low : low | u64{read(feature_bits)} << 32;
    }
    void set_driver_features(u64 features) override {
        for (const u32 half : {0u, 1u}) {
            write(driver_feature_select, half);
            write(driver_feature_bits, static_cast<u32>(features >> (32 * half)));
        }
        if (_legacy) {
            write(guest_page_size, page_size);
        }
    }
    u8 status() override { return static_cast<u8>(read(device_status)); }
    void set_status(u8 status) override { write(device_status, status); }

    void read_config(u32 offset, void* to, usize size) override {
        auto* bytes = static_cast<u8*>(to);
        for (u32 attempt = 0; attempt < most_looks; ++attempt) {
            const u32 before = _legacy ? 0 : read(config_generation);
            for (usize i = 0; i < size; ++i) {
                const usize at = config_start + offset + i;
                bytes[i] = at < _place.size ? mmio_read<u8>(_registers, at) : u8{0};
            }
            if (_legacy || read(config_generation) == before) {
                return;
            }
        }
    }

    // Until nothing is left, after which another cause makes an edge on the line.
    u8 take_interrupt_status() override {
        u32 causes = 0;
        for (u32 looks = 0; looks < most_looks; ++looks) {
            const u32 now = read(interrupt_status);
            if (now == 0) {
                break;
            }
            causes |= now;
            write(interrupt_acknowledge, now);
        }
        return static_cast<u8>(causes);
    }
    void set_config_message(u16) override {}

    u16 queue_size(u16 index) override {
        write(queue_select, index);
        return static_cast<u16>(std::min<u32>(read(queue_most), 0x8000));
    }
    result<doorbell> enable_queue(u16 index, const queue& made, u16) override {
        write(queue_select, index);
        write(queue_length, made.size());
        if (_legacy) {
            const u64 page = dma_address(made.descriptors()) >> page_shift;
            if (page > 0xffff'ffff) {
                return err::nomem;
            }
            write(queue_alignment, page_size);
            write(queue_page, static_cast<u32>(page));
        } else {
            write_address(queue_descriptors, made.descriptors());
            write_address(queue_available, made.driver_area());
            write_address(queue_used, made.device_area());
            write(queue_ready, 1);
        }
        return doorbell::at_wide_memory(
            reinterpret_cast<volatile u32*>(_registers + queue_notify), index);
    }

    bool has_messages() const override { return false; }
    result<void> connect(u32, interrupt_handler handler, void* context, u32 cpu) override {
        const u32 vector = TRY(allocate_interrupt_vector(handler, context, cpu));
        return route_gsi(_place.interrupt, vector, _place.level, _place.active_low, cpu);
    }
    void silence() override { mask_gsi(_place.interrupt); }
    void cut_off() override { set_status(0); }

private:
    u32 read(usize offset) const { return mmio_read<u32>(_registers, offset); }
    void write(usize offset, u32 value) { mmio_write<u32>(_registers, offset, value); }
    void write_address(usize offset, const void* memory) {
        const u64 address = dma_address(memory);
        write(offset, static_cast<u32>(address));
        write(offset + 4, static_cast<u32>(address >> 32));
    }

    volatile u8* _registers;
    mmio_place _place;
    bool _legacy;
};

struct found_device {
    mmio_place place;
    volatile u8* registers;
    u16 type;
    bool legacy;
};
constinit forever<vector<found_device>> devices;

// Slots without a device have type 0.
result<void> look_at(mmio_place place) {
    if (place.size < config_start) {
        return err::nodev;
    }
    if (place.is_isa) {
        const auto wiring = acpi::isa_interrupt(static_cast<u8>(place.interrupt));
        place.interrupt = wiring.gsi;
        place.level = wiring.level;
        place.active_low = wiring.active_low;
    }
    place.size = std::min<u64>(place.size, page_size);
    auto* registers = static_cast<volatile u8*>(TRY(map_device(place.address, place.size)));
    const u32 spoken = mmio_read<u32>(registers, version);
    if (mmio_read<u32>(registers, magic_value) != magic || spoken < 1 || spoken > 2) {
        log_warning("virtio: nothing that is known at {:x}", place.address);
        return err::nodev;
    }
    const u16 type = static_cast<u16>(mmio_read<u32>(registers, device_id));
    return type == 0 ? result<void>() : devices->push_back({place, registers, type, spoken == 1});
}

}  // namespace

result<void> find_mmio_devices(std::string_view boot_line) {
    vector<mmio_place> places;
    TRY(find_in_dsdt(acpi::tables().dsdt, places));
    TRY(find_in_boot_line(boot_line, places));
    for (const mmio_place& each : places) {
        auto outcome = look_at(each);
        if (!outcome.ok() && outcome.error() == err::nomem) {
            return outcome;
        }
    }
    return {};
}

usize mmio_device_count() {
    return devices->size();
}

u16 mmio_device_type(usize number) {
    return (*devices)[number].type;
}

u64 mmio_device_address(usize number) {
    return (*devices)[number].place.address;
}

result<unique<transport>> open_mmio_device(usize number) {
    const found_device& of = (*devices)[number];
    return unique<transport>(TRY(make_unique<mmio_transport>(of.registers, of.place, of.legacy)));
}

}  // namespace kiln::virtio
