// kernel only: starts the machine's program.
//
// Order: command line, devices, root, manifest, mounts, network, program. Whatever goes wrong before
// the program runs is a sentence and the end of the machine. One kernel thread runs all of it.
#include "init/init.hh"

#include <algorithm>

#include "arch/x86_64/clock.hh"
#include "arch/x86_64/paging.hh"
#include "arch/x86_64/rtc.hh"
#include "arch/x86_64/trap_frame.hh"
#include "core/app_config.hh"
#include "core/clock.hh"
#include "core/log.hh"
#include "core/log_port.hh"
#include "core/page.hh"
#include "core/sched.hh"
#include "drivers/devices.hh"
#include "fs/damage.hh"
#include "fs/special_files.hh"
#include "fs/vfs.hh"
#include "init/control.hh"
#include "init/ending.hh"
#include "init/network.hh"
#include "init/operator.hh"
#include "mm/address_space.hh"
#include "linux/entry.hh"
#include "linux/exec.hh"
#include "linux/process.hh"
#include "linux/syscall_table.hh"
#include "linux/task.hh"
#include "lib/sentence.hh"

namespace kiln {
namespace {

constexpr usize largest_manifest = 256 * KiB;

// The value, or the end with the sentence.
template <class T>
T must(result<T> outcome, const sentence& why) {
    if (!outcome.ok()) {
        refuse_to_start(outcome.error() == err::nomem ? "out of memory while reading the configuration"
                                                      : why.view());
    }
    return outcome.take();
}

template <class... Args>
void must_work(const result<void>& outcome, std::string_view pattern, const Args&... args) {
    if (!outcome.ok()) {
        sentence why;
        why.set(pattern, args...);
        add_reason(why, outcome.error());
        refuse_to_start(why);
    }
}

app_config read_image_manifest() {
    result<vector<char>> text = read_whole_file(manifest_path, largest_manifest);
    if (!text.ok()) {
        if (text.error() != err::noent) {
            sentence why;
            why.set("cannot read {}", manifest_path);
            add_reason(why, text.error());
            refuse_to_start(why);
        }
        return {};
    }
    sentence why;
    const vector<char>& bytes = text.value();
    return must(read_manifest({bytes.data(), bytes.size()}, why), why);
}

void mount_all(root_source root, bool& has_root) {
    block_device* device = root == root_source::none ? nullptr : find_root_device();
    has_root = device != nullptr;
    if (device == nullptr && root != root_source::none) {
        sentence why;
        why.set("no disk holds an EROFS root");
        describe_disks(why);
        refuse_to_start(why);
    }
    must_work(mount_root(device), "the root file system cannot be mounted");
    must_work(mount_standard_filesystems(), "/dev, /proc and /sys cannot be mounted");
}

void mount_scratch(const app_config& config) {
    for (const mount_config& wanted : config.mounts) {
        must_work(mount_tmpfs(wanted.path, {.size = wanted.size, .copy = wanted.copy}),
                  "cannot mount a tmpfs on {}", wanted.path.view());
    }
}

result<vector<std::string_view>> views_of(const vector<string>& strings) {
    vector<std::string_view> views;
    for (const string& text : strings) {
        TRY(views.push_back(text.view()));
    }
    return views;
}

void enter_directory(std::string_view path) {
    result<ref<dentry>> found = resolve(*root_directory(), path);
    if (!found.ok()) {
        sentence why;
        why.set("the working directory {} cannot be entered", path);
        add_reason(why, found.error());
        refuse_to_start(why);
    }
    set_working_directory(found.take());
}

program_start load(const app_config& config) {
    sentence why;
    why.set("cannot start {}", config.argv[0].view());
    vector<std::string_view> arguments = must(views_of(config.argv), why);
    vector<std::string_view> environment = must(views_of(config.env), why);
    program_start start;
    sentence reason;
    const result<void> loaded = load_program(
        {.path = arguments[0], .arguments = arguments, .environment = environment}, start, reason);
    if (!loaded.ok()) {
        if (reason.empty()) {
            must_work(loaded, "cannot start {}", arguments[0]);
        }
        std::string_view said = reason.view();
        if (said.starts_with(arguments[0]) && said.substr(arguments[0].size()).starts_with(": ")) {
            said.remove_prefix(arguments[0].size() + 2);
        }
        why.add(": {}", said);
        refuse_to_start(why);
    }
    return start;
}

void start_program(const program_start& start, std::string_view path) {
    trap_frame frame{};
    frame.rip = start.rip;
    frame.rsp = start.rsp;
    frame.rflags = 0x202;
    frame.cs = 8;
    frame.ss = 16;
    task* first = make_first_task();
    result<ref<thread>> made = make_user_thread(frame, 0, first);
    if (!made.ok()) {
        refuse_to_start("no memory for the program's first thread");
    }
    first->owner = made.value();
    set_comm(*first, path.substr(path.rfind('/') + 1));
    clock_refine();
    start_rtc_settling();
    report_started();
    start_control_channel();
    start_listening_to_operator();
    start_thread(*made.value());
}

void run_init(void* argument) {
    const auto& information = *static_cast<const boot_information*>(argument);
    sentence why;
    result<app_config> line = read_boot_line(information.command_line, why);
    if (line.ok() && line.value().log.has_value()) {
        set_log_level(*line.value().log);
    }
    devices_init(information.command_line);
    start_log_port();
    app_config boot_line = must(std::move(line), why);
    log_debug("{} CPUs, {} MiB of memory, devices found", cpu_count(),
              information.memory_bytes / MiB);
    bool has_root = false;
    mount_all(boot_line.root, has_root);
    const app_config config =
        must(merge_configs(has_root ? read_image_manifest() : app_config{}, std::move(boot_line), why),
             why);
    set_exit_action(config.at_exit);
    fill_syscall_targets(config.trace_system_calls);
    set_exit_port(config.exit_port);
    mount_scratch(config);
    log_debug("mounts done");
    start_network(config);
    if (!config.hostname.empty()) {
        set_hostname(config.hostname);
    }
    must_work(open_standard_streams(), "the standard streams cannot be opened");
    enter_directory(config.cwd.empty() ? std::string_view("/") : config.cwd.view());
    the_address_space().start(root_table());
    const program_start start = load(config);
    log_debug("{} loaded", config.argv[0].view());
    start_program(start, config.argv[0].view());
}

}  // namespace

void start_init_thread(const boot_information& information) {
    result<thread*> made = start_kernel_thread(
        "init", run_init, const_cast<boot_information*>(&information));
    if (!made.ok()) {
        panic("no memory for the first kernel thread");
    }
}

}  // namespace kiln
