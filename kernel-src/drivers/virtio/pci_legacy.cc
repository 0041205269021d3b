// kernel only
// The registers of devices older than VIRTIO 1.0, in an I/O BAR (VIRTIO 1.2, 4.1.4.10).
#include "arch/x86_64/ports.hh"
#include "drivers/virtio/pci_transport.hh"

namespace kiln::virtio {
namespace {

constexpr u16 device_feature_bits = 0, driver_feature_bits = 4, queue_page = 8, queue_length = 12,
              queue_select = 14, queue_notify = 16, device_status = 18, interrupt_status = 19,
              config_message = 20, queue_message = 22;
constexpr u16 config_with_messages = 24, config_without = 20;

class legacy_transport final : public pci_transport {
public:
    // Messages move the device's own registers.
    legacy_transport(pci::function& of, const pci::interrupt_source& interrupts, u16 port)
        : pci_transport(of, interrupts),
          _port(port),
          _config(interrupts.has_msix() ? config_with_messages : config_without) {}

    bool legacy() const override { return true; }
    bool fixed_queue_size() const override { return true; }
    u64 device_features() override { return in32(at(device_feature_bits)); }
    void set_driver_features(u64 features) override {
        out32(at(driver_feature_bits), static_cast<u32>(features));
    }
    u8 status() override { return in8(at(device_status)); }
    void set_status(u8 status) override { out8(at(device_status), status); }
    // There is no generation counter: a value that reads the same twice is taken for whole.
    void read_config(u32 offset, void* to, usize size) override {
        auto* bytes = static_cast<u8*>(to);
        bool same = false;
        for (u32 attempt = 0; attempt < 16 && !same; ++attempt) {
            same = attempt != 0;
            for (usize i = 0; i < size; ++i) {
                const u8 value = in8(at(static_cast<u16>(_config + offset + i)));
                same = same && bytes[i] == value;
                bytes[i] = value;
            }
        }
    }
    u8 take_interrupt_status() override { return in8(at(interrupt_status)); }
    void set_config_message(u16 message) override {
        if (_config == config_with_messages) {
            out16(at(config_message), message);
        }
    }

    u16 queue_size(u16 index) override {
        out16(at(queue_select), index);
        return in16(at(queue_length));
    }

    result<doorbell> enable_queue(u16 index, const queue& made, u16 message) override {
        out16(at(queue_select), index);
        if (made.size() != in16(at(queue_length))) {
            return err::io;  // the size is the device's to choose
        }
        const u64 page = dma_address(made.descriptors()) >> page_shift;
        if (page > 0xffff'ffff) {
            return err::nomem;
        }
        if (message != no_message) {
            out16(at(queue_message), message);
            if (in16(at(queue_message)) != message) {
                return err::io;
            }
        }
        out32(at(queue_page), static_cast<u32>(page));
        return doorbell::at_port(at(queue_notify), index);
    }

private:
    u16 at(u16 offset) const { return static_cast<u16>(_port + offset); }

    u16 _port;
    u16 _config;
};

}  // namespace

result<unique<transport>> open_legacy(pci::function& of, const pci::interrupt_source& interrupts) {
    const u16 port = TRY(pci::io_bar(of, 0));
    return unique<transport>(TRY(make_unique<legacy_transport>(of, interrupts, port)));
}

}  // namespace kiln::virtio
