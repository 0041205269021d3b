// kernel only
// Registers of VIRTIO 1.x, found by vendor capabilities (VIRTIO 1.2, 4.1.4).
#include <algorithm>

#include "drivers/mmio.hh"
#include "drivers/virtio/pci_transport.hh"

namespace kiln::virtio {
namespace {

enum class region : u8 { common = 1, notify = 2, interrupt = 3, device = 4 };

constexpr usize feature_select = 0, feature_bits = 4, driver_feature_select = 8,
                driver_feature_bits = 12, config_message = 16, device_status = 20,
                config_generation = 21, queue_select = 22, queue_length = 24, queue_message = 26,
                queue_enable = 28, queue_notify_offset = 30, queue_descriptors = 32,
                queue_available = 40, queue_used = 48, common_size = 56;

struct region_place {
    u32 bar = 0;
    u32 offset = 0;
    u32 length = 0;
    u8 capability = 0;
};

result<region_place> find_region(pci::function& of, region wanted) {
    for (u8 at = 0; (at = of.find_capability(pci::capability::vendor, at)) != 0;) {
        const u32 bar = of.read8(static_cast<u16>(at + 4));
        if (of.read8(static_cast<u16>(at + 3)) == static_cast<u8>(wanted) &&
            bar < pci::bars_of_a_device) {
            return region_place{bar, of.read(static_cast<u16>(at + 8)),
                                of.read(static_cast<u16>(at + 12)), at};
        }
    }
    return err::nodev;
}

// Longer regions are mapped so far only.
constexpr usize longest_region = 1 * MiB;

result<volatile u8*> map_region(pci::function& of, const region_place& place, usize least) {
    if (place.length < least) {
        return err::nodev;
    }
    return pci::map_bar(of, place.bar, place.offset, std::min<usize>(place.length, longest_region));
}

class modern_transport final : public pci_transport {
public:
    using pci_transport::pci_transport;

    result<void> open() {
        pci::function& of = _function;
        const region_place common = TRY(find_region(of, region::common));
        const region_place interrupt = TRY(find_region(of, region::interrupt));
        const region_place notify = TRY(find_region(of, region::notify));
        _common = TRY(map_region(of, common, common_size));
        _interrupt = TRY(map_region(of, interrupt, 1));
        _notify = TRY(map_region(of, notify, 2));
        _notify_length = static_cast<u32>(std::min<usize>(notify.length, longest_region));
        _notify_multiplier = of.read(static_cast<u16>(notify.capability + 16));
        // Some devices have no configuration of their own.
        auto device = find_region(of, region::device);
        if (device.ok()) {
            _device = TRY(map_region(of, device.value(), 1));
            _device_length =
                static_cast<u32>(std::min<usize>(device.value().length, longest_region));
        }
        return {};
    }

    bool legacy() const override { return false; }
    bool fixed_queue_size() const override { return false; }

    u64 device_features() override {
        mmio_write<u32>(_common, feature_select, 0);
        const u64 low = mmio_read<u32>(_common, feature_bits);
        mmio_write<u32>(_common, feature_select, 1);
        return low | u64{mmio_read<u32>(_common, feature_bits)} << 32;
    }
    void set_driver_features(u64 features) override {
        mmio_write<u32>(_common, driver_feature_select, 0);
        mmio_write<u32>(_common, driver_feature_bits, static_cast<u32>(features));
        mmio_write<u32>(_common, driver_feature_select, 1);
        mmio_write<u32>(_common, driver_feature_bits, static_cast<u32>(features >> 32));
    }

    u8 status() override { return mmio_read<u8>(_common, device_status); }
    void set_status(u8 status) override { mmio_write<u8>(_common, device_status, status); }

    // Read again when the device changed it meanwhile, so that fields of several bytes are whole.
    void read_config(u32 offset, void* to, usize size) override {
        auto* bytes = static_cast<u8*>(to);
        for (u32 attempt = 0; attempt < 16; ++attempt) {
            const u8 before = mmio_read<u8>(_common, config_generation);
            for (usize i = 0; i < size; ++i) {
                bytes[i] = offset + i < _device_length ? mmio_read<u8>(_device, offset + i) : u8{0};
            }
            if (mmio_read<u8>(_common, config_generation) == before) {
                return;
            }
        }
    }

    u8 take_interrupt_status() override { return mmio_read<u8>(_interrupt); }
    void set_config_message(u16 message) override {
        mmio_write<u16>(_common, config_message, message);
    }

    u16 queue_size(u16 index) override {
        mmio_write<u16>(_common, queue_select, index);
        return mmio_read<u16>(_common, queue_length);
    }

    result<doorbell> enable_queue(u16 index, const queue& made, u16 message) override {
        mmio_write<u16>(_common, queue_select, index);
        mmio_write<u16>(_common, queue_length, made.size());
        if (message != no_message) {
            mmio_write<u16>(_common, queue_message, message);
            if (mmio_read<u16>(_common, queue_message) != message) {
                return err::io;
            }
        }
        write_address(queue_descriptors, made.descriptors());
        write_address(queue_available, made.driver_area());
        write_address(queue_used, made.device_area());
        const u64 place = u64{mmio_read<u16>(_common, queue_notify_offset)} * _notify_multiplier;
        if (place + 2 > _notify_length) {
            return err::io;
        }
        mmio_write<u16>(_common, queue_enable, 1);
        return doorbell::at_memory(reinterpret_cast<volatile u16*>(_notify + place), index);
    }

private:
    void write_address(usize offset, const void* memory) {
        const u64 address = dma_address(memory);
        mmio_write<u32>(_common, offset, static_cast<u32>(address));
        mmio_write<u32>(_common, offset + 4, static_cast<u32>(address >> 32));
    }

    volatile u8* _common = nullptr;
    volatile u8* _notify = nullptr;
    volatile u8* _interrupt = nullptr;
    volatile u8* _device = nullptr;
    u32 _notify_length = 0;
    u32 _notify_multiplier = 0;
    u32 _device_length = 0;
};

}  // namespace

result<unique<transport>> open_modern(pci::function& of, const pci::interrupt_source& interrupts) {
    auto made = TRY(make_unique<modern_transport>(of, interrupts));
    TRY(made->open());
    return unique<transport>(std::move(made));
}

}  // namespace kiln::virtio
