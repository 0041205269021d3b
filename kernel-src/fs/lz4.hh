// LZ4 block decompression (LZ4 Block Format Description, github.com/lz4/lz4 doc), with a sliding
// window so that the output need not be one piece of memory.
//
// Nothing in the input is trusted. Context: any; allocates nothing.
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class lz4_decoder {
public:
    // Takes the output, in order; the bytes are valid during the call.
    class sink {
    public:
        virtual void put(std::span<const std::byte> bytes) = 0;

    protected:
        ~sink() = default;
    };

    // Matches reach back this far.
    static constexpr usize history = 64 * KiB;

    // `window` is scratch memory of more than twice `history`.
    lz4_decoder(std::span<std::byte> window, sink& to) : _window(window), _sink(to) {}

    // Decodes until `wanted` bytes are out. err::io when the input is damaged or ends too early.
    result<void> decode(std::span<const std::byte> input, u64 wanted);

private:
    bool take_length(u32 nibble, u64& length);
    bool copy_literals(u64 length);
    bool copy_match(usize distance, u64 length);
    void flush();
    usize room();
    u64 left() const { return _wanted - _total; }

    std::span<std::byte> _window;
    sink& _sink;
    const std::byte* _in = nullptr;
    const std::byte* _in_end = nullptr;
    usize _at = 0;  // where the next byte goes in the window
    usize _delivered = 0;
    u64 _total = 0;
    u64 _wanted = 0;
};

}  // namespace kiln
