#include "drivers/virtio/mmio_place.hh"

namespace kiln::virtio {
namespace {

// What is left of a text that is read from its front.
struct text_reader {
    std::string_view left;

    bool take(char wanted) {
        const bool is_there = left.starts_with(wanted);
        left.remove_prefix(is_there ? 1 : 0);
        return is_there;
    }
    // False when there is no digit, or more than 64 bits.
    bool number(u64& value) {
        const bool hexadecimal = left.starts_with("0x") || left.starts_with("0X");
        left.remove_prefix(hexadecimal ? 2 : 0);
        const usize before = left.size();
        value = 0;
        for (u32 digit; !left.empty() && (digit = digit_of(left[0])) < (hexadecimal ? 16 : 10);) {
            if (__builtin_mul_overflow(value, u64{hexadecimal ? 16u : 10u}, &value) ||
                __builtin_add_overflow(value, u64{digit}, &value)) {
                return false;
            }
            left.remove_prefix(1);
        }
        return left.size() != before;
    }
    bool size(u64& value) {
        if (!number(value)) {
            return false;
        }
        const u64 unit = take('K') || take('k') ? KiB : take('M') ? MiB : take('G') ? GiB : 1;
        return !__builtin_mul_overflow(value, unit, &value);
    }

private:
    static u32 digit_of(char character) {
        if (character >= '0' && character <= '9') {
            return static_cast<u32>(character - '0');
        }
        const u32 letter = static_cast<u32>(character | 0x20) - 'a';
        return letter < 6 ? letter + 10 : 99;
    }
};

bool parse(std::string_view word, mmio_place& to) {
    constexpr std::string_view setting = "virtio_mmio.device=";
    if (!word.starts_with(setting)) {
        return false;
    }
    text_reader text{word.substr(setting.size())};
    u64 interrupt = 0, number = 0;
    const bool right = text.size(to.size) && text.take('@') &&
                       text.number(to.address) && text.take(':') && text.number(interrupt) &&
                       (text.left.empty() || (text.take(':') && text.number(number))) &&
                       text.left.empty();
    to.interrupt = static_cast<u32>(interrupt);
    to.is_isa = true;
    return right && interrupt < 256 && to.address != 0;
}

}  // namespace

result<void> find_in_boot_line(std::string_view line, vector<mmio_place>& found) {
    while (!line.empty()) {
        const std::string_view word = line.substr(0, line.find(' '));
        mmio_place place;
        if (parse(word, place)) {
            TRY(found.push_back(place));
        }
        line.remove_prefix(word.size() == line.size() ? word.size() : word.size() + 1);
    }
    return {};
}

result<void> find_in_dsdt(acpi::table_bytes dsdt, vector<mmio_place>& found) {
    acpi::device_resources device;
    while (acpi::next_device(dsdt, "LNRO0005", device)) {
        TRY(found.push_back({device.memory, device.memory_size, device.interrupt, false,
                             device.level, device.active_low}));
    }
    return {};
}

}  // namespace kiln::virtio
