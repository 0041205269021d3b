// The encodings of .eh_frame: a cursor over bytes of a memory_view. Internal to the unwinder.
//
// Always holds: after a failed read `ok` is false and every further value is 0, so that callers
// check once, at the end of a structure.
#pragma once

#include "lib/memory_view.hh"

namespace kiln {

// DW_EH_PE_*: how a pointer is stored (LSB core, table 10-1).
namespace pointer_encoding {
inline constexpr u8 absolute = 0x00, uleb128 = 0x01, udata2 = 0x02, udata4 = 0x03, udata8 = 0x04,
                    sleb128 = 0x09, sdata2 = 0x0a, sdata4 = 0x0b, sdata8 = 0x0c, format = 0x0f,
                    relative_to_place = 0x10, relative_to_data = 0x30, base = 0x70, indirect = 0x80,
                    omitted = 0xff;
}

class unwind_reader {
public:
    unwind_reader(const memory_view& memory, u64 at, u64 end)
        : _memory(&memory), _at(at), _end(end) {}

    u64 at() const { return _at; }
    u64 end() const { return _end; }
    bool ok() const { return _ok; }
    bool at_end() const { return !_ok || _at >= _end; }

    void fail() { _ok = false; }
    void skip(u64 size) {
        if (size > _end - _at || at_end()) {
            _ok = _ok && size == 0;
            return;
        }
        _at += size;
    }
    // The next `size` bytes end the structure.
    void limit(u64 size) {
        if (size > _end - _at) {
            _ok = false;
            return;
        }
        _end = _at + size;
    }

    template <class T>
    T number() {
        T value{};
        if (!_ok || _end - _at < sizeof(T) || !_memory->load(_at, value)) {
            _ok = false;
            return T{};
        }
        _at += sizeof(T);
        return value;
    }

    u64 uleb128() {
        u64 value = 0;
        for (u32 shift = 0; shift < 64; shift += 7) {
            const u8 byte = number<u8>();
            value |= u64{byte & 0x7fu} << shift;
            if ((byte & 0x80) == 0) {
                return value;
            }
        }
        _ok = false;
        return 0;
    }

    i64 sleb128() {
        u64 value = 0;
        for (u32 shift = 0; shift < 64; shift += 7) {
            const u8 byte = number<u8>();
            value |= u64{byte & 0x7fu} << shift;
            if ((byte & 0x80) == 0) {
                const bool negative = (byte & 0x40) != 0 && shift + 7 < 64;
                return static_cast<i64>(negative ? value | ~u64{0} << (shift + 7) : value);
            }
        }
        _ok = false;
        return 0;
    }

    // A pointer that is not indirect; `data` is the address that "relative to data" means.
    u64 pointer(u8 encoding, u64 data) {
        const u64 place = _at;
        const u64 value = encoded(encoding & pointer_encoding::format);
        switch (encoding & pointer_encoding::base) {
            case 0: return value;
            case pointer_encoding::relative_to_place: return value + place;
            case pointer_encoding::relative_to_data: return value + data;
            default: _ok = false; return 0;
        }
    }

private:
    u64 encoded(u8 format) {
        switch (format) {
            case pointer_encoding::absolute:
            case pointer_encoding::udata8:
            case pointer_encoding::sdata8: return number<u64>();
            case pointer_encoding::udata2: return number<u16>();
            case pointer_encoding::udata4: return number<u32>();
            case pointer_encoding::sdata2: return static_cast<u64>(i64{number<i16>()});
            case pointer_encoding::sdata4: return static_cast<u64>(i64{number<i32>()});
            case pointer_encoding::uleb128: return uleb128();
            case pointer_encoding::sleb128: return static_cast<u64>(sleb128());
            default: _ok = false; return 0;
        }
    }

    const memory_view* _memory;
    u64 _at;
    u64 _end;
    bool _ok = true;
};

}  // namespace kiln
