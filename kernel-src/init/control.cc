// kernel only: a kernel thread that reads the control port.
//
// What it cannot read it names in the log and skips: the host's mistakes never end the program.
#include "init/control.hh"

#include "core/console.hh"
#include "core/log.hh"
#include "core/thread.hh"
#include "lib/json.hh"
#include "linux/signal.hh"

namespace kiln {
namespace {

constexpr usize longest_request = 512;

result<int> signal_of(std::string_view line) {
    json_fault fault;
    const json_document document = TRY(json_document::parse(line, fault));
    const json_value request = TRY(document.root().find("request"));
    const std::string_view name = TRY(request.as_text());
    if (name == "shutdown") {
        return signo::term;
    }
    if (name != "signal") {
        return err::inval;
    }
    const json_value wanted = TRY(document.root().find("signal"));
    const i64 number = TRY(wanted.as_i64());
    return number >= 1 && number <= signal_limit ? result<int>(static_cast<int>(number)) : err::inval;
}

void obey(std::string_view line) {
    const result<int> signal = signal_of(line);
    if (signal.ok()) {
        log_info("the host asks for signal {}", signal.value());
        send_process_signal(signal.value());
    } else {
        log_warning("the control channel brought a line that is no request: {}", line);
    }
}

// One line without its end; false when the host has closed the channel. A longer one is cut.
bool read_line(byte_port& from, std::span<char> to, usize& size) {
    size = 0;
    for (;;) {
        std::byte next;
        const result<usize> got = from.read({&next, 1}, false);
        if (!got.ok() || got.value() == 0) {
            return false;
        }
        if (static_cast<char>(next) == '\n') {
            return true;
        }
        if (size < to.size()) {
            to[size++] = static_cast<char>(next);
        }
    }
}

void listen(void*) {
    char line[longest_request];
    usize size = 0;
    while (read_line(*the_console().control, line, size)) {
        obey({line, size});
    }
}

}  // namespace

void start_control_channel() {
    if (the_console().control != nullptr && !start_kernel_thread("control", listen, nullptr).ok()) {
        log_error("no memory to listen to the control channel");
    }
}

}  // namespace kiln
