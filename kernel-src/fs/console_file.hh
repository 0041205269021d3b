// Files on the console's ports (core/console.hh): the standard streams and /dev/console.
//
// With virtio-serial ports a stream looks like a pipe, unless the host side is a terminal; on the
// plain serial console it is a terminal. Context: threads.
#pragma once

#include "core/console.hh"
#include "fs/file.hh"

namespace kiln {

class console_file final : public file {
public:
    // Either port may be null: then reading gives end of file, writing EIO.
    console_file(byte_port* input, byte_port* output, u32 flags, u64 number)
        : file(flags), _input(input), _output(output), _number(number) {}

    result<usize> read(io_vector& to, u64& position) override;
    result<usize> write(io_vector& from, u64& position) override;
    u32 poll_events() override;
    wait_queue* poll_queue() override;
    result<i64> ioctl(u32 command, u64 argument) override;
    result<void> status(file_status& to) override;
    result<usize> describe(std::span<char> to) override;
    result<void> sync(bool) override { return err::inval; }
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }
    bool can_signal() const override { return _input != nullptr || _output != nullptr; }

    bool is_terminal() const override;

private:

    byte_port* const _input;
    byte_port* const _output;
    const u64 _number;
};

result<ref<file>> open_console(u32 flags);
// /dev/tty: the console if that is a terminal; nxio as for a process without one if not.
result<ref<file>> open_controlling_terminal(u32 flags);

}  // namespace kiln
